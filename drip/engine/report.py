"""What one pass of a worker did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drip.core.delivery import Outcome
    from drip.errors import Unavailable


@dataclass(slots=True)
class Report:
    """What one pass did."""

    counts: Counter[str] = field(default_factory=Counter)
    """By kind of fact; `completed` counts subscriptions."""
    trouble: Outcome | None = None
    """Why the pass stopped before everything due was handled; None when it did not."""
    unavailable: Unavailable | None = None
    """The database could not be used, and that was the trouble; None when it was the transport, or nothing was."""
    swept: int = 0
    """Deliveries left behind by dead workers, unknown now."""
    room_at: datetime | None = None
    """When the limits leave room again; None when they did not stop the pass."""
    remaining_due: int = 0
    next_due_at: datetime | None = None
    seconds: float = 0.0

    def add(self, later: Report) -> None:
        """Take in what a later pass did; where they differ, the later one knows better."""
        self.counts.update(later.counts)
        self.swept += later.swept
        self.seconds += later.seconds
        self.trouble, self.unavailable = later.trouble or self.trouble, later.unavailable or self.unavailable
        self.room_at, self.remaining_due, self.next_due_at = later.room_at, later.remaining_due, later.next_due_at
