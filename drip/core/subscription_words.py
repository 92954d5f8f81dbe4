"""Subscriptions in words."""

from __future__ import annotations

from datetime import datetime, tzinfo

from drip.core.plain import distance, moment
from drip.core.subscription import Subscription, SubscriptionStatus

_HOLDS = {
    "unknown": "waits for `drip resolve`: nobody knows whether it was sent",
    "no_steps": "waits: the sequence has no steps",
    "sequence_draft": "held: the sequence is a draft",
    "sequence_archived": "held: the sequence is archived",
}


def what_is_next(subscription: Subscription, now: datetime, zone: tzinfo) -> str:
    """What comes next for a person and when, or how it ended."""
    match subscription.status:
        case SubscriptionStatus.COMPLETED:
            return f"completed {moment(subscription.completed_at, zone)}"
        case SubscriptionStatus.CANCELLED:
            return f"cancelled {moment(subscription.cancelled_at, zone)} ({subscription.cancel_reason})"
        case SubscriptionStatus.FAILED:
            return f"failed at {_where_failed(subscription)}; `drip retry` makes it active again"
        case SubscriptionStatus.PAUSED:
            before = f", before {subscription.next_step}" if subscription.next_step else ""
            return f"paused since {moment(subscription.paused_at, zone)}{before}"
    hold = hold_words(subscription)
    if subscription.next_step is None or subscription.next_send_at is None:
        return hold or "nothing is pending"
    at = subscription.next_send_at
    when = "due now" if at <= now else f"{moment(at, zone)} ({distance(at, now)})"
    return f"{subscription.next_step}, {when}" + (f"; {hold}" if hold else "")


def hold_words(subscription: Subscription) -> str:
    """Why an active subscription is not sent at its time; empty when it is."""
    return _HOLDS.get(subscription.hold or "", subscription.hold or "")


def _where_failed(subscription: Subscription) -> str:
    """The step; who has a time, or no step, had failed at one that was removed since."""
    if subscription.next_step is None:
        return "a step that is gone"
    if subscription.next_send_at is None:
        return subscription.next_step
    return f"a step that is gone, before {subscription.next_step}"
