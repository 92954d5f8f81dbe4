"""The discipline of the ledger: claim, mark, record. Runs inside the caller's transaction, on one thread.

Everything that changes people because of a message begins here, once per result. Results are facts: they are recorded
also when the person was paused, cancelled or edited while their message was in hand, but move nobody who has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from drip.core.delivery import DeliveryState, Outcome, OutcomeKind, Reason, retry_wait
from drip.core.policy import Cancel, Decision, Defer, Fail, Skip
from drip.core.settings import Settings
from drip.core.subscription import CancelReason, SuppressionReason
from drip.engine.breaker import Breaker
from drip.engine.catalogue import Catalogue
from drip.engine.limits import Allowance, Room
from drip.engine.onward import Onward
from drip.engine.points import Point, reached
from drip.engine.ports import Store
from drip.engine.records import Accepted, Claim, Event, EventType, Marked, Person, Sending
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
    message_id: str | None = None
    """Of the message that was handed over, with its brackets; None when none was."""


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
    message_id: str | None

    @property
    def waits(self) -> bool:
        """Whether the person is still where they were claimed."""
        return self.person.waits_for(self.claim.step_id, self.claim.number)


class Ledger:
    """Records for one worker."""

    def __init__(self, store: Store, settings: Settings, catalogue: Catalogue, worker_id: int, random: Random) -> None:
        self._store = store
        self._settings = settings
        self._catalogue = catalogue
        self._worker_id = worker_id
        self._random = random
        self._onward = Onward(store, settings, catalogue)
        self._allowance = Allowance(store, settings)
        self._breaker = Breaker(store, self._onward)

    def begin(self, now: datetime) -> None:
        """A pass begins: the breaker is closed."""
        self._breaker.close(now)

    def claim(self, now: datetime, limit: int) -> tuple[list[Claim], Room, list[Fact]]:
        """Claim what is due, as much as the limits leave; see `store.claims.claim`.

        Returns:
            What may go, the room there was, and the facts of those that were deferred for their domain's sake.
        """
        room = self._allowance.room(now, limit)
        claims = self._store.claims.claim(self._worker_id, now, room.count) if room.count else []
        reached(Point.CLAIM_WRITTEN)
        if not claims:
            return [], room, []
        self._catalogue.refresh(claim.sequence_id for claim in claims)
        going, held = self._allowance.reserve(claims, now)
        results = [Result(claim, defer, self._catalogue.get(claim.sequence_id).revision) for claim, defer in held]
        return going, room, self._record(results, now) if results else []

    def mark(self, marked: Sequence[Marked], now: datetime) -> list[bool]:
        """The fence and the last look at consent, of each: False means that its dot must not be sent."""
        done = self._store.claims.mark(self._worker_id, marked, now)
        reached(Point.MARK_WRITTEN)
        return [one.claim.subscription_id in done for one in marked]

    def release(self, claims: Sequence[Claim], now: datetime) -> None:
        """Give back claims that nothing was done with."""
        self._store.claims.release(self._worker_id, claims)
        self._allowance.give_back(len(claims), now)
        reached(Point.RELEASE_WRITTEN)

    def record(self, results: Sequence[Result], now: datetime) -> list[Fact]:
        """Write what came of each claim, move the people on, append the events."""
        with self._store.events.together():
            facts = self._record(results, now)
        self._allowance.give_back(sum(not _left(result) for result in results), now)
        reached(Point.RECORD_WRITTEN)
        return facts

    def _record(self, results: Sequence[Result], now: datetime) -> list[Fact]:
        ids = [result.claim.subscription_id for result in results]
        self._catalogue.refresh(result.claim.sequence_id for result in results)
        people = self._store.subscriptions.people(ids)
        handled = self._store.subscriptions.handled(ids)
        facts = []
        accepted: list[tuple[_Case, Outcome]] = []
        for result in results:
            claim = result.claim
            stored = self._catalogue.get(claim.sequence_id)
            case = _Case(
                claim=claim,
                person=people[claim.subscription_id],
                handled=frozenset(stored.keys[step_id] for step_id in handled[claim.subscription_id]),
                step=stored.keys[claim.step_id],
                revision=result.revision,
                marked=result.marked,
                at=result.at or now,
                message_id=result.message_id,
            )
            if isinstance(result.outcome, Outcome) and result.outcome.kind is OutcomeKind.SENT:
                accepted.append((case, result.outcome))
                continue
            facts += self._sent(accepted)
            accepted = []
            if isinstance(result.outcome, Outcome):
                facts.append(self._answered(case, result.outcome))
            elif result.revision == stored.revision:
                facts.append(self._decided(case, result.outcome))
            else:
                facts.append(self._fact(case, "released", "", "the sequence was edited"))
        facts += self._sent(accepted)
        # Whatever was not moved on is given back: the person was paused, cancelled or edited meanwhile.
        self._store.claims.release(self._worker_id, [result.claim for result in results])
        return facts

    def sweep(self, worker_id: int, now: datetime) -> int:
        """Take back all that a worker held that is gone; how many deliveries became unknown."""
        doubtful = self.take_back(worker_id, now)
        self._store.claims.end(worker_id, now)
        reached(Point.SWEEP_WRITTEN)
        return doubtful

    def take_back(self, worker_id: int, now: datetime) -> int:
        """Take back all that a worker holds; how many deliveries became unknown."""
        marked = self._store.claims.sending_of(worker_id)
        for sending in marked:
            self._onward.doubt(sending, Reason.INTERRUPTED, now, jitter=self._random.uniform(-1, 1))
        self._allowance.give_back(self._store.claims.free_all(worker_id), now)
        return len(marked)

    def _decided(self, case: _Case, decision: Decision) -> Fact:
        match decision:
            case Skip(reason):
                return self._skipped(case, reason)
            case Cancel(reason):
                return self._cancelled(case, reason)
            case Defer(reason, until):
                return self._deferred(case, reason, until, attempts=case.claim.attempts)
            case Fail(reason, text):
                return self._failed(case, reason, Outcome(OutcomeKind.REFUSED, text=text), attempts=case.claim.attempts)
        raise AssertionError(f"{decision!r} is not to be recorded")

    def _answered(self, case: _Case, outcome: Outcome) -> Fact:
        match outcome.kind:
            case OutcomeKind.UNKNOWN:
                claim = case.claim
                sending = Sending(claim.subscription_id, claim.step_id, claim.number, case.at, claim.attempts + 1)
                jitter = self._random.uniform(-1, 1)
                completed = self._onward.doubt(sending, Reason.NO_ANSWER, case.at, jitter=jitter)
                return self._fact(case, "unknown", Reason.NO_ANSWER, outcome.text, completed)
            case OutcomeKind.DEFERRED:
                return self._try_later(case, Reason.TEMPORARY, outcome)
            case OutcomeKind.LOST:
                return self._try_later(case, Reason.CONNECTION, outcome)
            case OutcomeKind.REFUSED:
                return self._refused(case, outcome)
            case OutcomeKind.BAD_ADDRESS:
                return self._failed(case, Reason.ADDRESS, outcome)
            case OutcomeKind.NO_MAILBOX:
                return self._no_mailbox(case, outcome)
            case OutcomeKind.NOT_MARKED:
                return self._not_marked(case)
            case _:
                return self._transport_down(case, outcome)

    def _sent(self, accepted: Sequence[tuple[_Case, Outcome]]) -> list[Fact]:
        """Those that came one after another and were accepted, as nearly all are: together."""
        if not accepted:
            return []
        settled = self._store.claims.accept([_accepted(case, outcome) for case, outcome in accepted])
        advances = {
            case.person.id: self._onward.advance_from(
                *(case.person, case.claim.step_id, case.claim.number),
                handled=case.handled,
                handled_at=case.at,
                sent_at=case.at,
                now=case.at,
            )
            for case, _ in accepted
            if case.person.id in settled
        }
        moved = self._store.claims.advance(list(advances.values()))
        facts = []
        for case, outcome in accepted:
            completed, person = False, case.person
            if person.id in settled:
                self._event(EventType.STEP_SENT, person, case.claim.step_id, case.at, message_id=case.message_id)
                completed = self._onward.arrive(person, advances[person.id], moved=person.id in moved)
            facts.append(self._fact(case, "sent", "", outcome.text, completed))
        return facts

    def _skipped(self, case: _Case, reason: Reason) -> Fact:
        claim = case.claim
        if not self._put(case, DeliveryState.SKIPPED, reason, attempts=claim.attempts):
            return self._fact(case, "released")
        self._event(EventType.STEP_SKIPPED, case.person, claim.step_id, case.at, reason=reason.value)
        return self._fact(case, "skipped", reason, "", self._go_on(case, sent_at=None))

    def _cancelled(self, case: _Case, reason: CancelReason) -> Fact:
        rows = self._store.subscriptions.cancel([case.claim.subscription_id], reason, case.at)
        if not rows:
            return self._fact(case, "released")
        self._event(EventType.CANCELLED, case.person, None, case.at, reason=reason.value)
        return self._fact(case, "cancelled", reason)

    def _try_later(self, case: _Case, reason: Reason, outcome: Outcome) -> Fact:
        if not case.waits:
            return self._failed(case, reason, outcome)
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
        self._onward.wait(case.person, claim.step_id, claim.number, until, case.at)
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
            return self._given_back(case, Reason.BREAKER, outcome)
        fact = self._failed(case, Reason.NO_MAILBOX, outcome)
        delivery_id = self._store.claims.delivery_id(case.claim.subscription_id, case.claim.step_id)
        code = outcome.enhanced or (str(outcome.code) if outcome.code else None)
        suppress(self._store, case.claim.email, SuppressionReason.BOUNCE, case.at, code=code, delivery_id=delivery_id)
        return self._unless_ours(case, fact, outcome)

    def _refused(self, case: _Case, outcome: Outcome) -> Fact:
        """The message was refused, by the server or (without a code) before it was asked."""
        if outcome.code is None:
            return self._failed(case, Reason.REFUSED, outcome)
        if self._breaker.is_open:
            return self._given_back(case, Reason.BREAKER, outcome)
        return self._unless_ours(case, self._failed(case, Reason.REFUSED, outcome), outcome)

    def _unless_ours(self, case: _Case, fact: Fact, outcome: Outcome) -> Fact:
        """The fact of a hard refusal, but where so many came that the fault is ours."""
        if self._breaker.opens(case.at):
            return self._fact(case, "released", Reason.BREAKER, outcome.text, breaker=True)
        return fact

    def _not_marked(self, case: _Case) -> Fact:
        """Given up before the dot. Who stands at a step that was settled or removed meanwhile is helped on from it."""
        claim, person = case.claim, case.person
        if case.waits:
            match person.open_state:
                case DeliveryState.SENT | DeliveryState.SKIPPED:
                    self._go_on(case, sent_at=None)
                case DeliveryState.FAILED:
                    self._store.claims.fail(claim, case.at)
                case DeliveryState.SENDING | DeliveryState.UNKNOWN:
                    self._store.claims.postpone(person.id, claim.step_id, claim.number, None, case.at)
                case _ if self._catalogue.get(claim.sequence_id).sequence.step(case.step) is None:
                    self._onward.step_over(person, claim.step_id, claim.number, case.at)
        return self._fact(case, "released", "", "no longer to be sent")

    def _transport_down(self, case: _Case, outcome: Outcome) -> Fact:
        """No message is blamed, unless three connections in a row died on it while others passed."""
        claim = case.claim
        if outcome.kind is OutcomeKind.OUR_FAULT:
            self._breaker.open_for_this_pass(case.at)
            return self._given_back(case, Reason.BREAKER, outcome)
        counts = outcome.kind is OutcomeKind.DOWN and outcome.in_hand
        if counts and claim.downs + 1 >= POISON_AFTER and self._store.claims.sent_since(claim.due_at):
            return self._try_later(case, Reason.POISON, outcome)
        if counts:
            self._store.claims.count_down(claim)
        return self._given_back(case, Reason.TEMPORARY, outcome)

    def _given_back(self, case: _Case, reason: Reason, outcome: Outcome) -> Fact:
        """Not sent, and no attempt is used up: the person is as they were."""
        claim = case.claim
        if case.marked and not case.waits:
            return self._failed(case, reason, outcome, attempts=claim.attempts)
        if case.marked and self._put(case, DeliveryState.DEFERRED, reason, attempts=claim.attempts, outcome=outcome):
            self._onward.stay(case.person, claim.step_id, claim.number, claim.due_at, case.at)
        return self._fact(case, "released", reason if reason is Reason.BREAKER else "", outcome.text)

    def _go_on(self, case: _Case, *, sent_at: datetime | None) -> bool:
        claim = case.claim
        return self._onward.go_on(
            *(case.person, claim.step_id, claim.number),
            handled=case.handled,
            handled_at=case.at,
            sent_at=sent_at,
            now=case.at,
        )

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


def _accepted(case: _Case, outcome: Outcome) -> Accepted:
    claim = case.claim
    place = (claim.subscription_id, claim.step_id, claim.number)
    return Accepted(*place, case.at, outcome.code, outcome.text or None)


def _left(result: Result) -> bool:
    """Whether a message left, or may have."""
    sent = (OutcomeKind.SENT, OutcomeKind.UNKNOWN)
    return isinstance(result.outcome, Outcome) and result.outcome.kind in sent
