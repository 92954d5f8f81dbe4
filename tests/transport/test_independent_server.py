"""The same against aiosmtpd, whose authors had no part in ours: bytes, TLS, login."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from drip.core.delivery import OutcomeKind as Kind
from drip.core.settings import Security
from drip.engine.ports import Envelope
from drip.transport.smtp import SmtpTransport
from tests.smtp_server import Authority, Certificate
from tests.transport.conftest import PASSWORD, USER, settings_for

# TLS from the first octet does not count as TLS for its `auth_require_tls`.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

ENVELOPE = Envelope("bounce+t1@example.org", "ana@example.com", "t1")
BODIES = [
    b"Hello.\r\n",
    b".\r\n..\r\n...\r\n.x\r\n",
    b"a\r\n.\r\nb\r\n",
    b"x" * 998 + b"\r\n" + b"." * 998 + b"\r\n",
    b"\r\n\r\n",
    b"no end",
    b"..a line\r\n" * 20_000,
]


class Box:
    """A handler that keeps what it got."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.got.append(envelope)
        return "250 2.0.0 kept"


class AnyPort(Controller):
    """A controller at a port the system chose; its own wants to know the number before."""

    def _create_server(self) -> Any:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        return self.loop.create_server(self._factory_invoker, sock=listener, ssl=self.ssl_context)


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture(params=list(Security))
def server(request: pytest.FixtureRequest, box: Box, certificate: Certificate) -> Iterator[tuple[int, Security]]:
    security: Security = request.param
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    options: dict[str, Any] = {}
    if security is not Security.NONE:
        options |= {"auth_required": True, "authenticator": _authenticate}
    if security is Security.TLS:
        options |= {"ssl_context": context, "auth_require_tls": False}
    if security is Security.STARTTLS:
        options |= {"tls_context": context, "require_starttls": True}
    controller = AnyPort(box, hostname="127.0.0.1", **options)
    controller.start()
    yield controller.port, security
    controller.stop()


def test_every_octet_arrives(server: tuple[int, Security], box: Box, authority: Authority) -> None:
    port, security = server
    login = {} if security is Security.NONE else {"user": USER, "password": PASSWORD, "ca_file": authority.file}
    session = SmtpTransport(settings_for(port, host="127.0.0.1", security=security, **login)).session()
    messages = [b"Subject: x\r\n\r\n" + body for body in BODIES]
    outcomes = [session.send(ENVELOPE, message, lambda: True) for message in messages]
    session.close()
    assert [(outcome.kind, outcome.text) for outcome in outcomes] == [(Kind.SENT, "2.0.0 kept")] * len(messages)
    assert [got.content for got in box.got] == [m if m.endswith(b"\r\n") else m + b"\r\n" for m in messages]
    assert {(got.mail_from, tuple(got.rcpt_tos)) for got in box.got} == {(ENVELOPE.sender, (ENVELOPE.recipient,))}


def test_a_wrong_password(server: tuple[int, Security], box: Box, authority: Authority) -> None:
    port, security = server
    if security is Security.NONE:
        pytest.skip("no login without TLS")
    settings = settings_for(port, host="127.0.0.1", security=security, user=USER, password="no", ca_file=authority.file)
    outcome = SmtpTransport(settings).session().send(ENVELOPE, b"x\r\n", pytest.fail)
    assert (outcome.kind, outcome.code, "smtp.password" in outcome.text) == (Kind.MISCONFIGURED, 535, True)
    assert box.got == []
