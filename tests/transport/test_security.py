"""TLS that is checked, logins that are tried once, and passwords that never travel in the open."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from drip.core.delivery import Outcome
from drip.core.delivery import OutcomeKind as Kind
from drip.core.networks import is_loopback
from drip.core.settings import Security
from drip.engine.ports import Envelope
from drip.transport.smtp import SmtpSession, SmtpTransport
from tests.smtp_server import Authority, Certificate, Features, SmtpServer
from tests.transport.conftest import PASSWORD, USER, settings_for

Serve = Callable[..., SmtpServer]
Connect = Callable[..., SmtpSession]

ENVELOPE = Envelope("bounce@example.org", "ana@example.com", "t1")
CONTENT = b"Message-ID: <1@example.org>\r\n\r\nHello.\r\n"
BOTH = pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])


def features(security: Security, *mechanisms: str, **others: Any) -> Features:
    return Features(
        tls=security is Security.TLS,
        starttls=security is Security.STARTTLS,
        mechanisms=mechanisms or ("PLAIN", "LOGIN"),
        users=others.pop("users", frozenset({(USER, PASSWORD)})),
        login_required=True,
        **others,
    )


def attempt(session: SmtpSession) -> Outcome:
    return session.send(ENVELOPE, CONTENT, lambda: True)


@BOTH
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_login_over_checked_tls(
    serve: Serve, connect: Connect, authority: Authority, certificate: Certificate, security: Security, mechanism: str
) -> None:
    server = serve(features=features(security, mechanism), certificate=certificate)
    session = connect(server.port, security=security, user=USER, password=PASSWORD, ca_file=authority.file)
    assert [attempt(session).kind for _ in range(20)] == [Kind.SENT] * 20
    (login,) = server.logins
    assert (login.mechanism, login.user, login.tls) == (mechanism, USER, True)
    assert (len(server.messages), server.connections) == (20, 1)
    assert all(message.tls for message in server.messages)


@BOTH
@pytest.mark.parametrize(
    ("kind", "setting"), [("expired", "expired"), ("name", "smtp.host"), ("self_signed", "smtp.ca_file")]
)
def test_a_bad_certificate_is_refused_before_the_password(
    serve: Serve, connect: Connect, authority: Authority, security: Security, kind: str, setting: str
) -> None:
    certificate = {
        "expired": lambda: authority.certificate(expired=True, label="expired"),
        "name": lambda: authority.certificate("mail.example.org", label="name"),
        "self_signed": lambda: authority.certificate(self_signed=True, label="self"),
    }[kind]()
    server = serve(features=features(security), certificate=certificate)
    outcome = attempt(connect(server.port, security=security, user=USER, password=PASSWORD, ca_file=authority.file))
    assert (outcome.kind, outcome.in_hand) == (Kind.MISCONFIGURED, False)
    assert setting in outcome.text
    assert (server.logins, server.messages) == ([], [])


@BOTH
def test_the_system_does_not_trust_the_test_authority(
    serve: Serve, connect: Connect, certificate: Certificate, security: Security
) -> None:
    server = serve(features=features(security), certificate=certificate)
    outcome = attempt(connect(server.port, security=security, user=USER, password=PASSWORD))
    assert (outcome.kind, "smtp.ca_file" in outcome.text) == (Kind.MISCONFIGURED, True)
    assert server.logins == []


@BOTH
@pytest.mark.parametrize("mechanisms", [("PLAIN", "LOGIN"), ("CRAM-MD5", "LOGIN", "PLAIN"), ("LOGIN",)])
def test_a_wrong_password_is_tried_once_and_named(
    serve: Serve,
    connect: Connect,
    authority: Authority,
    certificate: Certificate,
    security: Security,
    mechanisms: tuple[str, ...],
) -> None:
    server = serve(features=features(security, *mechanisms), certificate=certificate)
    outcome = attempt(connect(server.port, security=security, user=USER, password="wrong", ca_file=authority.file))
    assert (outcome.kind, outcome.code, outcome.in_hand) == (Kind.MISCONFIGURED, 535, False)
    assert outcome.text == (
        "the server refused the login (535 5.7.8 wrong user or password): check smtp.user and smtp.password"
    )
    assert (len(server.logins), server.connections) == (1, 1)


def test_four_sessions_with_a_wrong_password_are_one_failed_login_in_five_minutes(
    serve: Serve, authority: Authority, certificate: Certificate
) -> None:
    server = serve("auth=delay 0.1", features=features(Security.TLS), certificate=certificate)
    now = [0.0]
    settings = settings_for(server.port, security=Security.TLS, user=USER, password="wrong", ca_file=authority.file)
    transport = SmtpTransport(settings, monotonic=lambda: now[0])
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: attempt(transport.session()), range(8)))
    assert {(outcome.kind, outcome.code) for outcome in outcomes} == {(Kind.MISCONFIGURED, 535)}
    assert len(server.logins) == 1
    now[0] = 299.0
    assert attempt(transport.session()).kind is Kind.MISCONFIGURED
    assert len(server.logins) == 2


def test_sessions_that_come_right_after_a_login_that_could_not_be_checked_do_not_try_again(
    serve: Serve, authority: Authority, certificate: Certificate
) -> None:
    server = serve("auth=reply 454 4.7.0 later", features=features(Security.TLS), certificate=certificate)
    now = [0.0]
    settings = settings_for(server.port, security=Security.TLS, user=USER, password=PASSWORD, ca_file=authority.file)
    transport = SmtpTransport(settings, monotonic=lambda: now[0])
    outcomes = [attempt(transport.session()) for _ in range(3)]
    assert {(outcome.kind, outcome.code) for outcome in outcomes} == {(Kind.DOWN, 454)}
    assert len(server.logins) == 1
    now[0] = 5.0  # the loop's own first wait
    assert attempt(transport.session()).kind is Kind.DOWN
    assert len(server.logins) == 2


class Doorstep:
    """A lock that knows who has come to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.came: list[int] = []

    def __enter__(self) -> None:
        self.came.append(threading.get_ident())
        self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def test_sessions_that_wait_for_a_server_that_is_down_share_the_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve("banner#1=stall")
    transport, doorstep = SmtpTransport(settings_for(server.port)), Doorstep()
    monkeypatch.setattr(transport._door, "_lock", doorstep)
    with ThreadPoolExecutor(4) as pool:
        outcomes = [pool.submit(attempt, transport.session()) for _ in range(4)]
        while len(doorstep.came) < 4 or server.connections < 1:
            time.sleep(0.001)
        server.hang_up()
        assert {outcome.result().kind for outcome in outcomes} == {Kind.DOWN}
    assert server.connections == 1
    server.script()
    session = transport.session()
    assert attempt(session).kind is Kind.SENT
    session.close()


@pytest.mark.parametrize("offers_plain_login", [False, True])
def test_starttls_taken_away_by_someone_in_the_middle(
    serve: Serve, connect: Connect, authority: Authority, offers_plain_login: bool
) -> None:
    server = serve(features=features(Security.NONE, plain_login=offers_plain_login))
    session = connect(server.port, security=Security.STARTTLS, user=USER, password=PASSWORD, ca_file=authority.file)
    outcome = attempt(session)
    assert (outcome.kind, "STARTTLS" in outcome.text) == (Kind.MISCONFIGURED, True)
    assert (server.logins, server.messages) == ([], [])


def test_words_slipped_in_before_tls_are_not_believed(
    serve: Serve, connect: Connect, authority: Authority, certificate: Certificate
) -> None:
    server = serve(
        r"starttls#1=raw 220 go\r\n250 slipped in\r\n", features=features(Security.STARTTLS), certificate=certificate
    )
    session = connect(server.port, security=Security.STARTTLS, user=USER, password=PASSWORD, ca_file=authority.file)
    assert attempt(session).kind is Kind.DOWN
    assert attempt(session).kind is Kind.SENT


def test_tls_at_a_port_that_speaks_plain(serve: Serve, connect: Connect, authority: Authority) -> None:
    server = serve()
    outcome = attempt(connect(server.port, security=Security.TLS, ca_file=authority.file))
    assert (outcome.kind, "smtp.security" in outcome.text) == (Kind.DOWN, True)


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"user": USER, "password": PASSWORD}, "smtp.security"),
        ({"host": "mail.example.org"}, "smtp.security"),
        ({"security": Security.TLS, "user": USER}, "smtp.password"),
        ({"security": Security.TLS, "user": USER, "password": ""}, "smtp.password"),
        ({"security": Security.TLS, "user": USER, "password": "señal"}, "ASCII"),
        ({"security": Security.TLS, "ca_file": Path("/nowhere/ca.pem")}, "smtp.ca_file /nowhere/ca.pem"),
        ({"security": Security.TLS, "ca_file": Path(__file__)}, "smtp.ca_file"),
        ({"security": Security.TLS, "user": USER, "oauth2_file": Path("/nowhere/o.json")}, "smtp.oauth2_file"),
    ],
)
def test_a_setting_that_is_wrong_is_named_before_anything_is_opened(
    serve: Serve, connect: Connect, values: dict[str, Any], setting: str
) -> None:
    server = serve(features=features(Security.NONE, plain_login=True))
    outcome = attempt(connect(server.port, **values))
    assert (outcome.kind, outcome.in_hand) == (Kind.MISCONFIGURED, False)
    assert setting in outcome.text
    assert server.connections == 0


def test_plain_text_to_another_machine_may_be_allowed(connect: Connect) -> None:
    outcome = attempt(connect(9, host="mail.invalid", allow_plaintext=True))
    assert outcome.kind is Kind.DOWN


@pytest.mark.parametrize("offered", [(), ("XOAUTH2", "NTLM")])
def test_a_server_without_a_login_for_us(
    serve: Serve, connect: Connect, authority: Authority, certificate: Certificate, offered: tuple[str, ...]
) -> None:
    server = serve(features=Features(tls=True, mechanisms=offered), certificate=certificate)
    session = connect(server.port, security=Security.TLS, user=USER, password=PASSWORD, ca_file=authority.file)
    outcome = attempt(session)
    assert (outcome.kind, "login" in outcome.text) == (Kind.MISCONFIGURED, True)
    assert server.logins == []


def test_a_missing_login_is_found_out_at_mail(
    serve: Serve, connect: Connect, authority: Authority, certificate: Certificate
) -> None:
    server = serve(features=features(Security.TLS), certificate=certificate)
    outcome = attempt(connect(server.port, security=Security.TLS, ca_file=authority.file))
    assert (outcome.kind, outcome.code, "smtp.user" in outcome.text) == (Kind.MISCONFIGURED, 530, True)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(
            (host, True)
            for host in ("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")
        ),
        *((host, False) for host in ("localhost.example.org", "10.0.0.1", "example.org", "0.0.0.0")),
    ],
)
def test_this_machine_is_known_by_its_names(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


class TokenServer(HTTPServer):
    """Google's token endpoint."""

    status, body = 200, b'{"access_token": "tok", "expires_in": 3599}'
    silent: threading.Event | None = None


class _Token(BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.silent is not None:
            self.server.silent.wait(10)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Not on stderr."""


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    import yagmail.oauth2

    with TokenServer(("127.0.0.1", 0), _Token) as server:
        monkeypatch.setattr(yagmail.oauth2, "GOOGLE_ACCOUNTS_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        if server.silent is not None:
            server.silent.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def oauth2_file(tmp_path: Path) -> Path:
    file = tmp_path / "oauth2.json"
    keys = dict.fromkeys(("google_client_id", "google_client_secret", "google_refresh_token"), "x")
    file.write_text(json.dumps({"email_address": "me@example.org", **keys}))
    return file


@BOTH
@pytest.mark.parametrize("token", ["tok", "another"])
def test_oauth2_logs_in_with_a_token_got_before(
    serve: Serve,
    connect: Connect,
    authority: Authority,
    certificate: Certificate,
    tokens: TokenServer,
    oauth2_file: Path,
    security: Security,
    token: str,
) -> None:
    users = frozenset({("me@example.org", token)})
    server = serve(features=features(security, "XOAUTH2", users=users), certificate=certificate)
    outcome = attempt(connect(server.port, security=security, oauth2_file=oauth2_file, ca_file=authority.file))
    (login,) = server.logins
    assert (login.mechanism, login.user, login.password, login.tls) == ("XOAUTH2", "me@example.org", "tok", True)
    assert (outcome.kind, outcome.code) == ((Kind.SENT, 250) if token == "tok" else (Kind.MISCONFIGURED, 535))


def test_oauth2_never_goes_over_a_connection_without_starttls(
    serve: Serve, connect: Connect, authority: Authority, tokens: TokenServer, oauth2_file: Path
) -> None:
    server = serve(features=features(Security.NONE, "XOAUTH2", plain_login=True))
    session = connect(server.port, security=Security.STARTTLS, oauth2_file=oauth2_file, ca_file=authority.file)
    assert attempt(session).kind is Kind.MISCONFIGURED
    assert server.logins == []


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": "invalid_grant"}', Kind.MISCONFIGURED),
        (500, b"", Kind.DOWN),
        (200, b"not json", Kind.DOWN),
        (200, b"{}", Kind.DOWN),
    ],
)
def test_a_token_server_that_gives_none(
    connect: Connect, tokens: TokenServer, oauth2_file: Path, status: int, body: bytes, kind: Kind
) -> None:
    tokens.status, tokens.body = status, body
    outcome = attempt(connect(1, security=Security.TLS, oauth2_file=oauth2_file))
    assert (outcome.kind, outcome.in_hand) == (kind, False)
    if kind is Kind.MISCONFIGURED:
        assert "smtp.oauth2_file" in outcome.text


def test_a_token_server_that_is_silent(connect: Connect, tokens: TokenServer, oauth2_file: Path) -> None:
    tokens.silent = threading.Event()
    session = connect(1, security=Security.TLS, oauth2_file=oauth2_file, timeout=timedelta(seconds=0.3))
    assert attempt(session).kind is Kind.DOWN


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "{}", '{"installed": {"client_id": "x"}}', '{"google_client_id": 3}']
)
def test_an_oauth2_file_that_is_none_never_asks_at_the_terminal(
    connect: Connect, tmp_path: Path, content: str, capfd: Any
) -> None:
    file = tmp_path / "oauth2.json"
    file.write_text(content)
    outcome = attempt(connect(1, security=Security.TLS, user=USER, oauth2_file=file))
    assert (outcome.kind, "smtp.oauth2_file" in outcome.text) == (Kind.MISCONFIGURED, True)
    assert capfd.readouterr() == ("", "")


def test_secrets_are_not_shown() -> None:
    settings = settings_for(1, security=Security.TLS, user=USER, password=PASSWORD)
    assert PASSWORD not in repr(settings) + repr(SmtpTransport(settings))


def test_old_tls_is_not_spoken(serve: Serve, connect: Connect, authority: Authority, certificate: Certificate) -> None:
    server = serve(features=features(Security.TLS), certificate=certificate)
    assert server.tls_context is not None
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        server.tls_context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        server.tls_context.maximum_version = ssl.TLSVersion.TLSv1_1
    session = connect(server.port, security=Security.TLS, user=USER, password=PASSWORD, ca_file=authority.file)
    assert attempt(session).kind is Kind.DOWN
    assert server.logins == []
