"""What is done to one person in one sequence: pause, resume, cancel, retry, set variables, settle an unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.events import EventType
from drip.core.schedule import base_of, due_at, later, subscriber_zone
from drip.core.settings import Settings
from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.engine.catalogue import Catalogue
from drip.engine.onward import Onward
from drip.engine.ports import Store
from drip.engine.records import Event, Person, StoredSequence
from drip.engine.subscribe import find_sequence
from drip.errors import NotFound, Refused


@dataclass(frozen=True, slots=True)
class Found:
    """One person in one sequence."""

    stored: StoredSequence
    person: Person
    email: str


def find_subscription(store: Store, slug: str, email: str) -> Found:
    """A person's standing subscription.

    Raises:
        NotFound: there is no such sequence, or the person is not in it.
    """
    stored = find_sequence(store, slug)
    contact = store.contacts.by_email(email)
    row_id = store.subscriptions.find(stored.id, contact.id) if contact else None
    if contact is None or row_id is None:
        raise NotFound("subscriber", email, _near(store, stored, email), place=f" in {slug!r}")
    return Found(stored, store.subscriptions.people([row_id])[row_id], contact.email)


def _near(store: Store, stored: StoredSequence, email: str) -> list[str]:
    """Who of the sequence is spelt most like that; nobody where none is."""
    for found in store.contacts.near(email):
        contact = store.contacts.by_email(found)
        if contact is not None and store.subscriptions.find(stored.id, contact.id) is not None:
            return [contact.email]
    return []


def pause(store: Store, slug: str, email: str, now: datetime) -> bool:
    """Stop a person's clock; False when it stands already.

    Raises:
        NotFound: no such person or sequence.
        Refused: the subscription is final or failed.
    """
    with store.transaction():
        found = find_subscription(store, slug, email)
        if found.person.status is SubscriptionStatus.PAUSED:
            return False
        _require(found, SubscriptionStatus.ACTIVE, "paused")
        store.subscriptions.pause(found.person.id, now)
        _append(store, EventType.PAUSED, found.person, now)
    return True


def resume(store: Store, settings: Settings, slug: str, email: str, now: datetime) -> bool:
    """Let a person's clock go on; False when it runs already. The rest of the wait goes on from now.

    Raises:
        NotFound: no such person or sequence.
        Refused: the subscription is final or failed.
    """
    with store.transaction():
        found = find_subscription(store, slug, email)
        person = found.person
        if person.status is SubscriptionStatus.ACTIVE:
            return False
        _require(found, SubscriptionStatus.PAUSED, "resumed")
        assert person.paused_at is not None
        paused = max(now - person.paused_at, timedelta(0))
        origin_at = later(person.origin_at, paused)
        # A message that was in hand when the person was paused may have been recorded since.
        base_at = person.base_at and person.base_at + min(paused, max(now - person.base_at, timedelta(0)))
        next_send_at = person.next_send_at and later(person.next_send_at, paused)
        if person.follows_schedule and person.next_send_at is not None:
            next_send_at = due_of(settings, found.stored, person, origin_at, base_at)
        store.subscriptions.resume(person, origin_at=origin_at, base_at=base_at, next_send_at=next_send_at, now=now)
        _append(store, EventType.RESUMED, person, now)
    return True


def cancel(store: Store, slug: str, email: str, now: datetime) -> bool:
    """End a subscription by hand; False when it was cancelled before.

    Raises:
        NotFound: no such person or sequence.
        Refused: it is completed.
    """
    with store.transaction():
        found = find_subscription(store, slug, email)
        if found.person.status is SubscriptionStatus.CANCELLED:
            return False
        if found.person.status is SubscriptionStatus.COMPLETED:
            raise Refused("subscription_terminal", f"{found.email} has completed {slug!r}: there is nothing to cancel")
        store.subscriptions.cancel([found.person.id], CancelReason.MANUAL, now)
        _append(store, EventType.CANCELLED, found.person, now, reason=CancelReason.MANUAL.value)
    return True


def retry(
    store: Store, settings: Settings, now: datetime, *, slug: str | None = None, email: str | None = None
) -> list[int]:
    """Make failed subscriptions active again, from the step that failed, due now; the ids of those.

    Args:
        slug: only those of that sequence; None is all.
        email: only that person's; None is everybody's.

    Raises:
        NotFound: no such sequence or person.
    """
    with store.transaction():
        sequence_id = find_sequence(store, slug).id if slug else None
        contact = store.contacts.by_email(email) if email else None
        if email and contact is None:
            raise NotFound("contact", email, store.contacts.near(email))
        row_ids = store.subscriptions.failed(sequence_id, contact.id if contact else None)
        for start in range(0, len(row_ids), 500):
            for person in store.subscriptions.people(row_ids[start : start + 500]).values():
                _retry(store, person, now)
    return row_ids


def _retry(store: Store, person: Person, now: datetime) -> None:
    # Where the failed step was removed, an edit has moved the person to the next one, and said when it is due.
    due = now if person.open_state is DeliveryState.FAILED else person.next_send_at
    store.subscriptions.revive(person.id, person.next_step_id, due, now)
    _append(store, EventType.RETRIED, person, now)
    stored = store.sequences.by_id(person.sequence_id)
    if person.next_step_id is None and stored is not None and stored.sequence.steps:
        store.subscriptions.complete([person.id], now)
        _append(store, EventType.COMPLETED, person, now)


def set_variables(
    store: Store, settings: Settings, slug: str, email: str, changes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Merge into a subscription's variables; None removes a key. The variables as they are now.

    A new `timezone` moves what the person waits for.

    Raises:
        NotFound: no such person or sequence.
    """
    with store.transaction():
        found = find_subscription(store, slug, email)
        before = store.subscriptions.variables(found.person.id)
        merged = {**before, **changes}
        kept = {name: value for name, value in merged.items() if value is not None}
        store.subscriptions.set_variables(found.person.id, kept, now)
        person = store.subscriptions.people([found.person.id])[found.person.id]
        if person.timezone != found.person.timezone and person.next_send_at is not None and person.follows_schedule:
            due = due_of(settings, found.stored, person, person.origin_at, person.base_at)
            store.subscriptions.retime([(person.id, due)], now)
        # What they were is kept, so that a message sent before can be rendered again.
        was = {name: before.get(name) for name in sorted(changes)}
        _append(store, EventType.CHANGED, person, now, variables=sorted(changes), was=was)
    return kept


def resolve(store: Store, settings: Settings, delivery_id: int, *, sent: bool, now: datetime) -> Person:
    """Settle an unknown delivery: it was sent, and the person goes on; or it was not, and is due again now.

    Raises:
        NotFound: there is no such delivery.
        Refused: its fate is known.
    """
    with store.transaction():
        found = store.deliveries.fate(delivery_id)
        if found is None:
            raise NotFound("delivery", str(delivery_id), hint="`drip unknown` lists those to settle")
        subscription_id, step_id, number, state, at = found
        if state is not DeliveryState.UNKNOWN:
            raise Refused("already_exists", f"delivery {delivery_id} is {state}, there is nothing to settle")
        person = store.subscriptions.people([subscription_id])[subscription_id]
        waits = person.waits_for(step_id, number)
        onward = Onward(store, settings, Catalogue(store))
        if sent:
            store.claims.settle(subscription_id, step_id, number, DeliveryState.SENT, at)
            handled = onward.handled(person)
            moments = {"handled_at": at, "sent_at": at, "now": now}
            onward.go_on(person, onward.advance_from(person, step_id, number, handled=handled, **moments))
            until = store.restored_until()
            if waits and until is not None and person.open_reason is Reason.RESTORED:
                store.subscriptions.hold_due(until, now, person.id)
        else:
            state = DeliveryState.DEFERRED if waits else DeliveryState.FAILED
            store.claims.settle(subscription_id, step_id, number, state, now, reason=Reason.NOT_SENT)
            if waits:
                onward.wait(person, step_id, number, now, now)
        event = Event(EventType.STEP_RESOLVED, now, person.sequence_id, person.id, step_id, {"sent": sent})
        store.events.append([event])
    return person


def due_of(
    settings: Settings, stored: StoredSequence, person: Person, origin_at: datetime, base_at: datetime | None
) -> datetime | None:
    """When the step that a person waits for is due by the schedule; None when nothing comes."""
    step = None if person.next_step_id is None else stored.sequence.step(stored.keys[person.next_step_id])
    if step is None:
        return None
    previous = None if person.last_step_id is None else base_at
    base = base_of(stored.sequence, origin=origin_at, previous=previous)
    local = subscriber_zone(person.timezone, stored.sequence, settings.timezone)
    return due_at(step, stored.sequence, base=base, local=local)


def _require(found: Found, wanted: SubscriptionStatus, verb: str) -> None:
    if found.person.status is not wanted:
        hint = "`drip retry` makes it active again" if found.person.status is SubscriptionStatus.FAILED else None
        raise Refused(
            "subscription_terminal",
            f"{found.email} is {found.person.status} in {found.stored.slug!r} and can't be {verb}",
            hint,
        )


def _append(store: Store, kind: EventType, person: Person, now: datetime, **data: Any) -> None:
    store.events.append([Event(kind, now, person.sequence_id, person.id, data=data or None)])
