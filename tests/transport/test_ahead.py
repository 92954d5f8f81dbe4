"""What is chosen while another message is still on its way: nobody waits for ever, and nothing is said in vain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from drip.core.delivery import Outcome
from drip.core.delivery import OutcomeKind as Kind
from drip.transport.conversation import Habits
from tests.smtp_server import SmtpServer
from tests.transport.test_fleet import Desk, Parcel, carry, recipients

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
