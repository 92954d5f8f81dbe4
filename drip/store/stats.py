"""The counts behind the funnels. Reads only; one look at the subscriptions, however many sequences there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.engine.records import StoredSequence
from drip.engine.stats import Funnel, funnel
from drip.store.database import Database

# Ended subscriptions that were started again count too: theirs are people who got through, and messages that were sent.
_PLACES = """
    SELECT sequence_id, status, cancel_reason,
        CASE WHEN status = 'cancelled' THEN last_step_id WHEN status IN ('active', 'paused') THEN next_step_id END
            AS place,
        COUNT(*)
    FROM subscription GROUP BY sequence_id, status, cancel_reason, place
"""

_DELIVERIES = "SELECT step_id, state, COUNT(*) FROM delivery GROUP BY step_id, state"


@dataclass(slots=True)
class _Counts:
    """The people of one sequence."""

    people: dict[SubscriptionStatus, int] = field(default_factory=lambda: dict.fromkeys(SubscriptionStatus, 0))
    waiting: Counter[int] = field(default_factory=Counter)
    left: Counter[tuple[int | None, CancelReason]] = field(default_factory=Counter)


class Stats:
    """How far people got."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def funnels(self, sequences: Sequence[StoredSequence]) -> list[Funnel]:
        """The funnel of each of these sequences."""
        counts = self._counts()
        deliveries: dict[int, dict[str, int]] = {}
        for step_id, state, count in self._database.rows(_DELIVERIES):
            deliveries.setdefault(step_id, {})[state] = count
        found = []
        for stored in sequences:
            of_one = counts.get(stored.id, _Counts())
            found.append(funnel(stored, of_one.people, deliveries, of_one.waiting, of_one.left))
        return found

    def _counts(self) -> dict[int, _Counts]:
        found: dict[int, _Counts] = {}
        for sequence_id, status, reason, place, count in self._database.rows(_PLACES):
            counts = found.setdefault(sequence_id, _Counts())
            counts.people[SubscriptionStatus(status)] += count
            if reason is not None:
                counts.left[place, CancelReason(reason)] += count
            elif place is not None:
                counts.waiting[place] += count
        return found
