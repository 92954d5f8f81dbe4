"""Every phase of a conversation with every fault: what it is taken for, that it ends in time, and that others go on."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from drip.core.delivery import OutcomeKind as Kind
from drip.core.settings import Security
from drip.engine.ports import Envelope
from drip.transport.conversation import Habits
from drip.transport.smtp import SmtpSession
from tests.smtp_server import Authority, Certificate, Features, SmtpServer
from tests.transport.conftest import PASSWORD, PATIENCE, USER, hurry

Serve = Callable[..., SmtpServer]
Connect = Callable[..., SmtpSession]

SECONDS = 0.5
"""For what never comes."""
WAITED_OUT = ("stall", "endless")
"""Faults that only the clock ends; all others are seen at once, and nothing is waited for."""
ENVELOPE = Envelope("bounce@example.org", "ana@example.com", "t1")
CONTENT = b"Message-ID: <1@example.org>\r\n\r\nHello.\r\n"

DOT = timedelta(seconds=SECONDS)
ENDS_WITHIN = 20 * SECONDS
"""Seconds; well over what is waited for here, well under `PATIENCE`."""

OPENING = ("connect", "banner", "ehlo", "starttls", "handshake", "auth")
SILENT = ("connect", "handshake", "body")  # nothing is usually said there
LOSING = ("drop", "reset", "stall", "garbage", "long", "endless")
REPLIES = {"421": "reply 421 4.3.2 closing", "4xx": "reply 450 4.3.0 later", "5xx": "reply 550 5.3.0 no"}
ODD = {"wrong class": "reply 334 what", "wrong go-ahead": "reply 299 what"}


def _opening(phase: str) -> Iterator[tuple[str, str, Kind]]:
    for fault in LOSING:
        yield phase, fault, Kind.DOWN
    if phase in SILENT:
        return
    yield phase, "bytewise", Kind.SENT
    yield phase, REPLIES["421"], Kind.DOWN
    yield phase, REPLIES["4xx"], Kind.DOWN
    yield phase, REPLIES["5xx"], Kind.MISCONFIGURED if phase == "auth" else Kind.DOWN
    # At AUTH 334 asks for more; the server does not understand what follows, and refuses.
    yield phase, ODD["wrong class"], Kind.MISCONFIGURED if phase == "auth" else Kind.DOWN


def _message(phase: str, lost: Kind, later: Kind, no: Kind) -> Iterator[tuple[str, str, Kind]]:
    for fault in LOSING:
        yield phase, fault, lost
    yield phase, "bytewise", Kind.SENT
    yield phase, REPLIES["421"], Kind.DOWN
    yield phase, REPLIES["4xx"], later
    yield phase, REPLIES["5xx"], no
    yield phase, ODD["wrong go-ahead" if phase == "data" else "wrong class"], lost


PAIRS = [
    *(pair for phase in OPENING for pair in _opening(phase)),
    *_message("mail", Kind.LOST, Kind.DOWN, Kind.MISCONFIGURED),
    *_message("rcpt", Kind.LOST, Kind.DEFERRED, Kind.REFUSED),
    *_message("data", Kind.LOST, Kind.DEFERRED, Kind.REFUSED),
    *_message("dot", Kind.UNKNOWN, Kind.DEFERRED, Kind.REFUSED),
    *_message("after-dot", Kind.UNKNOWN, Kind.DEFERRED, Kind.REFUSED),
    *((phase, "twice", Kind.LOST) for phase in ("mail", "rcpt", "data")),
    ("dot", "twice", Kind.SENT),
]


class Marks:
    """A mark that always works, and counts."""

    made = 0

    def __call__(self) -> bool:
        self.made += 1
        return True


@pytest.fixture(scope="module")
def features() -> Features:
    return Features(
        starttls=True, mechanisms=("PLAIN", "LOGIN"), users=frozenset({(USER, PASSWORD)}), login_required=True
    )


@pytest.mark.parametrize(("phase", "fault", "kind"), PAIRS)
def test_a_fault_means_what_the_table_says_and_the_next_message_passes(
    serve: Serve,
    connect: Connect,
    authority: Authority,
    certificate: Certificate,
    features: Features,
    phase: str,
    fault: str,
    kind: Kind,
) -> None:
    server = serve(f"{phase}#1={fault}", features=features, certificate=certificate)
    waited_out, at_dot = fault in WAITED_OUT, phase in ("dot", "after-dot")
    session = connect(
        server.port,
        Habits(dot_timeout=DOT if waited_out and at_dot else PATIENCE, login_pause=timedelta(0)),
        security=Security.STARTTLS,
        user=USER,
        password=PASSWORD,
        ca_file=authority.file,
    )
    if waited_out and not at_dot:
        hurry(session, SECONDS, opening=phase in OPENING)
    marks = Marks()
    begun = time.monotonic()
    outcome = session.send(ENVELOPE, CONTENT, marks)
    assert time.monotonic() - begun < ENDS_WITHIN
    assert (outcome.kind, outcome.text != "") == (kind, True)
    assert marks.made == (phase in ("dot", "after-dot") or kind is Kind.SENT)
    assert outcome.in_hand is (kind is Kind.SENT or phase not in OPENING)
    if kind not in (Kind.SENT, Kind.MISCONFIGURED, Kind.REFUSED) and "reply" not in fault:
        assert session._wire is None
    accepted = len(server.messages)
    assert accepted == (phase == "after-dot" or kind is Kind.SENT)

    assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.SENT
    assert len(server.messages) == accepted + 1
    assert not server.plain_password


@pytest.mark.parametrize("fault", [*LOSING, *REPLIES.values(), ODD["wrong class"]])
@pytest.mark.parametrize("phase", ["rset", "noop"])
def test_a_fault_between_messages_touches_none(serve: Serve, connect: Connect, phase: str, fault: str) -> None:
    server = serve(f"{phase}#1={fault}", *(["rcpt#1=reply 550 5.7.1 no"] if phase == "rset" else []))
    session = connect(server.port, Habits(idle_check=timedelta(0)))
    first = session.send(ENVELOPE, CONTENT, lambda: True).kind
    assert first is (Kind.REFUSED if phase == "rset" else Kind.SENT)
    if fault in WAITED_OUT:
        session._wire.timeout = SECONDS
    assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.SENT
    assert (server.connections, server.reached(phase)) == (2, 1)


@pytest.mark.parametrize("fault", [*LOSING, *REPLIES.values(), "bytewise"])
def test_a_fault_at_quit_holds_nothing_up(serve: Serve, connect: Connect, fault: str) -> None:
    server = serve(f"quit={fault}")
    session = connect(server.port)
    assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.SENT
    if fault in WAITED_OUT:
        session._wire.timeout = SECONDS
    begun = time.monotonic()
    session.close()
    session.close()
    assert time.monotonic() - begun < ENDS_WITHIN
    server.script()
    assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.SENT


@pytest.mark.parametrize("fault", ["drop", "reset"])
def test_a_connection_that_dies_in_the_body_is_seen_before_the_dot(serve: Serve, connect: Connect, fault: str) -> None:
    server = serve(f"body#1={fault}")
    session = connect(server.port)

    def mark() -> bool:
        return bool(select.select([session._wire.sock], [], [], 60)[0])  # until the end has reached us

    assert session.send(ENVELOPE, CONTENT, mark).kind is Kind.LOST
    assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.SENT
    assert len(server.messages) == 1


@pytest.mark.parametrize("fault", ["stall", "endless"])
def test_a_server_that_stops_listening_in_the_body_leaves_a_small_message_unknown(
    serve: Serve, connect: Connect, fault: str
) -> None:
    # It fits into the sockets' buffers: nobody can know that it was not read. The endless answer may show before.
    server = serve(f"body#1={fault}")
    session = connect(server.port, Habits(dot_timeout=DOT))
    hurry(session, SECONDS)
    assert session.send(ENVELOPE, CONTENT, lambda: True).kind in (Kind.UNKNOWN, Kind.LOST)
    assert server.messages == []


def test_a_server_that_does_not_read_a_large_body_is_given_up_before_the_mark(serve: Serve, connect: Connect) -> None:
    server = serve("data#1=stop-reading", features=Features(size=None))
    session = connect(server.port)
    hurry(session, SECONDS)
    assert session.send(ENVELOPE, CONTENT + b"x" * 20_000_000, pytest.fail).kind is Kind.LOST


def test_a_server_that_is_not_there_blames_no_message(connect: Connect, serve: Serve) -> None:
    server = serve()
    server.stop()
    outcome = connect(server.port).send(ENVELOPE, CONTENT, pytest.fail)
    assert (outcome.kind, outcome.in_hand, outcome.code) == (Kind.DOWN, False, None)
    assert f"localhost:{server.port}" in outcome.text
    assert "refused" in outcome.text


def test_a_name_that_does_not_exist(connect: Connect) -> None:
    outcome = connect(25, host="mail.invalid", security=Security.STARTTLS).send(ENVELOPE, CONTENT, pytest.fail)
    assert (outcome.kind, outcome.in_hand) == (Kind.DOWN, False)
    assert "mail.invalid" in outcome.text


def test_a_name_that_is_none(connect: Connect) -> None:
    for host in ("x" * 70 + ".org", "a..b"):
        outcome = connect(25, host=host, security=Security.STARTTLS).send(ENVELOPE, CONTENT, pytest.fail)
        assert (outcome.kind, "smtp.host" in outcome.text) == (Kind.MISCONFIGURED, True)


def test_a_server_that_never_lets_up_is_down_every_time(serve: Serve, connect: Connect) -> None:
    server = serve("banner=reply 421 4.7.0 too many connections")
    session = connect(server.port)
    for count in range(1, 4):
        assert session.send(ENVELOPE, CONTENT, pytest.fail).kind is Kind.DOWN
        assert server.connections == count
