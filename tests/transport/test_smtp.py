"""The conversation as it should go: many messages, the mark, reuse, sizes, addresses, bytes."""

from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drip.core.delivery import OutcomeKind as Kind
from drip.core.dkim_keys import read_key
from drip.core.settings import DkimSettings
from drip.engine.ports import Envelope, Session, Transport
from drip.transport.commands import dot_stuffed, unfit_envelope, with_crlf
from drip.transport.conversation import Habits
from drip.transport.smtp import SmtpSession, SmtpTransport
from tests.smtp_server import Features, SmtpServer
from tests.transport.conftest import settings_for

Serve = Callable[..., SmtpServer]
Connect = Callable[..., SmtpSession]

ENVELOPE = Envelope("bounce+t1@example.org", "ana@example.com", "t1")
CONTENT = b"From: a@example.org\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n"


def yes() -> bool:
    return True


def test_it_is_a_transport(serve: Serve) -> None:
    transport: Transport = SmtpTransport(settings_for(1, connections=3))
    session: Session = transport.session()
    session.close()
    assert transport.connections == 3


def test_a_message_arrives_as_it_is(serve: Serve, connect: Connect) -> None:
    server = serve()
    outcome = connect(server.port).send(ENVELOPE, CONTENT, yes)
    assert (outcome.kind, outcome.code, outcome.enhanced) == (Kind.SENT, 250, "2.0.0")
    assert outcome.text == "2.0.0 queued as 1-1"
    (message,) = server.messages
    assert (message.sender, message.recipients) == (ENVELOPE.sender, (ENVELOPE.recipient,))
    assert (message.message_id, message.content) == ("<1@example.org>", CONTENT)
    assert message.mail_options == f"SIZE={len(CONTENT)}"
    assert message.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_messages_are_signed_where_drip_yaml_says_so(serve: Serve, connect: Connect) -> None:
    server = serve()
    key = read_key(base64.b64encode(bytes(32)))
    signing = DkimSettings("example.org", "drip1", Path("dkim.key"), key)
    assert connect(server.port, dkim=signing).send(ENVELOPE, CONTENT.replace(b"\r\n", b"\n"), yes).kind is Kind.SENT
    (message,) = server.messages
    assert message.content.endswith(CONTENT)
    assert message.mail_options == f"SIZE={len(message.content)}"
    assert dkim.verify(message.content, dnsfunc=lambda name, timeout=5: key.record.encode())


def test_many_messages_share_a_connection(serve: Serve, connect: Connect) -> None:
    server = serve()
    session = connect(server.port)
    outcomes = [session.send(ENVELOPE, CONTENT, yes).kind for _ in range(300)]
    assert outcomes == [Kind.SENT] * 300
    assert (len(server.messages), server.connections) == (300, 1)


def test_a_connection_has_its_day(serve: Serve, connect: Connect) -> None:
    server = serve()
    session = connect(server.port, Habits(messages=10))
    assert all(session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT for _ in range(25))
    assert server.connections == 3


def test_the_mark_is_made_once_after_the_body_and_before_the_dot(serve: Serve, connect: Connect) -> None:
    server = serve()
    seen: list[bool] = []

    def mark() -> bool:
        seen.append(server.whole_message.is_set())
        return True

    connect(server.port).send(ENVELOPE, CONTENT, mark)
    assert seen == [False]
    assert server.whole_message.is_set()


def test_without_the_mark_nothing_is_sent(serve: Serve, connect: Connect) -> None:
    server = serve()
    session = connect(server.port)
    assert session.send(ENVELOPE, CONTENT, lambda: False).kind is Kind.NOT_MARKED
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT
    assert (len(server.messages), server.connections) == (1, 2)


@pytest.mark.parametrize("error", [OSError("disk"), RuntimeError("bug"), KeyboardInterrupt()])
def test_a_mark_that_raises_sends_nothing(serve: Serve, connect: Connect, error: BaseException) -> None:
    server = serve()
    session = connect(server.port)

    def mark() -> bool:
        raise error

    with pytest.raises(type(error)):
        session.send(ENVELOPE, CONTENT, mark)
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT
    assert (len(server.messages), server.connections) == (1, 2)


def test_a_refusal_is_followed_by_rset_on_the_same_connection(serve: Serve, connect: Connect) -> None:
    server = serve(
        "rcpt~bad@*=reply 550 5.1.1 no such user", "dot#1=reply 451 4.3.0 later", "data#3=reply 554 5.7.1 no"
    )
    session = connect(server.port)
    bad = Envelope(ENVELOPE.sender, "bad@example.com", "t2")
    kinds = [session.send(envelope, CONTENT, yes).kind for envelope in (bad, ENVELOPE, ENVELOPE, ENVELOPE, ENVELOPE)]
    assert kinds == [Kind.NO_MAILBOX, Kind.DEFERRED, Kind.SENT, Kind.REFUSED, Kind.SENT]
    assert (len(server.messages), server.connections) == (2, 1)


class Clock:
    """A monotonic clock that stands still."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("idle", "noops", "connections"), [(1, 0, 1), (6, 1, 1), (31, 0, 2)])
def test_an_idle_connection_is_tried_and_then_closed(serve: Serve, idle: int, noops: int, connections: int) -> None:
    server = serve()
    clock = Clock()
    session = SmtpTransport(settings_for(server.port), monotonic=clock).session()
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT
    clock.now = float(idle)
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT
    session.close()
    assert (server.reached("noop"), server.connections) == (noops, connections)


def test_a_connection_the_server_gave_up_between_messages_blames_no_one(serve: Serve, connect: Connect) -> None:
    server = serve("rset#1=drop", "noop#1=drop", "mail#3=reply 421 4.7.0 enough for now", "mail#5=drop")
    session = connect(server.port)
    outcomes = [session.send(ENVELOPE, CONTENT, yes).kind for _ in range(6)]
    assert outcomes == [Kind.SENT] * 6
    assert (len(server.messages), server.connections) == (6, 3)


def test_a_fresh_connection_that_says_421_is_down(serve: Serve, connect: Connect) -> None:
    server = serve("mail=reply 421 4.7.0 enough")
    outcome = connect(server.port).send(ENVELOPE, CONTENT, yes)
    assert (outcome.kind, outcome.in_hand, server.connections) == (Kind.DOWN, True, 1)


def test_a_message_over_the_advertised_size_is_not_offered(serve: Serve, connect: Connect) -> None:
    server = serve(features=Features(size=1000))
    session = connect(server.port)
    outcome = session.send(ENVELOPE, CONTENT + b"x" * 1000, pytest.fail)
    assert outcome.kind is Kind.REFUSED
    assert "1000" in outcome.text
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT
    assert server.connections == 1


@pytest.mark.parametrize(("size", "options"), [(None, ""), (0, f"SIZE={len(CONTENT)}")])
def test_no_size_or_a_size_of_zero_is_no_limit(serve: Serve, connect: Connect, size: int | None, options: str) -> None:
    server = serve(features=Features(size=size))
    assert connect(server.port).send(ENVELOPE, CONTENT, yes).kind is Kind.SENT
    assert server.messages[0].mail_options == options


def test_a_non_ascii_address_needs_smtputf8(serve: Serve, connect: Connect) -> None:
    envelope = Envelope(ENVELOPE.sender, "josé@example.com", "t")
    offering, plain = serve(), serve(features=Features(offers=()))
    assert connect(offering.port).send(envelope, CONTENT, yes).kind is Kind.SENT
    assert offering.messages[0].recipients == ("josé@example.com",)
    assert "SMTPUTF8" in offering.messages[0].mail_options
    session = connect(plain.port)
    outcome = session.send(envelope, CONTENT, pytest.fail)
    assert (outcome.kind, "SMTPUTF8" in outcome.text) == (Kind.BAD_ADDRESS, True)
    assert session.send(Envelope("josé@example.org", "a@b.org", "t"), CONTENT, pytest.fail).kind is Kind.MISCONFIGURED
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "ana@",
        "@x.org",
        "a@b.org\r\nRCPT TO:<c@d.org>",
        "a b@c.org",
        "<a@b.org>",
        "a@b@c.org",
        "\udc80@x.org",
    ],
)
def test_what_is_no_address_is_never_offered(serve: Serve, connect: Connect, address: str) -> None:
    server = serve()
    session = connect(server.port)
    assert session.send(Envelope("a@b.org", address, "t"), CONTENT, pytest.fail).kind is Kind.BAD_ADDRESS
    assert session.send(Envelope(address, "a@b.org", "t"), CONTENT, pytest.fail).kind is Kind.MISCONFIGURED
    assert server.connections == 0


_lines = st.lists(st.sampled_from([b".", b"..", b"a", b"", b".a", b"\xff", b"x" * 2000]), max_size=8)


@given(_lines, st.sampled_from([b"\r\n", b"\n", b"\r"]), st.booleans())
def test_line_ends_and_dots_come_out_right(lines: list[bytes], end: bytes, ended: bool) -> None:
    content = end.join(lines) + (end if ended else b"")
    normal = with_crlf(content)
    assert normal.endswith(b"\r\n")
    assert normal.replace(b"\r\n", b"").count(b"\r") + normal.replace(b"\r\n", b"").count(b"\n") == 0
    stuffed = dot_stuffed(normal)
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed
    assert (b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n")[2:] == normal


def test_smuggling_is_not_possible(serve: Serve, connect: Connect) -> None:
    server = serve()
    session = connect(server.port)
    for end in (b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r\n"):
        content = CONTENT + b"a" + end + b"MAIL FROM:<evil@example.org>\r\n"
        assert session.send(ENVELOPE, content, yes).kind is Kind.SENT
    assert len(server.messages) == 5
    assert {message.sender for message in server.messages} == {ENVELOPE.sender}
    assert all(b"a\r\n.\r\nMAIL" in message.content for message in server.messages)


def test_a_large_message_goes_through(serve: Serve, connect: Connect) -> None:
    server = serve()
    content = CONTENT + b"." * 900 + b"\r\n" + (b".x" * 400 + b"\r\n") * 5000
    assert connect(server.port).send(ENVELOPE, content, yes).kind is Kind.SENT
    assert server.messages[0].content == content


def test_it_waits_longer_for_the_answer_to_the_dot(serve: Serve, connect: Connect) -> None:
    server = serve("dot=delay 0.6")
    session = connect(server.port)

    def mark() -> bool:
        session._wire.timeout = 0.3
        return True

    assert session.send(ENVELOPE, CONTENT, mark).kind is Kind.SENT


def test_an_answer_ahead_of_its_time_is_not_taken_for_the_one_to_the_dot(serve: Serve, connect: Connect) -> None:
    server = serve(r"data#1=raw 354 go\r\n250 2.0.0 queued as a lie\r\n")
    session = connect(server.port)
    assert session.send(ENVELOPE, CONTENT, pytest.fail).kind is Kind.LOST
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT
    assert server.connections == 2


def test_a_refusal_in_the_middle_of_the_body_is_heard(serve: Serve, connect: Connect) -> None:
    server = serve("body#1=reply 552 5.3.4 too big")
    session = connect(server.port)

    def mark() -> bool:
        assert server.went_wrong.wait(60)
        return True

    outcome = session.send(ENVELOPE, CONTENT, mark)
    assert outcome.kind is Kind.REFUSED
    assert server.messages == []
    assert session.send(ENVELOPE, CONTENT, yes).kind is Kind.SENT


def test_sessions_work_side_by_side(serve: Serve) -> None:
    server = serve()
    transport = SmtpTransport(settings_for(server.port))

    def work(number: int) -> None:
        session = transport.session()
        for count in range(25):
            session.send(Envelope("a@b.org", f"p{number}.{count}@example.com", "t"), CONTENT, yes)
        session.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({message.recipients for message in server.messages}) == 100
    assert server.connections == 4


def test_nagle_is_off(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    session = connect(server.port)
    session.send(ENVELOPE, CONTENT, yes)
    assert session._wire.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_library_is_loaded_with_the_first_connection_only() -> None:
    program = "import sys, drip.transport.smtp, drip.transport.outbox; print([x in sys.modules for x in sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", program, "yagmail", "smtplib"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[False, False]\n"


def test_nothing_is_printed_and_nothing_read_from_home(
    serve: Serve, connect: Connect, capfd: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".yagmail").write_text("someone@else.org")
    monkeypatch.setenv("HOME", str(tmp_path))
    server = serve("mail#1=drop", "banner#2=reply 554 no")
    session = connect(server.port)
    for _ in range(3):
        session.send(ENVELOPE, CONTENT, yes)
    assert len(server.messages) == 1
    assert capfd.readouterr() == ("", "")


@settings(max_examples=200)
@given(st.from_regex(r"[a-z!#$%&'*+/=?^_`{|}~.é-]{1,20}@[a-z0-9.-]{1,20}", fullmatch=True))
def test_addresses_reach_the_wire_unchanged(address: str) -> None:
    if unfit_envelope(Envelope(address, address, "t")) is None:
        import smtplib

        assert smtplib.quoteaddr(address) == f"<{address}>"
