"""The counts behind a sequence's funnel. Reads only."""

from __future__ import annotations

from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.engine.records import StoredSequence
from drip.engine.stats import Funnel, funnel
from drip.store.database import Database

_DELIVERIES = """
    SELECT d.step_id, d.state, COUNT(*) FROM step t JOIN delivery d ON d.step_id = t.id
    WHERE t.sequence_id = ? GROUP BY d.step_id, d.state
"""

_WAITING = """
    SELECT next_step_id, COUNT(*) FROM subscription WHERE replaced = 0 AND sequence_id = ?
        AND status IN ('active', 'paused') AND next_step_id IS NOT NULL GROUP BY next_step_id
"""

_LEFT = """
    SELECT last_step_id, cancel_reason, COUNT(*) FROM subscription
    WHERE sequence_id = ? AND status = 'cancelled' GROUP BY last_step_id, cancel_reason
"""


class Stats:
    """How far people got."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def funnel(self, stored: StoredSequence) -> Funnel:
        """The funnel of one sequence."""
        people = dict.fromkeys(SubscriptionStatus, 0)
        for status, count in self._database.rows(
            "SELECT status, COUNT(*) FROM subscription WHERE sequence_id = ? GROUP BY status", stored.id
        ):
            people[SubscriptionStatus(status)] = count
        deliveries: dict[int, dict[str, int]] = {}
        for step_id, state, count in self._database.rows(_DELIVERIES, stored.id):
            deliveries.setdefault(step_id, {})[state] = count
        waiting = dict(self._database.rows(_WAITING, stored.id))
        left = {
            (step_id, CancelReason(reason)): count for step_id, reason, count in self._database.rows(_LEFT, stored.id)
        }
        return funnel(stored, people, deliveries, waiting, left)
