"""Addresses that are never mailed, and what becomes of their people: one rule for commands, bounces and opt-outs."""

from __future__ import annotations

from datetime import datetime

from drip.core.address import email_key
from drip.core.events import EventType
from drip.core.subscription import CANCEL_FOR, CancelReason, ContactStatus, SuppressionReason
from drip.engine.ports import Store
from drip.engine.records import Event

CONTACT_STATUS = {
    SuppressionReason.BOUNCE: ContactStatus.BOUNCED,
    SuppressionReason.COMPLAINT: ContactStatus.COMPLAINED,
    SuppressionReason.UNSUBSCRIBED: ContactStatus.UNSUBSCRIBED,
}
"""What a contact is whose address is suppressed for that reason; one put there by the operator stays what it was."""


def suppress(
    store: Store,
    email: str,
    reason: SuppressionReason,
    now: datetime,
    *,
    code: str | None = None,
    delivery_id: int | None = None,
    detail: str | None = None,
    cancel_as: CancelReason | None = None,
) -> tuple[bool, int]:
    """Never mail an address again, and cancel its live subscriptions, in one transaction.

    Args:
        email: as `parse_email` returns it.
        code: the server's code or the operator's words.
        delivery_id: the refusal that caused it; None when it was not a refusal.
        detail: why, in the words of a server or provider; told with every subscription that it cancels.
        cancel_as: what its subscriptions are cancelled as; None: what goes with the reason.

    Returns:
        Whether the address was not suppressed before, and how many subscriptions were cancelled.
    """
    with store.transaction():
        added = store.suppressions.add(email, reason, now, code=code, delivery_id=delivery_id)
        contact = store.contacts.by_email(email)
        events = []
        if added:
            data = {"email": email_key(email), "reason": reason.value, **({"code": code} if code else {})}
            events.append(Event(EventType.SUPPRESSED, now, data=data))
            if status := CONTACT_STATUS.get(reason):
                store.contacts.set_status(email_key(email), status, now)
        cancelled: list[tuple[int, int]] = []
        if contact is not None:
            live = store.subscriptions.of_contact(contact.id)
            cause = cancel_as or CANCEL_FOR[reason]
            cancelled = store.subscriptions.cancel(live, cause, now)
            told = {"reason": cause.value, **({"detail": detail} if detail else {})}
            events += [
                Event(EventType.CANCELLED, now, sequence_id, row_id, data=told) for row_id, sequence_id in cancelled
            ]
        store.events.append(events)
    return added, len(cancelled)


def put_on_list(
    store: Store, email: str, reason: SuppressionReason, now: datetime, *, code: str | None = None
) -> tuple[bool, int]:
    """Suppress an address because the operator says so, whatever the reason: its people are cancelled as `suppressed`.

    Returns:
        As `suppress`.
    """
    return suppress(store, email, reason, now, code=code, cancel_as=CancelReason.SUPPRESSED)


def unsuppress(store: Store, email: str, now: datetime) -> bool:
    """Allow an address again; whether it was suppressed. Nothing that was cancelled comes back by itself."""
    with store.transaction():
        removed = store.suppressions.remove(email)
        if removed:
            welcome_back(store, email, now)
    return removed


def welcome_back(store: Store, email: str, now: datetime) -> None:
    """Note that an address may be mailed again; call it where its suppression is removed."""
    store.contacts.set_status(email_key(email), ContactStatus.ACTIVE, now)
    store.events.append([Event(EventType.UNSUPPRESSED, now, data={"email": email_key(email)})])
