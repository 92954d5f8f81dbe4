"""What comes next for a person: after a step that was handled, one that must wait, one in doubt, one that is gone.

Runs inside the caller's transaction. The ledger, a person who settles an unknown delivery, and the breaker share it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from drip.core.delivery import DeliveryState, Reason, retry_wait
from drip.core.events import EventType
from drip.core.progress import Progress, upcoming
from drip.core.schedule import subscriber_zone
from drip.core.settings import OnUnknown, Settings
from drip.core.subscription import SubscriptionStatus
from drip.engine.catalogue import Catalogue
from drip.engine.ports import Store
from drip.engine.records import Advance, Event, Person, Sending, StoredSequence


class Onward:
    """Moves people, one at a time."""

    def __init__(self, store: Store, settings: Settings, catalogue: Catalogue) -> None:
        self._store = store
        self._settings = settings
        self._catalogue = catalogue

    def handled(self, person: Person) -> frozenset[str]:
        """The keys of the steps that a person has a delivery of which is not merely deferred."""
        keys = self._stored(person).keys
        return frozenset(keys[step_id] for step_id in self._store.subscriptions.handled([person.id])[person.id])

    def go_on(self, person: Person, advance: Advance) -> bool:
        """Move a person on from a step that was handled; whether that completes the subscription."""
        return self.arrive(person, advance, moved=bool(self._store.claims.advance([advance])))

    def advance_from(
        self,
        person: Person,
        step_id: int,
        number: int,
        *,
        handled: Collection[str],
        handled_at: datetime,
        sent_at: datetime | None,
        now: datetime,
    ) -> Advance:
        """Where a person moves to from a step that was handled; nothing is written.

        Args:
            number: of the claim it was handled under.
            handled: as `handled` gives it.
            sent_at: None when nothing was sent.
        """
        key = self._stored(person).keys[step_id]
        next_id, due = self._upcoming(person, {*handled, key}, key, handled_at)
        return self._advance(person, step_id, number, step_id, handled_at, sent_at, next_id, due, now)

    def arrive(self, person: Person, advance: Advance, *, moved: bool) -> bool:
        """What follows from an advance that was written, or that found them gone; whether that completes."""
        if not moved and advance.sent_at is not None:
            self._store.claims.note_sent(person.id, advance.claim, advance.step_id, advance.sent_at)
        if moved and advance.completed:
            self._store.events.append([Event(EventType.COMPLETED, advance.at, person.sequence_id, person.id)])
        return moved and advance.completed

    def wait(self, person: Person, step_id: int, number: int, until: datetime, now: datetime) -> None:
        """Let a person wait at their step; when it was removed meanwhile, they go on to the next."""
        if self._is_removed(person, step_id):
            self.step_over(person, step_id, number, now)
        else:
            self._store.claims.postpone(person.id, step_id, number, until, now)

    def stay(self, person: Person, step_id: int, number: int, due_at: datetime, now: datetime) -> None:
        """Let a person be as they were when they were claimed, as nothing came of it; also after a sweep."""
        if self._is_removed(person, step_id):
            self.step_over(person, step_id, number, now)
        else:
            self._store.claims.restore_time(person.id, step_id, number, due_at)

    def step_over(self, person: Person, step_id: int, number: int, now: datetime) -> bool:
        """Move a person on from a step that was removed, counted from the same base; whether that completes."""
        self._store.subscriptions.drop_deferred([person.id])
        next_id, due = self._upcoming(person, self.handled(person), self._last(person), person.base_at)
        base_at, last_id = person.base_at, person.last_step_id
        advance = self._advance(person, step_id, number, last_id, base_at, None, next_id, due, now)
        return self.arrive(person, advance, moved=bool(self._store.claims.advance([advance])))

    def doubt(self, sending: Sending, reason: Reason, now: datetime, *, jitter: float) -> bool:
        """A marked delivery whose fate is not known: hold it, or go on, as `on_unknown` says. Whether it completes.

        What is sent again was a try: where no answer came it waits like any other; after the last it is held.

        Args:
            jitter: as `retry_wait` takes it.
        """
        step_id, number = sending.step_id, sending.number
        person = self._store.subscriptions.people([sending.subscription_id])[sending.subscription_id]
        self._catalogue.refresh([person.sequence_id])
        rule = self._settings.on_unknown
        wait = retry_wait(self._settings.retry, sending.attempts, jitter=jitter)
        again = rule is OnUnknown.RESEND and wait is not None and person.waits_for(step_id, number)
        until = now + wait if wait is not None and reason is Reason.NO_ANSWER else now
        if again:
            state, why, at = DeliveryState.DEFERRED, Reason.NOT_SENT, now
        else:
            # The moment it was handed over stays: the next step counts from there, if it was sent.
            state, why, at = DeliveryState.UNKNOWN, reason, sending.at
        if not self._store.claims.settle(person.id, step_id, number, state, at, reason=why):
            return False
        data = {"reason": reason.value, "rule": rule.value}
        self._store.events.append([Event(EventType.STEP_UNKNOWN, now, person.sequence_id, person.id, step_id, data)])
        if again:
            self.wait(person, step_id, number, until, now)
        elif rule is OnUnknown.ASSUME_SENT:
            moments = {"handled_at": sending.at, "sent_at": sending.at, "now": now}
            handled = self.handled(person)
            return self.go_on(person, self.advance_from(person, step_id, number, handled=handled, **moments))
        else:
            self._store.claims.postpone(person.id, step_id, number, None, now)
        return False

    def reinstate(self, person: Person, now: datetime) -> None:
        """Take back a cancellation or a failure: the person is where they were, an unknown step included."""
        self._catalogue.refresh([person.sequence_id])
        states = self._store.subscriptions.states(person.id)
        keys = self._stored(person).keys
        done = {keys[one] for one, state in states.items() if state in (DeliveryState.SENT, DeliveryState.SKIPPED)}
        next_id, due = self._upcoming(person, done, self._last(person), person.base_at)
        status = SubscriptionStatus.PAUSED if person.paused_at else SubscriptionStatus.ACTIVE
        state = None if next_id is None else states.get(next_id)
        if state is DeliveryState.FAILED:
            status = SubscriptionStatus.FAILED
        if state is not None and state is not DeliveryState.DEFERRED:
            due = None
        self._store.subscriptions.reinstate(person.id, status, next_id, due, now)

    def _advance(
        self,
        person: Person,
        step_id: int,
        number: int,
        last_step_id: int | None,
        base_at: datetime | None,
        sent_at: datetime | None,
        next_id: int | None,
        due: datetime | None,
        now: datetime,
    ) -> Advance:
        return Advance(
            subscription_id=person.id,
            claim=number,
            step_id=step_id,
            last_step_id=last_step_id,
            base_at=base_at,
            sent_at=sent_at,
            next_step_id=next_id,
            next_send_at=due,
            # A sequence whose steps were all removed holds its people.
            completed=next_id is None and bool(self._stored(person).sequence.steps),
            at=now,
        )

    def _upcoming(
        self, person: Person, handled: Collection[str], last: str | None, previous: datetime | None
    ) -> tuple[int | None, datetime | None]:
        stored = self._stored(person)
        progress = Progress(origin=person.origin_at, previous=previous, last=last, handled=handled)
        local = subscriber_zone(person.timezone, stored.sequence, self._settings.timezone)
        found = upcoming(stored.sequence, stored.order, progress, local)
        return (None, None) if found is None else (stored.ids[found[0].key], found[1])

    def _is_removed(self, person: Person, step_id: int) -> bool:
        stored = self._stored(person)
        return stored.sequence.step(stored.keys[step_id]) is None

    def _last(self, person: Person) -> str | None:
        return None if person.last_step_id is None else self._stored(person).keys[person.last_step_id]

    def _stored(self, person: Person) -> StoredSequence:
        return self._catalogue.get(person.sequence_id)
