"""Skip the wait of one person: their next step is due now."""

from __future__ import annotations

from datetime import datetime

from drip.core.events import EventType
from drip.core.subscription import SubscriptionStatus
from drip.engine.people import find_subscription
from drip.engine.ports import Store
from drip.engine.records import Event
from drip.errors import Refused


def skip_wait(store: Store, slug: str, email: str, now: datetime) -> bool:
    """Make the next step of a person due now; False when it was due already. Window, limits and conditions still hold.

    Raises:
        NotFound: no such person or sequence.
        Refused: they are not active, or wait for something else than time.
    """
    with store.transaction():
        found = find_subscription(store, slug, email)
        person = found.person
        if person.status is not SubscriptionStatus.ACTIVE:
            hint = "resume it first" if person.status is SubscriptionStatus.PAUSED else None
            raise Refused("subscription_terminal", f"{found.email} is {person.status} in {slug!r}: nothing waits", hint)
        if person.next_step_id is None or person.next_send_at is None:
            raise Refused("subscription_terminal", f"{found.email} does not wait for a time in {slug!r}")
        if person.next_send_at <= now:
            return False
        store.subscriptions.retime([(person.id, now)], now)
        data = {"wait": "skipped"}
        store.events.append([Event(EventType.CHANGED, now, person.sequence_id, person.id, person.next_step_id, data)])
    return True
