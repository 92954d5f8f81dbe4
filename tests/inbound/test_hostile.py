"""Hostile mail: what is not one's own can't suppress, nothing crashes, nothing takes long."""

from __future__ import annotations

import email
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.policy import compat32, default

import pytest

from drip.core.reports import NoReport, Report
from drip.core.tokens import Purpose, make_token, read_token
from drip.inbound import mail
from drip.inbound.read import Reader
from tests.inbound.post import CORPUS, VERP, fill

SEED = 20261128
SECRET = b"the secret of another project"
TOKEN = make_token(SECRET, Purpose.DELIVERY, 7, 3)
LEAVE = make_token(SECRET, Purpose.UNSUBSCRIBE, 7)
SAMPLES = [fill(path.read_text(), token=TOKEN, leave=LEAVE) for path in sorted(CORPUS.glob("*.eml"))]
PIECES = [
    b"=?utf-8?B?", b"=?x?q?=", b"?=", b'"', b"<", b">", b"(", b"\\", b"\0", b"\x80\xff", b"\r", b"\n\n", b"\r\n\r\n",
    b"=?utf-8?q?=ff?=", b"Content-Type: message/rfc822\n\n", b"Content-Type: multipart/mixed; boundary=B\n\n--B\n",
    b"Content-Transfer-Encoding: base64\n", b"charset=nonsense", b"boundary*0*=utf-8''%zz;", b": ", b"@", b";",
    b"5.1.1", b"Action: failed\n", b"Final-Recipient: rfc822;\n", b"To: <>,<\n", b"From: \"\n", b"Date: x\n",
]  # fmt: skip
READER = Reader(VERP)
HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Final-Recipient", "Status")


def mutated(count: int, seed: int = SEED) -> Iterator[bytes]:
    """So many samples with a few octets changed, doubled, cut out or put in."""
    chance = random.Random(seed)
    for _ in range(count):
        raw = bytearray(chance.choice(SAMPLES))
        for _ in range(chance.randint(1, 12)):
            place, length = chance.randrange(len(raw) + 1), chance.randint(1, 60)
            match chance.randrange(5):
                case 0:
                    raw[place : place + length] = b""
                case 1:
                    raw[place:place] = chance.choice(PIECES) * chance.randint(1, 3)
                case 2:
                    raw[place : place + length] = raw[place : place + length] * 2
                case 3:
                    other = chance.choice(SAMPLES)
                    begin = chance.randrange(len(other))
                    raw[place:place] = other[begin : begin + 20 * length]
                case _:
                    raw[place : place + 1] = bytes([chance.randrange(256)])
        yield bytes(raw)


def test_mutated_mail_never_crashes_the_reader() -> None:
    kinds = set()
    for raw in mutated(1500):
        with suppress(mail.Unreadable):
            kinds.add(type(READER.understand(mail.parse(raw), raw)))  # without the net that `read` has
    assert kinds == {Report, NoReport}


def test_the_newer_policy_crashes_on_such_mail() -> None:
    """The control: with it the same mail would stop the reader, so that the mutations are worth something."""
    crashed = set()
    for raw in mutated(1500):
        try:
            for part in email.message_from_bytes(raw, policy=default).walk():
                for name in HEADERS:
                    str(part[name])
        except Exception as error:
            crashed.add(type(error).__name__)
    assert crashed


def test_no_mutation_turns_a_foreign_token_into_ours() -> None:
    ours = b"the secret of this project"
    for raw in mutated(500):
        found = READER.read(raw)
        if isinstance(found, Report):
            assert not any(read_token(ours, Purpose.DELIVERY, token) for token in found.tokens)
            assert found.leave_token is None or not read_token(ours, Purpose.UNSUBSCRIBE, found.leave_token)


def nested(levels: int, kind: str) -> bytes:
    """So many messages in messages, or parts in parts."""
    if kind == "message":
        return b"".join(b"Content-Type: message/rfc822\nX: y\n\n" for _ in range(levels)) + b"x"
    names = [f"B{number}".encode() for number in range(levels)]
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n" % (name, name) for name in names
    )  # fmt: skip


HUGE = 9 * 1024 * 1024
BOMBS: dict[str, Callable[[], bytes]] = {
    "messages in messages": lambda: nested(5000, "message"),
    "parts in parts": lambda: nested(5000, "multipart"),
    "many parts": lambda: b"Content-Type: multipart/mixed; boundary=B\n\n" + b"--B\n\nx\n" * 200_000,
    "parts without a boundary of their own": lambda: (
        b"Content-Type: multipart/mixed; boundary=\n\n" + b"--\n\n" * 200_000
    ),
    "a digest": lambda: b"Content-Type: multipart/digest; boundary=B\n\n" + b"--B\n\n\n" * 900,
    "32,000 recipients": lambda: b"To: " + b"a@example.com, " * 32_000 + b"\n\nx",
    "a folded header": lambda: b"To: " + b"a@example.com,\n " * 100_000 + b"\n\nx",
    "a million headers": lambda: b"A: b\n" * 1_000_000,
    "one line": lambda: b"x" * HUGE,
    "an endless subject": lambda: b"Subject: " + b"unsubscribe " * 5_000 + b"\n\n",
    "encoded words": lambda: b"Subject: " + b"=?utf-8?q?a?= " * 5_000 + b"\n\n",
    "commas and colons": lambda: b"From: " + b":;,<>()" * 10_000 + b"\nReturn-Path: <>\n\n" + b"<<>>@@" * 100_000,
    "what looks like tokens": lambda: b"From: mailer-daemon\n\n" + (b"a" * 99 + b" ") * 90_000,
    "message ids": lambda: b"From: mailer-daemon\n\n" + b"<" * 100_000 + (b"<" + b"a" * 60 + b"@") * 10_000,
    "blank status blocks": lambda: b"Content-Type: message/delivery-status\n\n" + b"Action: failed\n\n" * 60_000,
    "a bounce at its end": lambda: SAMPLES[0] + b"\n" + b"y" * HUGE,
    "base64": lambda: b"From: mailer-daemon\nContent-Transfer-Encoding: base64\n\n" + b"QUFB" * 2_000_000,
    "too large": lambda: b"Subject: x\n\n" + b"x" * (mail.LARGEST + 1),
}
"""Made when they are wanted: whoever imports them forks."""


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_made_to_hold_up_the_reader_does_not(name: str) -> None:
    began = time.process_time()
    found = READER.read(BOMBS[name]())
    assert isinstance(found, Report | NoReport)
    # In processor time, and ten times what the worst of them takes: a busy machine is no failure.
    assert time.process_time() - began < 10


def test_what_is_beyond_the_bounds_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("messages in messages", "parts in parts", "many parts", "32,000 recipients", "too large"):
        assert READER.read(BOMBS[name]()) is NoReport.UNREADABLE
    # The control: without the bounds the parser gives up by itself, in the middle of everything.
    with pytest.raises(RecursionError):
        list(email.message_from_bytes(BOMBS["messages in messages"](), policy=compat32).walk())


def test_a_large_message_is_read_by_its_beginning() -> None:
    found = READER.read(BOMBS["a bounce at its end"]())
    assert isinstance(found, Report)
