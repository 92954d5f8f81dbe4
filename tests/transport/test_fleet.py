"""Many conversations in one thread: nobody waits for another, marks are made together, commands go out together."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from drip.core.delivery import Outcome
from drip.core.delivery import OutcomeKind as Kind
from drip.engine.points import Point, listen
from drip.engine.ports import Envelope
from drip.transport import fleet
from drip.transport.conversation import Habits
from drip.transport.fleet import SmtpFleet
from drip.transport.smtp import SmtpTransport
from tests.smtp_server import Features, SmtpServer
from tests.transport.conftest import settings_for

Serve = Callable[..., SmtpServer]

GROUP = 8
CONTENT = b"Message-ID: <1@example.org>\r\n\r\nHello.\r\n"


@dataclass(frozen=True)
class Parcel:
    recipient: str
    content: bytes = CONTENT

    @property
    def envelope(self) -> Envelope:
        return Envelope("us@example.org", self.recipient, "t")


@dataclass
class Desk:
    """Parcels in order, and what came of them in the order it came."""

    parcels: list[Parcel]
    refused: frozenset[str] = frozenset()
    """Whose mark is refused."""
    late: set[str] = field(default_factory=set)
    """Who is not begun when their turn comes, but later."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    groups: list[list[str]] = field(default_factory=list)
    """Who was marked together."""
    holds = False

    def take(self, count: int) -> list[Parcel]:
        taken, self.parcels = self.parcels[:count], self.parcels[count:]
        return taken

    def prepare(self) -> bool:
        return False

    def still(self, parcel: Parcel) -> bool:
        if parcel.recipient in self.late:
            self.late.discard(parcel.recipient)
            self.parcels.append(parcel)
            return False
        return True

    def mark(self, parcels: Sequence[Parcel]) -> list[bool]:
        self.groups.append([parcel.recipient for parcel in parcels])
        return [parcel.recipient not in self.refused for parcel in parcels]

    def try_mark(self, parcels: Sequence[Parcel]) -> list[bool] | None:
        return self.mark(parcels)

    def done(self, parcel: Parcel, outcome: Outcome) -> None:
        self.outcomes[parcel.recipient] = outcome

    def flush(self) -> None:
        pass

    @property
    def kinds(self) -> dict[str, Kind]:
        return {recipient: outcome.kind for recipient, outcome in self.outcomes.items()}


def carry(server: SmtpServer, desk: Desk, connections: int = 4, habits: Habits | None = None) -> Desk:
    with closing(SmtpTransport(settings_for(server.port, connections=connections), habits=habits).fleet()) as it:
        it.carry(desk)
    return desk


def carry_over(server: SmtpServer, desk: Desk, socket_of: Callable[[Any], Any]) -> Desk:
    """Over one connection whose socket is what is made of it, and which is given up after half a second."""
    with closing(SmtpTransport(settings_for(server.port, connections=1)).fleet()) as it:
        conversation = it._lanes[0].conversation
        connect = conversation.connect

        def connected() -> Any:
            wire = connect()
            wire.sock = socket_of(wire.sock)
            wire.timeout = 0.5
            return wire

        conversation.connect = connected
        it.carry(desk)
    return desk


def recipients(server: SmtpServer) -> list[str]:
    return [message.recipients[0] for message in server.messages]


def test_everybody_gets_theirs_over_few_connections(serve: Serve) -> None:
    server = serve()
    names = [f"p{number}@example.com" for number in range(200)]
    desk = carry(server, Desk([Parcel(name) for name in names]))
    assert desk.kinds == dict.fromkeys(names, Kind.SENT)
    assert sorted(recipients(server)) == sorted(names)
    assert server.connections == 4
    assert sorted(name for group in desk.groups for name in group) == sorted(names)


def test_one_that_is_not_answered_holds_nobody_up(serve: Serve) -> None:
    server = serve("dot~slow@*=stall")
    names = ["slow@example.com", *(f"p{number}@example.com" for number in range(50))]
    desk = carry(server, Desk([Parcel(name) for name in names]), 2, Habits(dot_timeout=timedelta(seconds=0.5)))
    assert list(desk.outcomes)[-1] == "slow@example.com"
    assert desk.kinds.pop("slow@example.com") is Kind.UNKNOWN
    assert len(server.messages) == 50


LAST_ANSWER = re.compile(rb"(go ahead|queued as \S+)\r\n$")
"""To DATA, or to the dot."""


class SlowCommit(Desk):
    """One commit takes an hour, in which everybody else is answered."""

    fleet: SmtpFleet
    passed = 0.0

    def mark(self, parcels: Sequence[Parcel]) -> list[bool]:
        wires = [lane.conversation.wire.sock for lane in self.fleet._waiting.values()]
        if not self.passed and len(wires) > 2 * GROUP:
            for wire in wires:
                wire.settimeout(20)
                while not LAST_ANSWER.search(wire.recv(65536, socket.MSG_PEEK)):
                    time.sleep(0.001)
                wire.settimeout(0)
            self.passed = 3600.0
        return super().mark(parcels)


def test_who_was_answered_while_we_could_not_listen_was_answered(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(latency=0.01)
    names = [f"p{number}@example.com" for number in range(120)]
    desk = SlowCommit([Parcel(name) for name in names])
    monkeypatch.setattr(fleet, "MOST", GROUP)  # the others wait for us
    monkeypatch.setattr(fleet, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + desk.passed))
    with closing(SmtpTransport(settings_for(server.port, connections=24)).fleet()) as desk.fleet:
        desk.fleet.carry(desk)
    assert desk.passed
    assert desk.kinds == dict.fromkeys(names, Kind.SENT)
    assert server.connections == 24


def test_who_waits_behind_one_that_is_not_answered_goes_over_another_connection(serve: Serve) -> None:
    server = serve("dot~slow@*=stall")
    names = [f"p{number}@example.com" for number in range(40)]
    names.insert(20, "slow@example.com")
    desk = carry(server, Desk([Parcel(name) for name in names]), 2, Habits(dot_timeout=timedelta(seconds=2)))
    assert list(desk.outcomes)[-1] == "slow@example.com"
    assert desk.kinds == {name: Kind.UNKNOWN if "slow" in name else Kind.SENT for name in names}
    assert sorted(recipients(server)) == sorted({*names} - {"slow@example.com"})


class Busy(Desk):
    """Somebody else writes whenever one asks for the first time, and for a while from the tenth on."""

    asked = refused_marks = prepared = 0

    def prepare(self) -> bool:
        self.prepared += 1
        return False

    def try_mark(self, parcels: Sequence[Parcel]) -> list[bool] | None:
        self.asked += 1
        if self.asked % 2 or 10 < len(self.outcomes) < 13:
            self.refused_marks += 1
            return None
        return self.mark(parcels)


def test_while_somebody_else_writes_letters_are_made_and_then_it_is_waited_for(serve: Serve) -> None:
    server = serve()
    names = [f"p{number}@example.com" for number in range(40)]
    desk = Busy([Parcel(name) for name in names])
    carry(server, desk)
    assert sorted(recipients(server)) == sorted(names)
    assert desk.kinds == dict.fromkeys(names, Kind.SENT)
    assert desk.prepared >= desk.refused_marks > 10
    assert sum(map(len, desk.groups)) == 40, "nobody is marked twice"


class Waiting(Desk):
    """Somebody else writes until many are there to be marked."""

    waited_in_vain = False

    def mark(self, parcels: Sequence[Parcel]) -> list[bool]:
        self.waited_in_vain |= bool(self.parcels) and len(parcels) <= GROUP
        return super().mark(parcels)

    def try_mark(self, parcels: Sequence[Parcel]) -> list[bool] | None:
        return super().mark(parcels) if len(parcels) > GROUP or not self.parcels else None


def test_while_somebody_else_writes_more_join_those_that_wait(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "PATIENCE", 5.0)
    names = [f"p{number}@example.com" for number in range(120)]
    desk = Waiting([Parcel(name) for name in names])
    carry(serve(latency=0.01), desk, 24)
    assert desk.kinds == dict.fromkeys(names, Kind.SENT)
    assert not desk.waited_in_vain


class Commits(Desk):
    """One that takes some time for each."""

    seconds = 0.0

    def mark(self, parcels: Sequence[Parcel]) -> list[bool]:
        time.sleep(self.seconds)
        return super().mark(parcels)


def commits(serve: Serve, *, server: float, commit: float) -> list[int]:
    """How many were marked together each time, of 120 over 24 connections, where both take so many seconds."""
    desk = Commits([Parcel(f"p{number}@example.com") for number in range(120)])
    desk.seconds = commit
    carry(serve(latency=server), desk, 24)
    assert sum(map(len, desk.groups)) == 120
    return [len(group) for group in desk.groups]


def test_each_has_its_own_commit_where_servers_leave_the_time_for_it(serve: Serve) -> None:
    groups = commits(serve, server=0.1, commit=0)
    assert groups.count(1) > len(groups) * 0.8


def test_many_share_a_commit_that_takes_longer_than_servers_leave(serve: Serve) -> None:
    groups = commits(serve, server=0.01, commit=0.05)
    assert len(groups) < 30
    assert max(groups) > GROUP


@pytest.mark.parametrize(("offers", "announced"), [(("PIPELINING",), True), ((), False)])
def test_the_next_message_is_announced_with_the_dot(serve: Serve, offers: tuple[str, ...], announced: bool) -> None:
    server = serve(features=Features(offers=offers))
    names = [f"p{number}@example.com" for number in range(3)]
    with points_of_sending() as points:
        carry(server, Desk([Parcel(name) for name in names]), 1)
    assert recipients(server) == names
    third, dot_sent = (
        [at for at, one in enumerate(points) if one is point][-1] for point in (Point.MAIL, Point.DOT_SENT)
    )
    second = [at for at, one in enumerate(points) if one is Point.DOT_SENT][-2]
    assert (third < second) is announced
    assert third < dot_sent


def test_one_that_was_announced_and_may_not_be_begun_any_more_goes_later(serve: Serve) -> None:
    server = serve()
    names = [f"p{number}@example.com" for number in range(10)]
    desk = carry(server, Desk([Parcel(name) for name in names], late={"p4@example.com"}), 1)
    assert recipients(server) == [name for name in names if name != "p4@example.com"] + ["p4@example.com"]
    assert server.connections == 2, "what was announced can't be taken back"
    assert set(desk.kinds.values()) == {Kind.SENT}


@pytest.mark.parametrize(
    ("script", "connections", "kinds"),
    [
        pytest.param("dot#5=reply 554 5.7.1 no", 1, {"p4": Kind.REFUSED}, id="the one before is refused"),
        pytest.param("dot#5=reply 451 4.3.0 later", 1, {"p4": Kind.DEFERRED}, id="the one before is deferred"),
        pytest.param("after-dot#5=drop", 2, {"p4": Kind.UNKNOWN}, id="the connection ends instead of the answer"),
        pytest.param("dot#5=twice", 2, {}, id="the one before is answered twice"),
        pytest.param("mail#6=twice", 2, {}, id="its sender is answered twice"),
        pytest.param("data#6=drop", 2, {}, id="the connection ends before its body"),
        pytest.param("mail#6=drop", 2, {}, id="the connection ends after the answer"),
        pytest.param("mail#6=reply 421 4.7.0 enough", 2, {}, id="the server ends the connection after the answer"),
        pytest.param("mail#6=reply 503 5.5.1 nested MAIL", 2, {}, id="the server thinks the last one is not over"),
        pytest.param("rcpt#6=reply 550 5.1.1 nobody", 1, {"p5": Kind.NO_MAILBOX}, id="its recipient is refused"),
        pytest.param("mail#6=reply 450 4.7.1 slow down", 1, {"p5": Kind.DOWN}, id="its sender is deferred"),
    ],
)
def test_what_happens_to_one_says_nothing_of_the_other(
    serve: Serve, script: str, connections: int, kinds: dict[str, Kind]
) -> None:
    server = serve(script)
    names = [f"p{number}" for number in range(10)]
    desk = carry(server, Desk([Parcel(f"{name}@example.com") for name in names]), 1)
    assert desk.kinds == {f"{name}@example.com": kinds.get(name, Kind.SENT) for name in names}
    assert server.connections == connections


def test_a_mark_that_is_refused_ends_its_own_connection_only(serve: Serve) -> None:
    server = serve("mail=delay 0.05")
    names = [f"p{number}@example.com" for number in range(8)]
    desk = carry(server, Desk([Parcel(name) for name in names], frozenset(names[:1])))
    assert desk.kinds.pop(names[0]) is Kind.NOT_MARKED
    assert set(desk.kinds.values()) == {Kind.SENT, Kind.NOT_MARKED}
    assert len(server.messages) == 7
    assert server.connections <= 5


def test_a_server_that_turns_everybody_away_is_asked_once(serve: Serve) -> None:
    server = serve("banner=reply 421 4.3.2 no")
    desk = carry(server, Desk([Parcel(f"p{number}@example.com") for number in range(4)]))
    assert set(desk.kinds.values()) == {Kind.DOWN}
    assert server.messages == []


@pytest.mark.parametrize(("offers", "together"), [(("PIPELINING",), True), ((), False)])
def test_mail_rcpt_and_data_go_out_together_where_the_server_takes_it(
    serve: Serve, offers: tuple[str, ...], together: bool
) -> None:
    server = serve(features=Features(offers=offers))
    with points_of_sending() as points:
        carry(server, Desk([Parcel("ana@example.com")]), 1)
    said = [points.index(point) for point in (Point.MAIL, Point.RCPT, Point.DATA)]
    assert (points.index(Point.MAIL_ANSWERED) > max(said)) is together
    assert points.index(Point.DATA_ANSWERED) < points.index(Point.BODY) < points.index(Point.DOT)


@contextmanager
def points_of_sending() -> Iterator[list[Point]]:
    points: list[Point] = []
    listen(points.append)
    try:
        yield points
    finally:
        listen(None)


@pytest.mark.parametrize(
    ("answer", "connections"),
    [("554 5.5.1 no valid recipients", 1), ("451 4.3.0 later", 1), ("250 2.0.0 queued", 2), ("421 4.3.2 bye", 2)],
)
def test_a_message_for_nobody_ends_empty(serve: Serve, answer: str, connections: int) -> None:
    server = serve("rcpt~bad@*=reply 550 5.1.1 no such user", features=Features(answer_for_nobody=answer))
    desk = carry(server, Desk([Parcel("bad@example.com"), Parcel("ana@example.com")]), 1)
    assert desk.kinds == {"bad@example.com": Kind.NO_MAILBOX, "ana@example.com": Kind.SENT}
    assert desk.groups == [["ana@example.com"]]
    assert server.for_nobody == [b""]
    assert [message.recipients for message in server.messages] == [("ana@example.com",)]
    assert server.connections == connections


def test_data_taken_after_a_refused_sender_ends_the_connection_without_a_dot(serve: Serve) -> None:
    server = serve("mail~us@*#1=reply 450 4.3.0 later", features=Features(answer_for_nobody="250 2.0.0 queued"))
    desk = carry(server, Desk([Parcel("ana@example.com")]), 1)
    assert desk.kinds == {"ana@example.com": Kind.DOWN}
    assert server.for_nobody == []
    assert server.messages == []


def test_a_connection_that_dies_behind_a_refusal_changes_nothing_about_it(serve: Serve) -> None:
    server = serve("rcpt~bad@*=reply 550 5.1.1 no such user", "rset=drop")
    desk = carry(server, Desk([Parcel("bad@example.com"), Parcel("ana@example.com")]), 1)
    assert desk.kinds == {"bad@example.com": Kind.NO_MAILBOX, "ana@example.com": Kind.SENT}


class _Shaking:
    """A socket over which TLS wants to shake hands anew before the body goes: it waits for the other side to speak."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.tries = 0

    def send(self, octets: memoryview) -> int:
        if not bytes(octets).startswith(b"Message-ID"):
            return self._sock.send(octets)
        self.tries += 1
        assert self.tries < 100, "it is tried again and again while nothing comes"
        raise ssl.SSLWantReadError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_what_can_only_be_sent_once_the_server_has_spoken_waits_for_that_and_not_for_ever(serve: Serve) -> None:
    desk = carry_over(serve(), Desk([Parcel("ana@example.com")]), _Shaking)
    assert desk.kinds == {"ana@example.com": Kind.LOST}
