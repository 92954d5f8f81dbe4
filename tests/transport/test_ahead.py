"""What is chosen while another message is still on its way: nobody waits for ever, and nothing is said in vain."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from drip.core.delivery import Outcome
from drip.core.delivery import OutcomeKind as Kind
from drip.transport.conversation import Habits
from drip.transport.smtp import SmtpTransport
from tests.smtp_server import SmtpServer
from tests.transport.conftest import settings_for
from tests.transport.test_fleet import Desk, Parcel, carry, carry_over, recipients

Serve = Callable[..., SmtpServer]


@dataclass
class Crowd(Desk):
    """There is always somebody more, until all of `awaited` have been told of."""

    awaited: set[str] = field(default_factory=set)
    given: int = 0
    at_most: int = 200_000

    def take(self, count: int) -> list[Parcel]:
        taken = super().take(count)
        while self.awaited and self.given < self.at_most and len(taken) < count:
            self.given += 1
            taken.append(Parcel(f"more{self.given}@example.com"))
        return taken

    def done(self, parcel: Parcel, outcome: Outcome) -> None:
        super().done(parcel, outcome)
        self.awaited.discard(parcel.recipient)


def test_who_waits_behind_one_that_is_not_answered_goes_before_those_who_come_later(serve: Serve) -> None:
    server = serve("dot~slow@*=stall")
    names = [f"p{number}@example.com" for number in range(40)]
    names.insert(20, "slow@example.com")
    habits = Habits(dot_timeout=timedelta(seconds=2), messages=1_000_000)
    desk = Crowd([Parcel(name) for name in names], awaited=set(names) - {"slow@example.com"})
    carry(server, desk, 2, habits)
    assert list(desk.outcomes)[-1] == "slow@example.com"
    assert {desk.kinds[name] for name in names} == {Kind.SENT, Kind.UNKNOWN}
    assert sorted(recipients(server)) == sorted({*desk.outcomes} - {"slow@example.com"})


@pytest.mark.parametrize(("script", "connections"), [("after-dot=deaf", 2), ("after-dot=twice", 12)])
def test_a_server_that_does_not_bear_what_comes_with_the_dot_is_spared_it(
    serve: Serve, script: str, connections: int
) -> None:
    server = serve(script)
    names = [f"p{number}@example.com" for number in range(12)]
    settings = settings_for(server.port, connections=1, timeout=timedelta(seconds=1))
    desk = Desk([Parcel(name) for name in names])
    with closing(SmtpTransport(settings).fleet()) as fleet:
        fleet.carry(desk)
    assert desk.kinds == dict.fromkeys(names, Kind.SENT)
    assert recipients(server) == names
    assert server.connections == connections
    assert server.reached("data") <= len(names) + 1, "that it does not bear it is found out once"


class _Narrow:
    """A socket that takes the first dot, and of what comes with it nothing more until it is given up."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._full, self._other = socket.socketpair()
        self._full.setblocking(False)
        with suppress(BlockingIOError):
            while self._full.send(b"x" * 4096):
                pass
        self._takes = True

    def send(self, octets: memoryview) -> int:
        if not self._takes:
            raise BlockingIOError
        if bytes(octets[:3]) != b".\r\n" or len(octets) == 3:
            return self._sock.send(octets)
        self._takes = False
        return self._sock.send(octets[:3])

    def fileno(self) -> int:
        if self._takes:
            return self._sock.fileno()
        self._takes = True
        return self._full.fileno()

    def close(self) -> None:
        for sock in (self._sock, self._full, self._other):
            sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_the_answer_counts_where_only_the_dot_could_be_sent(serve: Serve) -> None:
    server = serve()
    names = [f"p{number}@example.com" for number in range(5)]
    desk = carry_over(server, Desk([Parcel(name) for name in names]), _Narrow)
    assert desk.kinds == dict.fromkeys(names, Kind.SENT)
    assert recipients(server) == names
