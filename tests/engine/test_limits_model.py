"""Workers claim, send, give back, seem dead and wake as days go by: no day has more than its limit, the last all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from drip.core.delivery import Outcome, OutcomeKind, Reason, RetryRule
from drip.core.policy import Decision, Skip
from drip.core.settings import Limits
from drip.engine.catalogue import Catalogue
from drip.engine.ledger import Ledger
from drip.engine.records import Claim, Marked
from drip.engine.results import Result
from drip.store.invariants import broken_rules
from tests.lab import Lab, a_sequence, a_step, open_lab

PER_DAY = 7
STEPS = 250
ANSWERS = [Outcome(OutcomeKind.SENT, 250), Outcome(OutcomeKind.UNKNOWN), Outcome(OutcomeKind.DEFERRED, 451)]
BEFORE_THE_DOT: list[Outcome | Decision] = [
    *(Outcome(OutcomeKind.LOST), Outcome(OutcomeKind.DEFERRED, 450), Outcome(OutcomeKind.DOWN)),
    *(Outcome(OutcomeKind.NOT_MARKED), Skip(Reason.WHEN)),
]
LENGTHS = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 300, 600)]


class Crew:
    """A few workers, what each has in hand, and how many messages left on which day, or may have."""

    def __init__(self, lab: Lab, random: Random) -> None:
        self.lab = lab
        self.random = random
        self.left: Counter[date] = Counter()
        self.members = [self._member() for _ in range(3)]

    def step(self) -> None:
        """Something happens."""
        member = self.random.choice(self.members)
        often, seldom = (self.claim, self.mark, self.answer), (self.refuse, self.release, self.fall_asleep, self.die)
        steps: tuple[Callable[[Member], None], ...] = (*often, *often, *often, *seldom, self.wait)
        with self.lab.store.transaction():
            self.random.choice(steps)(member)

    def claim(self, member: Member) -> None:
        member.held += member.ledger.claim(self.lab.now, self.random.randint(1, 5))[0]

    def mark(self, member: Member) -> None:
        held, member.held = member.held, []
        allowed = member.ledger.mark([Marked(claim, 1, b"x") for claim in held], self.lab.now)
        for claim, may_go in zip(held, allowed, strict=True):
            if may_go:
                member.marked.append(claim)
            else:
                member.record(claim, Outcome(OutcomeKind.NOT_MARKED), self.lab)

    def answer(self, member: Member) -> None:
        if member.marked:
            answer = self.random.choice(ANSWERS)
            # What comes late, of a worker that was taken for dead, was counted when it was.
            counts = member.marked[-1] in self._in_hand(member) or not self._is_counted
            self.left[self._day] += counts and answer.kind is not OutcomeKind.DEFERRED
            claim = member.marked.pop()
            member.record(claim, answer, self.lab, marked=True)

    def refuse(self, member: Member) -> None:
        if member.held:
            member.record(member.held.pop(), self.random.choice(BEFORE_THE_DOT), self.lab)

    def release(self, member: Member) -> None:
        member.ledger.release(member.held, self.lab.now)
        member.held = []

    def fall_asleep(self, member: Member) -> None:
        """Another one takes back what it holds; it wakes as if nothing were."""
        self.left[self._day] += len(self._in_hand(member))
        member.ledger.take_back(member.id, self.lab.now)

    def die(self, member: Member) -> None:
        self.fall_asleep(member)
        self.members[self.members.index(member)] = self._member()

    def wait(self, member: Member) -> None:
        self.lab.now += self.random.choice(LENGTHS)

    @property
    def _day(self) -> date:
        return self.lab.now.astimezone(self.lab.settings.timezone).date()

    @property
    def _is_counted(self) -> bool:
        return self.lab.store.database.row("SELECT 1 FROM day WHERE day = ?", self._day.isoformat()) is not None

    def _in_hand(self, member: Member) -> list[Claim]:
        """What it has marked and nobody has taken from it."""
        rows = self.lab.store.database.rows("SELECT id, claim FROM subscription WHERE owner = ?", member.id)
        return [claim for claim in member.marked if (claim.subscription_id, claim.number) in rows]

    def _member(self) -> Member:
        return Member(self.lab)


class Member:
    """One of them."""

    def __init__(self, lab: Lab) -> None:
        self.id = lab.store.claims.register("elsewhere", 1, "1", lab.now, lab.now)
        self.ledger = Ledger(lab.store, lab.settings, Catalogue(lab.store), self.id, Random(1))
        self.held: list[Claim] = []
        self.marked: list[Claim] = []

    def record(self, claim: Claim, outcome: Outcome | Decision, lab: Lab, *, marked: bool = False) -> None:
        self.ledger.record([Result(claim, outcome, 1, marked=marked, at=lab.now)], lab.now)


@pytest.mark.parametrize("seed", range(8))
def test_no_day_has_more_than_its_limit_and_the_last_one_all_of_it(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    zone = ZoneInfo(random.choice(["UTC", "Europe/Madrid", "America/Havana"]))
    retry = RetryRule(attempts=50, factor=1.0)
    with open_lab(tmp_path, limits=Limits(per_day=PER_DAY), timezone=zone, retry=retry) as lab:
        lab.apply(a_sequence(a_step("one"), stale_after=None))
        lab.crowd(150)
        crew = Crew(lab, random)
        for _ in range(STEPS):
            crew.step()
            assert max(crew.left.values(), default=0) <= PER_DAY, crew.left
        assert broken_rules(lab.store.database) == []
        left = crew.left[crew._day]
        for member in crew.members:
            left += len(crew._in_hand(member))
        assert lab.tick().counts["sent"] == PER_DAY - left
