"""What is written because of one result: the delivery, where the person goes on, the event. Decided in `core`.

Results are facts: they are recorded also when the person was paused, cancelled or edited while their message was in
hand, but move nobody who has left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from random import Random

from drip.core.delivery import POISON_AFTER, DeliveryState, Outcome, OutcomeKind, Reason, retry_wait
from drip.core.events import EventType
from drip.core.immutable import immutable
from drip.core.policy import Cancel, Decision, Defer, Fail, Skip
from drip.core.settings import Settings
from drip.core.subscription import CancelReason, SuppressionReason
from drip.engine.breaker import Breaker
from drip.engine.catalogue import Catalogue
from drip.engine.onward import Onward
from drip.engine.ports import Store
from drip.engine.records import Accepted, Advance, Claim, Event, Person, Sending
from drip.engine.results import Fact
from drip.engine.suppress import suppress

FINAL = (OutcomeKind.REFUSED, OutcomeKind.BAD_ADDRESS, OutcomeKind.NO_MAILBOX)
"""Answers after which a message is not to be tried again."""
TELLING = (*FINAL, OutcomeKind.OUR_FAULT)
"""Answers that say something also when they come late."""


@immutable
class Case:
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

    @property
    def is_overtaken(self) -> bool:
        """Whether the person waits for the step under a later claim, as it was decided that this one sent nothing."""
        return not self.waits and self.person.waits_for(self.claim.step_id, self.person.claim)

    @property
    def standing(self) -> Claim:
        """The claim under which the person waits for the step now; this one where they do not."""
        return replace(self.claim, number=self.person.claim) if self.is_overtaken else self.claim


class Recording:
    """Records the results of one worker. Runs inside the caller's transaction."""

    def __init__(
        self, store: Store, settings: Settings, catalogue: Catalogue, random: Random, onward: Onward, breaker: Breaker
    ) -> None:
        self._store = store
        self._settings = settings
        self._catalogue = catalogue
        self._random = random
        self._onward = onward
        self._breaker = breaker

    def decided(self, case: Case, decision: Decision) -> Fact:
        """What was decided before the message was made."""
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

    def outdated(self, case: Case) -> Fact:
        """What was decided by a revision that is the newest no more counts for nothing."""
        return self._fact(case, "released", "", "the sequence was edited")

    def answered(self, case: Case, outcome: Outcome) -> Fact:
        """What came of handing a message over, but for those that were accepted: see `sent`."""
        if case.is_overtaken and outcome.kind not in TELLING:
            return self._fact(case, "released", "", "it is tried anew already")
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

    def sent(self, accepted: Collection[tuple[Case, Outcome]]) -> list[Fact]:
        """Those that came one after another and were accepted, as nearly all are: together, each person once."""
        if not accepted:
            return []
        settled = self._store.claims.accept([_accepted(case, outcome) for case, outcome in accepted])
        advances = {case.person.id: self._advance(case, case.at) for case, _ in accepted if case.person.id in settled}
        moved = self._store.claims.advance(list(advances.values()))
        facts = []
        for case, outcome in accepted:
            completed, person = False, case.person
            if person.id in settled:
                self._event(EventType.STEP_SENT, person, case.claim.step_id, case.at, message_id=case.message_id)
                completed = self._onward.arrive(person, advances[person.id], moved=person.id in moved)
            facts.append(self._fact(case, "sent", "", outcome.text, completed))
        return facts

    def _skipped(self, case: Case, reason: Reason) -> Fact:
        claim = case.claim
        if not self._put(case, DeliveryState.SKIPPED, reason, attempts=claim.attempts):
            return self._fact(case, "released")
        self._event(EventType.STEP_SKIPPED, case.person, claim.step_id, case.at, reason=reason.value)
        return self._fact(case, "skipped", reason, "", self._go_on(case, sent_at=None))

    def _cancelled(self, case: Case, reason: CancelReason) -> Fact:
        rows = self._store.subscriptions.cancel([case.claim.subscription_id], reason, case.at)
        if not rows:
            return self._fact(case, "released")
        self._event(EventType.CANCELLED, case.person, None, case.at, reason=reason.value)
        return self._fact(case, "cancelled", reason)

    def _try_later(self, case: Case, reason: Reason, outcome: Outcome) -> Fact:
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
        self, case: Case, reason: Reason, until: datetime, *, attempts: int, outcome: Outcome | None = None
    ) -> Fact:
        claim, text = case.claim, outcome.text if outcome else ""
        if not self._put(case, DeliveryState.DEFERRED, reason, attempts=attempts, outcome=outcome):
            return self._fact(case, "released")
        self._onward.wait(case.person, claim.step_id, claim.number, until, case.at)
        code = outcome.code if outcome else None
        data = {"until": until.isoformat(), "attempts": attempts, "smtp_code": code, "error": text or None}
        self._event(EventType.STEP_DEFERRED, case.person, claim.step_id, case.at, reason=reason.value, **data)
        return self._fact(case, "deferred", reason, text)

    def _failed(self, case: Case, reason: Reason, outcome: Outcome, *, attempts: int | None = None) -> Fact:
        claim = case.claim
        tries = claim.attempts + 1 if attempts is None else attempts
        if not self._put(case, DeliveryState.FAILED, reason, attempts=tries, outcome=outcome):
            return self._fact(case, "released")
        self._store.claims.fail(case.standing, case.at)
        data = {"error": outcome.text, "smtp_code": outcome.code, "attempts": tries}
        self._event(EventType.STEP_FAILED, case.person, claim.step_id, case.at, reason=reason.value, **data)
        return self._fact(case, "failed", reason, outcome.text)

    def _no_mailbox(self, case: Case, outcome: Outcome) -> Fact:
        if self._breaker.look():
            return replace(self._given_back(case, Reason.BREAKER, outcome), breaker=True)
        fact = self._failed(case, Reason.NO_MAILBOX, outcome)
        delivery_id = self._store.deliveries.find(case.claim.subscription_id, case.claim.step_id)
        code = outcome.enhanced or (str(outcome.code) if outcome.code else None)
        suppress(self._store, case.claim.email, SuppressionReason.BOUNCE, case.at, code=code, delivery_id=delivery_id)
        return self._unless_ours(case, fact, outcome)

    def _refused(self, case: Case, outcome: Outcome) -> Fact:
        """The message was refused, by the server or (without a code) before it was asked."""
        if outcome.code is None:
            return self._failed(case, Reason.REFUSED, outcome)
        if self._breaker.look():
            return replace(self._given_back(case, Reason.BREAKER, outcome), breaker=True)
        return self._unless_ours(case, self._failed(case, Reason.REFUSED, outcome), outcome)

    def _unless_ours(self, case: Case, fact: Fact, outcome: Outcome) -> Fact:
        """The fact of a hard refusal, but where so many came that the fault is ours."""
        if self._breaker.opens(case.at):
            return self._fact(case, "released", Reason.BREAKER, outcome.text, breaker=True)
        return fact

    def _not_marked(self, case: Case) -> Fact:
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

    def _transport_down(self, case: Case, outcome: Outcome) -> Fact:
        """No message is blamed, unless three connections in a row died on it while others passed."""
        claim = case.claim
        if outcome.kind is OutcomeKind.OUR_FAULT:
            self._breaker.open_for_this_pass(case.at)
            return self._given_back(case, Reason.BREAKER, outcome)
        counts = outcome.kind is OutcomeKind.DOWN and outcome.in_hand
        if counts and claim.downs + 1 >= POISON_AFTER and self._store.deliveries.sent_since(claim.due_at):
            return self._try_later(case, Reason.POISON, outcome)
        if counts:
            self._store.claims.count_down(claim)
        return self._given_back(case, Reason.TEMPORARY, outcome)

    def _given_back(self, case: Case, reason: Reason, outcome: Outcome) -> Fact:
        """Not sent, and no attempt is used up: the person is as they were."""
        claim = case.claim
        if case.marked and not case.is_overtaken:
            if not case.waits:
                return self._failed(case, reason, outcome, attempts=claim.attempts)
            if self._put(case, DeliveryState.DEFERRED, reason, attempts=claim.attempts, outcome=outcome):
                self._onward.stay(case.person, claim.step_id, claim.number, claim.due_at, case.at)
        return self._fact(case, "released", reason if reason is Reason.BREAKER else "", outcome.text)

    def _go_on(self, case: Case, *, sent_at: datetime | None) -> bool:
        return self._onward.go_on(case.person, self._advance(case, sent_at))

    def _advance(self, case: Case, sent_at: datetime | None) -> Advance:
        return self._onward.advance_from(
            *(case.person, case.claim.step_id, case.standing.number),
            handled=case.handled,
            handled_at=case.at,
            sent_at=sent_at,
            now=case.at,
        )

    def _put(
        self, case: Case, state: DeliveryState, reason: Reason, *, attempts: int, outcome: Outcome | None = None
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
        case: Case,
        kind: str,
        reason: str = "",
        text: str = "",
        completed: bool = False,
        *,
        breaker: bool = False,
    ) -> Fact:
        return Fact(kind, case.claim, case.step, str(reason), text, completed, breaker)


def _accepted(case: Case, outcome: Outcome) -> Accepted:
    claim = case.claim
    place = (claim.subscription_id, claim.step_id, claim.number)
    return Accepted(*place, case.at, outcome.code, outcome.text or None)
