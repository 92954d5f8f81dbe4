"""The kinds of facts that are remembered, and which of them are told to others."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What happens; all of it is shown by `drip log`."""

    SUBSCRIBED = "sequence.subscribed"
    STEP_SENT = "sequence.step.sent"
    STEP_FAILED = "sequence.step.failed"
    COMPLETED = "sequence.completed"
    CANCELLED = "sequence.cancelled"
    STEP_DEFERRED = "step.deferred"
    STEP_SKIPPED = "step.skipped"
    STEP_UNKNOWN = "step.unknown"
    STEP_RESOLVED = "step.resolved"
    PAUSED = "subscription.paused"
    RESUMED = "subscription.resumed"
    RETRIED = "subscription.retried"
    CHANGED = "subscription.changed"
    SUPPRESSED = "suppression.added"
    UNSUPPRESSED = "suppression.removed"
    APPLIED = "sequence.applied"
    STATUS = "sequence.status"
    BREAKER = "worker.breaker"
    RESTORED = "database.restored"
    BOUNCED = "delivery.bounced"
    COMPLAINED = "delivery.complained"
    UNPROVEN = "report.unproven"


PUBLIC_EVENTS = frozenset(
    {
        EventType.SUBSCRIBED,
        EventType.STEP_SENT,
        EventType.STEP_FAILED,
        EventType.COMPLETED,
        EventType.CANCELLED,
    }
)
"""Those that webhooks are told."""
