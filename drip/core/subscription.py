"""One contact in one sequence: its states, and which moves are legal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from drip.core.sequence import Resubscribe


class SubscriptionStatus(StrEnum):
    """Where a subscription is in its life."""

    ACTIVE = "active"  # something is pending, or the sequence holds it
    PAUSED = "paused"  # its clock stands still
    COMPLETED = "completed"  # every step handled; final
    CANCELLED = "cancelled"  # ended before; final, with a reason
    FAILED = "failed"  # a step was refused or ran out of retries; `retry` makes it active


LIVE = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED, SubscriptionStatus.FAILED)
"""The states that can still be cancelled."""


class CancelReason(StrEnum):
    """Why a subscription was cancelled."""

    MANUAL = "manual"  # by command, API or dashboard
    UNSUBSCRIBED = "unsubscribed"  # the person opted out
    BOUNCED = "bounced"  # the mailbox or its domain does not exist
    COMPLAINED = "complained"  # the person called it spam
    SUPPRESSED = "suppressed"  # the address is on the suppression list
    STOPPED = "stopped"  # the sequence's `stop_when` was true


class SuppressionReason(StrEnum):
    """Why an address is never mailed."""

    BOUNCE = "bounce"  # refused for good: no such mailbox or domain
    COMPLAINT = "complaint"  # called spam by its owner
    UNSUBSCRIBED = "unsubscribed"  # opted out of everything
    MANUAL = "manual"  # put there by the operator


CANCEL_FOR: dict[SuppressionReason, CancelReason] = {
    SuppressionReason.BOUNCE: CancelReason.BOUNCED,
    SuppressionReason.COMPLAINT: CancelReason.COMPLAINED,
    SuppressionReason.UNSUBSCRIBED: CancelReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL: CancelReason.SUPPRESSED,
}
"""The reason that live subscriptions of a suppressed address are cancelled with."""


class ContactStatus(StrEnum):
    """Whether a contact may be mailed."""

    ACTIVE = "active"  # yes, unless the address is suppressed
    UNSUBSCRIBED = "unsubscribed"  # opted out of everything
    BOUNCED = "bounced"  # its mailbox does not exist
    COMPLAINED = "complained"  # called a message spam


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as it is shown: the fields of `http-api.md`."""

    id: int
    sequence_id: str
    """The sequence's slug."""
    email: str
    """As written when the contact was made."""
    name: str
    status: SubscriptionStatus
    started_at: datetime
    """Given, or the moment of subscribing."""
    current_step: int
    """Position of the last step handled; 0 before the first."""
    next_step: str | None
    """Key of the step that comes next; None when nothing is pending."""
    next_send_at: datetime | None
    """When it is due; None when nothing is pending, or it waits for a decision (see `hold`)."""
    variables: Mapping[str, Any]
    """The subscription's own; the contact's are not in it."""
    retry_count: int
    """Attempts made so far for the next step."""
    last_sent_at: datetime | None
    paused_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    cancel_reason: CancelReason | None
    created_at: datetime
    updated_at: datetime
    hold: str | None = None
    """Why an active subscription is not due at a known time: `unknown`, `no_steps`, `sequence_draft`, …; or None."""
    key_id: str | None = None
    """The API key that made it; None for the command line."""


def may_resubscribe(rule: Resubscribe, status: SubscriptionStatus, reason: CancelReason | None) -> bool:
    """Whether a new subscription may start over one that is final.

    Never over an opt-out, a bounce, a complaint or a suppression.
    """
    if status is SubscriptionStatus.COMPLETED:
        return rule in (Resubscribe.AFTER_COMPLETION, Resubscribe.ALWAYS)
    if status is SubscriptionStatus.CANCELLED:
        return rule is Resubscribe.ALWAYS and reason in (CancelReason.MANUAL, CancelReason.STOPPED)
    return False
