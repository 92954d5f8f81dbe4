"""The store against a small model of what semantics promise: random operations, and after each the two are equal.

`python -m pytest tests/faults/test_model.py --hypothesis-profile thorough` tries many more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.policy import Send
from drip.core.sequence import SequenceStatus, Step
from drip.core.subscription import SuppressionReason
from drip.engine import people
from drip.engine.records import Claim, Marked
from drip.engine.results import Result
from drip.engine.sender import judge
from drip.engine.subscribe import Answer, Request, subscribe_many
from drip.engine.suppress import suppress
from drip.store.invariants import broken_rules, violations
from tests.engine.test_plan_properties import OneThread
from tests.lab import a_sequence, a_step

EMAILS = tuple(f"{name}@example.com" for name in ("ada", "bob", "eve", "kim"))
KEYS = ("a", "b", "c", "d", "e")
"""Of all steps there may be, in the order that they have whenever they are there."""
HOURS = (0, 1, 3, 24)

emails = st.sampled_from(EMAILS)


@dataclass
class Person:
    """What semantics say of one subscription."""

    status: str = "active"
    reason: str | None = None
    last: str | None = None
    """The last step handled."""
    base: datetime | None = None
    """What the wait counts from."""
    next: str | None = None
    due: datetime | None = None
    fixed: bool = False
    """Whether it is due at a moment of its own, not by the schedule."""
    unknown: bool = False
    paused_at: datetime | None = None
    handed: Counter[str] = field(default_factory=Counter)
    """How often each step was given to the server."""
    out: bool = False
    """Whether they have opted out."""

    @property
    def lives(self) -> bool:
        return self.status in ("active", "paused", "failed")

    def end(self, status: str, reason: str | None = None) -> None:
        """Nothing comes any more."""
        self.status, self.reason = status, reason
        self.next = self.due = None
        self.fixed = self.unknown = False


class Model(RuleBasedStateMachine):
    """One sequence, four people, a worker that sends, is refused or dies, and everybody who writes."""

    @initialize()
    def begin(self) -> None:
        self.lab = OneThread(1)
        self.opened = self.lab.store.opened()
        self.opened.__enter__()
        self.people: dict[str, Person] = {}
        self.delays: dict[str, int] = {}
        self.active = True
        self.suppressed: set[str] = set()
        self._apply({"a": 0, "b": 1, "c": 24})
        self.lab.start()

    # What is written from outside.

    @rule(email=emails)
    def subscribe(self, email: str) -> None:
        wanted = [Request(email, variables={"n": 1})]
        (answered,) = subscribe_many(self.lab.store, self.lab.settings, "welcome", wanted, self.lab.now)
        there = self.people.get(email)
        if not self.active:
            assert answered.answer is Answer.REFUSED, "archived: also who is in it already"
        elif there is not None and there.lives:
            assert answered.answer is Answer.EXISTING
        elif there is not None or email in self.suppressed:
            assert answered.answer is Answer.REFUSED
        else:
            assert answered.answer is Answer.CREATED
            self.people[email] = Person(base=self.lab.now)
            self._onward(self.people[email])

    @rule(email=emails)
    def pause(self, email: str) -> None:
        if self._status(email) == "active":
            people.pause(self.lab.store, "welcome", email, self.lab.now)
            self.people[email].status, self.people[email].paused_at = "paused", self.lab.now

    @rule(email=emails)
    def resume(self, email: str) -> None:
        if self._status(email) == "paused":
            people.resume(self.lab.store, self.lab.settings, "welcome", email, self.lab.now)
            one = self.people[email]
            assert one.paused_at is not None
            assert one.base is not None
            slept = self.lab.now - one.paused_at
            one.status, one.paused_at, one.base = "active", None, one.base + slept
            one.due = None if one.due is None else one.due + slept

    @rule(email=emails)
    def cancel(self, email: str) -> None:
        if self._status(email) in ("active", "paused", "failed"):
            people.cancel(self.lab.store, "welcome", email, self.lab.now)
            self.people[email].end("cancelled", "manual")

    @rule(email=emails, reason=st.sampled_from([SuppressionReason.UNSUBSCRIBED, SuppressionReason.MANUAL]))
    def opt_out(self, email: str, reason: SuppressionReason) -> None:
        suppress(self.lab.store, email, reason, self.lab.now)
        first = email not in self.suppressed
        self.suppressed.add(email)
        one = self.people.get(email)
        if one is not None and one.lives and first:
            one.end("cancelled", "unsubscribed" if reason is SuppressionReason.UNSUBSCRIBED else "suppressed")
        if one is not None:
            one.out = True

    @rule(email=emails, number=st.integers(0, 3))
    def set_variables(self, email: str, number: int) -> None:
        if self._status(email) in ("active", "paused", "failed"):
            people.set_variables(self.lab.store, self.lab.settings, "welcome", email, {"n": number}, self.lab.now)

    @rule(email=emails)
    def retry(self, email: str) -> None:
        if self._status(email) == "failed":
            people.retry(self.lab.store, self.lab.settings, self.lab.now, slug="welcome", email=email)
            one = self.people[email]
            one.status, one.due, one.fixed = "active", self.lab.now, True

    @rule(sent=st.booleans())
    def resolve(self, sent: bool) -> None:
        """An operator who knows: what was handed over is said to be sent, and the other way round, or not settled."""
        for delivery in self.lab.store.deliveries.unknown():
            one = self.people[delivery.email]
            if (one.handed[delivery.step] > 0) is not sent:
                continue
            people.resolve(self.lab.store, self.lab.settings, delivery.id, sent=sent, now=self.lab.now)
            if not one.unknown:
                continue
            one.unknown = False
            if sent:
                one.last, one.base = delivery.step, self.marked_at[delivery.email]
                self._onward(one)
            else:
                one.due, one.fixed = self.lab.now, True

    # Edits.

    @rule(key=st.sampled_from(KEYS), hours=st.sampled_from(HOURS))
    def add_or_change(self, key: str, hours: int) -> None:
        self._apply({**self.delays, key: hours})

    @rule(key=st.sampled_from(KEYS[1:]))
    def remove(self, key: str) -> None:
        """A step that nobody has had last and nobody's doubt is about: what comes after it is a question else."""
        held = {one.last for one in self.people.values()}
        held |= {one.next for one in self.people.values() if one.unknown or one.fixed or one.status == "failed"}
        if key not in held:
            self._apply({other: hours for other, hours in self.delays.items() if other != key})

    @rule(active=st.booleans())
    def archive(self, active: bool) -> None:
        self.active = active
        self._apply(self.delays)

    def _apply(self, delays: dict[str, int]) -> None:
        before, self.delays = self.delays, delays
        status = SequenceStatus.ACTIVE if self.active else SequenceStatus.ARCHIVED
        self.lab.apply(a_sequence(*self._steps(), status=status))
        if before == delays:
            return
        for one in self.people.values():
            if one.status in ("active", "paused") and not one.unknown:
                was = one.due, one.fixed, one.next
                self._onward(one)
                if was[1] and one.next == was[2]:
                    one.due, one.fixed = was[0], True

    def _steps(self) -> list[Step]:
        return [a_step(key, f"{self.delays[key]}h") for key in KEYS if key in self.delays]

    # Time and the worker.

    @rule(length=st.sampled_from(["30m", "1h", "3h", "1d"]))
    def wait(self, length: str) -> None:
        self.lab.move(length)

    @rule(refused=st.sets(emails, max_size=1))
    def run(self, refused: set[str]) -> None:
        """A pass: everybody who is due gets one step."""
        self._pass(lambda email: OutcomeKind.REFUSED if email in refused else OutcomeKind.SENT)

    @rule(handed=st.booleans())
    def kill(self, handed: bool) -> None:
        """A worker dies when it has marked what was due: with the final dots said, or just before them."""
        due = self._due()
        claims = self._claim()
        assert {claim.email for claim in claims} == due
        for claim in claims:
            assert self._mark(claim)
            one = self.people[claim.email]
            assert one.next is not None
            one.handed[one.next] += handed
            one.unknown, one.due, one.fixed = True, None, False
            self.marked_at[claim.email] = self.lab.now
        with self.lab.store.transaction():
            self.lab.ledger.take_back(self.lab.worker_id, self.lab.now)

    @rule()
    def die_early(self) -> None:
        """A worker dies with claims and no marks: as if nothing had been."""
        self._claim()
        with self.lab.store.transaction():
            self.lab.ledger.take_back(self.lab.worker_id, self.lab.now)

    @precondition(lambda self: self.people)
    @rule(email=emails)
    def opt_out_between_claim_and_mark(self, email: str) -> None:
        """What was claimed is not marked after an opt-out."""
        claims = self._claim()
        self.opt_out(email, SuppressionReason.UNSUBSCRIBED)
        for claim in claims:
            if claim.email == email:
                assert not self._mark(claim)
                self._record(claim, OutcomeKind.NOT_MARKED, marked=False)
            else:
                self._send(claim, OutcomeKind.SENT)

    def _pass(self, kind_of: Callable[[str], OutcomeKind]) -> None:
        due = self._due()
        claims = self._claim()
        assert {claim.email for claim in claims} == due
        for claim in claims:
            self._send(claim, kind_of(claim.email))

    def _send(self, claim: Claim, kind: OutcomeKind) -> None:
        assert self._mark(claim)
        self._record(claim, kind, marked=True)
        one = self.people[claim.email]
        assert one.next is not None
        if kind is OutcomeKind.SENT:
            one.handed[one.next] += 1
            one.last, one.base = one.next, self.lab.now
            self._onward(one)
        else:
            one.status, one.due, one.fixed = "failed", None, False

    def _claim(self) -> list[Claim]:
        self.lab.ledger.begin(self.lab.now)
        with self.lab.store.transaction():
            claims, _, _ = self.lab.ledger.claim(self.lab.now, 100)
        return claims

    def _mark(self, claim: Claim) -> bool:
        stored = self.lab.catalogue.get(claim.sequence_id)
        assert isinstance(judge(stored, claim, self.lab.settings, self.lab.now), Send)
        with self.lab.store.transaction():
            return self.lab.ledger.mark([Marked(claim, stored.revision, b"")], self.lab.now)[0]

    def _record(self, claim: Claim, kind: OutcomeKind, *, marked: bool) -> None:
        revision = self.lab.catalogue.get(claim.sequence_id).revision
        with self.lab.store.transaction():
            self.lab.ledger.record([Result(claim, Outcome(kind, 550, None, "x"), revision, marked)], self.lab.now)

    # The model's own reckoning.

    @property
    def marked_at(self) -> dict[str, datetime]:
        moments: dict[str, datetime] = self.__dict__.setdefault("_marked_at", {})
        return moments

    def _status(self, email: str) -> str:
        return self.people[email].status if email in self.people else ""

    def _due(self) -> set[str]:
        return {
            email
            for email, one in self.people.items()
            if self.active and one.status == "active" and one.due is not None and one.due <= self.lab.now
        }

    def _onward(self, one: Person) -> None:
        """The first step, in today's order, behind the last one handled; a person without one is done."""
        behind = -1 if one.last is None else KEYS.index(one.last)
        left = [key for key in KEYS[behind + 1 :] if key in self.delays]
        if not left:
            one.end("completed")
            return
        assert one.base is not None
        one.next, one.fixed = left[0], False
        one.due = one.base + timedelta(hours=self.delays[left[0]])

    # What must be equal.

    @invariant()
    def the_store_is_the_model(self) -> None:
        if not hasattr(self, "people"):
            return
        rows = self.lab.store.database.rows(
            "SELECT c.email, s.status, s.cancel_reason, t.key, s.next_send_at FROM subscription s"
            " JOIN contact c ON c.id = s.contact_id LEFT JOIN step t ON t.id = s.next_step_id"
        )
        found = {email: (status, reason, key, due) for email, status, reason, key, due in rows}
        wanted = {
            email: (one.status, one.reason, one.next, None if one.due is None else int(one.due.timestamp() * 1000))
            for email, one in self.people.items()
        }
        assert found == wanted

    @invariant()
    def nobody_is_mailed_twice_or_forgotten(self) -> None:
        if not hasattr(self, "people"):
            return
        for email, one in self.people.items():
            assert all(count == 1 for count in (+one.handed).values()), (email, one.handed)
        rows = self.lab.store.database.rows(
            "SELECT c.email, t.key FROM delivery d JOIN subscription s ON s.id = d.subscription_id"
            " JOIN contact c ON c.id = s.contact_id JOIN step t ON t.id = d.step_id WHERE d.state = 'sent'"
        )
        for email, key in rows:
            assert self.people[email].handed[key] == 1, (email, key)

    @invariant()
    def the_state_is_legal(self) -> None:
        if hasattr(self, "people"):
            assert broken_rules(self.lab.store.database) == []

    def teardown(self) -> None:
        if not hasattr(self, "opened"):
            return
        try:
            assert violations(self.lab.store.database) == []
        finally:
            self.opened.__exit__(None, None, None)


_thorough = settings.get_current_profile_name() == "thorough"
_examples = settings.get_profile("thorough").max_examples if _thorough else 60
Model.TestCase.settings = settings(
    max_examples=_examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestModel = pytest.mark.slow(Model.TestCase)
