"""The discipline of the ledger: claim, mark, record. Runs inside the caller's transaction, on one thread.

Everything that changes people because of a message happens here, once per result, whoever made the result: the
worker, the sweep after a dead worker, or a person who settles an unknown delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from drip.core.delivery import DeliveryState, Outcome, OutcomeKind, Reason, retry_wait
from drip.core.policy import Cancel, Decision, Defer, Fail, Skip
from drip.core.progress import Progress, upcoming
from drip.core.schedule import subscriber_zone
from drip.core.settings import OnUnknown, Settings
from drip.core.subscription import CancelReason, SuppressionReason
from drip.engine.breaker import Breaker
from drip.engine.catalogue import Catalogue
from drip.engine.ports import Store
from drip.engine.records import Advance, Claim, Event, EventType, Marked, Person
from drip.engine.suppress import suppress

POISON_AFTER = 3
"""Connections in a row that may die on one message before it is set aside."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one claim: a decision before rendering, or the outcome of handing it over."""

    claim: Claim
    outcome: Outcome | Decision
    revision: int
    """Of the sequence as it was rendered."""
    marked: bool = False
    """Whether the delivery was marked as sending."""
    at: datetime | None = None
    """When the answer came; None takes the moment of recording."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What was recorded, as it is counted and shown."""

    kind: str
    """`sent`, `deferred`, `failed`, `skipped`, `cancelled`, `unknown`, `released`."""
    claim: Claim
    step: str
    reason: str = ""
    text: str = ""
    completed: bool = False
    """Whether the subscription is completed by it."""
    breaker: bool = False
    """Whether so many were refused that the fault must be ours: stop."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A result with what is needed to record it."""

    claim: Claim
    person: Person
    handled: frozenset[str]
    step: str
    revision: int
    marked: bool
    at: datetime


class Ledger:
    """Records for one worker."""

    def __init__(self, store: Store, settings: Settings, catalogue: Catalogue, worker_id: int, random: Random) -> None:
        self._store = store
        self._settings = settings
        self._catalogue = catalogue
        self._worker_id = worker_id
        self._random = random
        self._breaker = Breaker(store, catalogue, self._upcoming)

    def begin(self, now: datetime) -> None:
        """A pass begins: the breaker is closed."""
        self._breaker.close(now)

    def claim(self, now: datetime, limit: int) -> list[Claim]:
        """Claim what is due; see `store.claims.claim`."""
        claims = self._store.claims.claim(self._worker_id, now, limit)
        if claims:
            self._catalogue.refresh(claim.sequence_id for claim in claims)
        return claims

    def mark(self, marked: Marked, now: datetime) -> bool:
        """The fence and the last look at consent: False means that the dot must not be sent."""
        return self._store.claims.mark(self._worker_id, marked, now)

    def release(self, claims: Sequence[Claim]) -> None:
        """Give back claims that nothing was done with."""
        self._store.claims.release(self._worker_id, claims)

    def record(self, results: Sequence[Result], now: datetime) -> list[Fact]:
        """Write what came of each claim, move the people on, append the events."""
        ids = [result.claim.subscription_id for result in results]
        self._catalogue.refresh(result.claim.sequence_id for result in results)
        people = self._store.subscriptions.people(ids)
        handled = self._store.subscriptions.handled(ids)
        facts = []
        for result in results:
            claim = result.claim
            keys = self._catalogue.get(claim.sequence_id).keys
            case = _Case(
                claim=claim,
                person=people[claim.subscription_id],
                handled=frozenset(keys[step_id] for step_id in handled[claim.subscription_id]),
                step=keys[claim.step_id],
                revision=result.revision,
                marked=result.marked,
                at=result.at or now,
            )
            facts.append(self._record(case, result.outcome))
        # Whatever was not moved on is given back: the person was paused, cancelled or edited meanwhile.
        self.release([result.claim for result in results])
        return facts

    def sweep(self, worker_id: int, now: datetime) -> int:
        """Take back all that a worker held that is gone; how many deliveries became unknown."""
        marked = self._store.claims.sending_of(worker_id)
        for subscription_id, step_id, number in marked:
            self.doubt(subscription_id, step_id, number, Reason.INTERRUPTED, now)
        self._store.claims.free_all(worker_id)
        self._store.claims.end(worker_id, now)
        return len(marked)

    def doubt(self, subscription_id: int, step_id: int, number: int, reason: Reason, now: datetime) -> bool:
        """A marked delivery whose fate is not known: hold it, or go on, as `on_unknown` says. Whether it completes."""
        rule = self._settings.on_unknown
        state, why = (
            (DeliveryState.DEFERRED, Reason.NOT_SENT) if rule is OnUnknown.RESEND else (DeliveryState.UNKNOWN, reason)
        )
        if not self._store.claims.settle(subscription_id, step_id, number, state, now, reason=why):
            return False
        person = self._store.subscriptions.people([subscription_id])[subscription_id]
        self._event(EventType.STEP_UNKNOWN, person, step_id, now, reason=reason.value, rule=rule.value)
        if rule is OnUnknown.ASSUME_SENT:
            return self.go_on(person, step_id, number, handled_at=now, sent_at=now)
        until = now if rule is OnUnknown.RESEND else None
        self._store.claims.postpone(subscription_id, step_id, number, until, now)
        return False

    def go_on(
        self, person: Person, step_id: int, number: int, *, handled_at: datetime, sent_at: datetime | None
    ) -> bool:
        """Move a person on from a step that was handled; whether that completes the subscription."""
        self._catalogue.refresh([person.sequence_id])
        stored = self._catalogue.get(person.sequence_id)
        handled = {stored.keys[known] for known in self._store.subscriptions.handled([person.id])[person.id]}
        return self._advance(person, frozenset(handled), step_id, number, handled_at, sent_at)

    def _record(self, case: _Case, outcome: Outcome | Decision) -> Fact:
        match outcome:
            case Skip(reason):
                return self._skipped(case, reason)
            case Cancel(reason):
                return self._cancelled(case, reason)
            case Defer(reason, until):
                return self._deferred(case, reason, until, attempts=case.claim.attempts)
            case Fail(reason, text):
                return self._failed(case, reason, Outcome(OutcomeKind.REFUSED, text=text), attempts=case.claim.attempts)
            case Outcome():
                return self._answered(case, outcome)
        raise AssertionError(f"{outcome!r} is not to be recorded")

    def _answered(self, case: _Case, outcome: Outcome) -> Fact:
        match outcome.kind:
            case OutcomeKind.SENT:
                return self._sent(case, outcome)
            case OutcomeKind.UNKNOWN:
                claim = case.claim
                completed = self.doubt(claim.subscription_id, claim.step_id, claim.number, Reason.NO_ANSWER, case.at)
                return self._fact(case, "unknown", Reason.NO_ANSWER, outcome.text, completed)
            case OutcomeKind.DEFERRED:
                return self._try_later(case, Reason.TEMPORARY, outcome)
            case OutcomeKind.LOST:
                return self._try_later(case, Reason.CONNECTION, outcome)
            case OutcomeKind.REFUSED:
                return self._failed(case, Reason.REFUSED, outcome)
            case OutcomeKind.BAD_ADDRESS:
                return self._failed(case, Reason.ADDRESS, outcome)
            case OutcomeKind.NO_MAILBOX:
                return self._no_mailbox(case, outcome)
            case OutcomeKind.NOT_MARKED:
                return self._not_marked(case)
            case _:
                return self._transport_down(case, outcome)

    def _sent(self, case: _Case, outcome: Outcome) -> Fact:
        claim = case.claim
        settled = self._store.claims.settle(
            *(claim.subscription_id, claim.step_id, claim.number, DeliveryState.SENT, case.at),
            code=outcome.code,
            answer=outcome.text or None,
        )
        completed = False
        if settled:
            self._event(EventType.STEP_SENT, case.person, claim.step_id, case.at)
            handled = case.handled | {case.step}
            completed = self._advance(case.person, handled, claim.step_id, claim.number, case.at, case.at)
        return self._fact(case, "sent", "", outcome.text, completed)

    def _skipped(self, case: _Case, reason: Reason) -> Fact:
        claim = case.claim
        if not self._put(case, DeliveryState.SKIPPED, reason, attempts=claim.attempts):
            return self._fact(case, "released")
        self._event(EventType.STEP_SKIPPED, case.person, claim.step_id, case.at, reason=reason.value)
        handled = case.handled | {case.step}
        completed = self._advance(case.person, handled, claim.step_id, claim.number, case.at, None)
        return self._fact(case, "skipped", reason, "", completed)

    def _cancelled(self, case: _Case, reason: CancelReason) -> Fact:
        rows = self._store.subscriptions.cancel([case.claim.subscription_id], reason, case.at)
        if not rows:
            return self._fact(case, "released")
        self._event(EventType.CANCELLED, case.person, None, case.at, reason=reason.value)
        return self._fact(case, "cancelled", reason)

    def _try_later(self, case: _Case, reason: Reason, outcome: Outcome) -> Fact:
        attempts = case.claim.attempts + 1
        wait = retry_wait(
            self._settings.retry, attempts, jitter=self._random.uniform(-1, 1), greylisted=outcome.greylisted
        )
        if wait is None:
            return self._failed(case, Reason.ATTEMPTS, outcome)
        return self._deferred(case, reason, case.at + wait, attempts=attempts, outcome=outcome)

    def _deferred(
        self, case: _Case, reason: Reason, until: datetime, *, attempts: int, outcome: Outcome | None = None
    ) -> Fact:
        claim, text = case.claim, outcome.text if outcome else ""
        if not self._put(case, DeliveryState.DEFERRED, reason, attempts=attempts, outcome=outcome):
            return self._fact(case, "released")
        self._store.claims.postpone(claim.subscription_id, claim.step_id, claim.number, until, case.at)
        code = outcome.code if outcome else None
        data = {"until": until.isoformat(), "attempts": attempts, "smtp_code": code, "error": text or None}
        self._event(EventType.STEP_DEFERRED, case.person, claim.step_id, case.at, reason=reason.value, **data)
        return self._fact(case, "deferred", reason, text)

    def _failed(self, case: _Case, reason: Reason, outcome: Outcome, *, attempts: int | None = None) -> Fact:
        claim = case.claim
        tries = claim.attempts + 1 if attempts is None else attempts
        if not self._put(case, DeliveryState.FAILED, reason, attempts=tries, outcome=outcome):
            return self._fact(case, "released")
        self._store.claims.fail(claim, case.at)
        data = {"error": outcome.text, "smtp_code": outcome.code, "attempts": tries}
        self._event(EventType.STEP_FAILED, case.person, claim.step_id, case.at, reason=reason.value, **data)
        return self._fact(case, "failed", reason, outcome.text)

    def _no_mailbox(self, case: _Case, outcome: Outcome) -> Fact:
        if self._breaker.is_open:
            return self._fact(case, "released", Reason.BREAKER, outcome.text)
        fact = self._failed(case, Reason.NO_MAILBOX, outcome)
        delivery_id = self._store.claims.delivery_id(case.claim.subscription_id, case.claim.step_id)
        code = outcome.enhanced or (str(outcome.code) if outcome.code else None)
        suppress(self._store, case.claim.email, SuppressionReason.BOUNCE, case.at, code=code, delivery_id=delivery_id)
        if self._breaker.opens(case.at):
            return self._fact(case, "released", Reason.BREAKER, outcome.text, breaker=True)
        return fact

    def _not_marked(self, case: _Case) -> Fact:
        """The mark was refused. If that is because the step was handled before, the person moves on."""
        claim, person = case.claim, case.person
        settled = (DeliveryState.SENT, DeliveryState.SKIPPED)
        if person.open_state in settled and person.claim == claim.number and person.next_step_id == claim.step_id:
            self._advance(person, case.handled, claim.step_id, claim.number, case.at, None)
        return self._fact(case, "released", "", "no longer to be sent")

    def _transport_down(self, case: _Case, outcome: Outcome) -> Fact:
        """No message is blamed, unless three connections in a row died on it while others passed."""
        claim = case.claim
        if outcome.kind is OutcomeKind.OUR_FAULT:
            self._breaker.open_for_this_pass(case.at)
        counts = outcome.kind is OutcomeKind.DOWN and outcome.in_hand
        if counts and claim.downs + 1 >= POISON_AFTER and self._store.claims.sent_since(claim.due_at):
            return self._try_later(case, Reason.POISON, outcome)
        if case.marked:
            self._store.claims.settle(
                *(claim.subscription_id, claim.step_id, claim.number, DeliveryState.DEFERRED, case.at),
                reason=Reason.TEMPORARY,
                attempts=claim.attempts,
                code=outcome.code,
                answer=outcome.text,
            )
        if counts:
            self._store.claims.count_down(claim)
        return self._fact(case, "released", "", outcome.text)

    def _advance(
        self,
        person: Person,
        handled: frozenset[str],
        step_id: int,
        number: int,
        handled_at: datetime,
        sent_at: datetime | None,
    ) -> bool:
        stored = self._catalogue.get(person.sequence_id)
        key = stored.keys[step_id]
        next_id, due = self._upcoming(person, handled | {key}, key, handled_at)
        completed = next_id is None
        moved = self._store.claims.advance(
            Advance(
                subscription_id=person.id,
                claim=number,
                step_id=step_id,
                position=stored.sequence.position(key) or 0,
                handled_at=handled_at,
                sent_at=sent_at,
                next_step_id=next_id,
                next_send_at=due,
                completed=completed,
            )
        )
        if moved and completed:
            self._event(EventType.COMPLETED, person, None, handled_at)
        return moved and completed

    def _upcoming(
        self, person: Person, handled: frozenset[str], last: str | None, previous: datetime | None
    ) -> tuple[int | None, datetime | None]:
        stored = self._catalogue.get(person.sequence_id)
        progress = Progress(origin=person.origin_at, previous=previous, last=last, handled=handled)
        local = subscriber_zone(person.timezone, stored.sequence, self._settings.timezone)
        found = upcoming(stored.sequence, stored.order, progress, local)
        return (None, None) if found is None else (stored.ids[found[0].key], found[1])

    def _put(
        self, case: _Case, state: DeliveryState, reason: Reason, *, attempts: int, outcome: Outcome | None = None
    ) -> bool:
        claim = case.claim
        code, answer = (outcome.code, outcome.text or None) if outcome else (None, None)
        if case.marked:
            return self._store.claims.settle(
                *(claim.subscription_id, claim.step_id, claim.number, state, case.at),
                reason=reason,
                attempts=attempts,
                code=code,
                answer=answer,
            )
        return self._store.claims.put(
            *(claim, state, reason, case.at),
            attempts=attempts,
            revision=case.revision,
            code=code,
            answer=answer,
        )

    def _event(self, kind: EventType, person: Person, step_id: int | None, at: datetime, **data: object) -> None:
        kept = {name: value for name, value in data.items() if value is not None}
        self._store.events.append([Event(kind, at, person.sequence_id, person.id, step_id, kept or None)])

    def _fact(
        self,
        case: _Case,
        kind: str,
        reason: str = "",
        text: str = "",
        completed: bool = False,
        *,
        breaker: bool = False,
    ) -> Fact:
        return Fact(kind, case.claim, case.step, str(reason), text, completed, breaker)
