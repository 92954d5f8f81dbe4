"""Facts, as they are appended and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """Facts, in the order they happened. The first five are told to webhooks; all are shown by `drip log`."""

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


PUBLIC_EVENTS = frozenset(tuple(EventType)[:5])
"""Those that webhooks are told."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact."""

    type: EventType
    at: datetime
    sequence_id: int | None = None
    """The row's id, as the next two."""
    subscription_id: int | None = None
    step_id: int | None = None
    data: Mapping[str, Any] | None = None
    """What else there is to say, as JSON values."""
