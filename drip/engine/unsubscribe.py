"""Opting out by the link in a message, and taking it back.

A token names a subscription and is all that is asked for: whoever has the message may leave. Nothing here looks at
how the request came; see `drip.api.routes.unsubscribe` for what a GET may do (nothing).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from drip.core.address import Address
from drip.core.events import EventType
from drip.core.settings import Settings, UnsubscribeScope
from drip.core.subscription import LIVE, CancelReason, SubscriptionStatus, SuppressionReason
from drip.core.tokens import Purpose, read_token
from drip.engine.catalogue import Catalogue
from drip.engine.onward import Onward
from drip.engine.ports import Store
from drip.engine.records import Contact, Event, Person, StoredSequence
from drip.engine.suppress import suppress, unsuppress

UNDO_WITHIN = timedelta(hours=1)
"""How long an opt-out can be taken back by the same link: long enough for a slip, too short for a found message."""


class Consent(StrEnum):
    """What a person has left."""

    GIVEN = "given"  # nothing: this series may still come, or has ended by itself
    SEQUENCE = "sequence"  # this series
    NONE = "none"  # everything


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a token is for, and what they have left so far."""

    contact: Contact
    stored: StoredSequence
    person: Person
    """Their standing subscription in the sequence."""
    sender: Address
    """Who writes to them."""
    consent: Consent
    left_at: datetime | None
    """When they opted out; None when they did not."""

    @property
    def in_series(self) -> bool:
        """Whether anything of the series may still come."""
        return self.person.status in LIVE

    def may_undo(self, now: datetime) -> bool:
        """Whether the opt-out can be taken back by the link."""
        return self.left_at is not None and now - self.left_at <= UNDO_WITHIN


def read_holder(store: Store, settings: Settings, token: str) -> Holder | None:
    """Who a token is for; None when it is altered, foreign, or the person is gone."""
    ids = read_token(store.secret(), Purpose.UNSUBSCRIBE, token)
    if ids is None or len(ids) != 1 or ids[0] >= 1 << 63:
        return None
    named = store.subscriptions.people(ids).get(ids[0])
    if named is None:
        return None
    contact, stored = store.contacts.by_id(named.contact_id), store.sequences.by_id(named.sequence_id)
    assert contact is not None
    assert stored is not None
    # The message may be from an earlier subscription to the same sequence.
    standing = store.subscriptions.find(named.sequence_id, named.contact_id) or named.id
    person = store.subscriptions.people([standing])[standing]
    sender = stored.sequence.sender or settings.sender
    return Holder(contact, stored, person, sender, *_consent(store, contact, person))


def opt_out(store: Store, holder: Holder, scope: UnsubscribeScope, now: datetime) -> None:
    """Leave a series, or everything, in one transaction; what was left before stays so."""
    with store.transaction():
        if scope is UnsubscribeScope.ALL:
            suppress(store, holder.contact.email, SuppressionReason.UNSUBSCRIBED, now)
        else:
            _leave(store, holder.person, now)


def undo(store: Store, settings: Settings, holder: Holder, now: datetime) -> bool:
    """Take an opt-out back: the address may be mailed, and the subscriptions that it ended go on where they were.

    False when there is nothing to take back, or not any more.
    """
    if holder.left_at is None or not holder.may_undo(now):
        return False
    with store.transaction():
        if holder.consent is Consent.NONE:
            unsuppress(store, holder.contact.email, now)
        onward = Onward(store, settings, Catalogue(store))
        reason = CancelReason.UNSUBSCRIBED
        for person in store.subscriptions.cancelled_at(holder.contact.id, reason, holder.left_at):
            if holder.consent is Consent.NONE or person.id == holder.person.id:
                onward.reinstate(person, now)
                data = {"undone": reason.value}
                store.events.append([Event(EventType.CHANGED, now, person.sequence_id, person.id, data=data)])
    return True


def masked(email: str) -> str:
    """An address in part: `a•••@empresa.com`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def _consent(store: Store, contact: Contact, person: Person) -> tuple[Consent, datetime | None]:
    suppressed = store.suppressions.get(contact.email)
    if suppressed is not None and suppressed.reason is SuppressionReason.UNSUBSCRIBED:
        return Consent.NONE, suppressed.added_at
    if suppressed is not None and suppressed.reason is SuppressionReason.COMPLAINT:
        return Consent.NONE, None
    if person.status is SubscriptionStatus.CANCELLED and person.cancel_reason is CancelReason.UNSUBSCRIBED:
        return Consent.SEQUENCE, store.subscriptions.when_cancelled(person.id)
    return Consent.GIVEN, None


def _leave(store: Store, person: Person, now: datetime) -> None:
    if person.status not in LIVE:
        return
    cancelled = store.subscriptions.cancel([person.id], CancelReason.UNSUBSCRIBED, now)
    data = {"reason": CancelReason.UNSUBSCRIBED.value}
    store.events.append(
        Event(EventType.CANCELLED, now, sequence_id, row_id, data=data) for row_id, sequence_id in cancelled
    )
