"""How many people and deliveries there are of each kind: each count is one stretch of an index.

A GROUP BY over all of them would take up to five times as long.
"""

from __future__ import annotations

from drip.core.subscription import SubscriptionStatus
from drip.store.database import Database

_BY_STATUS = """
    WITH kind(status) AS (VALUES ('active'), ('paused'), ('completed'), ('cancelled'), ('failed'))
    SELECT q.id, k.status, (SELECT COUNT(*) FROM subscription s WHERE s.replaced = 0 AND s.sequence_id = q.id
        AND s.status = k.status) FROM sequence q CROSS JOIN kind k {where}
"""
_BY_STATE = """
    WITH kind(state) AS (VALUES ('sending'), ('sent'), ('unknown'), ('deferred'), ('failed'), ('skipped'))
    SELECT t.id, k.state, (SELECT COUNT(*) FROM delivery d WHERE d.step_id = t.id AND d.state = k.state)
    FROM step t CROSS JOIN kind k {where}
"""
_WAITING = """
    SELECT t.id, (SELECT COUNT(*) FROM subscription s WHERE s.replaced = 0 AND s.sequence_id = t.sequence_id
        AND s.status = 'active' AND s.next_step_id = t.id) + (SELECT COUNT(*) FROM subscription s WHERE s.replaced = 0
        AND s.sequence_id = t.sequence_id AND s.status = 'paused' AND s.next_step_id = t.id)
    FROM step t {where}
"""


def people_by_status(database: Database, sequence_id: int | None = None) -> dict[int, dict[SubscriptionStatus, int]]:
    """The standing people of each sequence, or of one, by its row's id; every status is there."""
    where, params = _only("q.id", sequence_id)
    found: dict[int, dict[SubscriptionStatus, int]] = {}
    for row_id, status, count in database.rows(_BY_STATUS.format(where=where), *params):
        found.setdefault(row_id, {})[SubscriptionStatus(status)] = count
    return found


def deliveries_by_state(database: Database, sequence_id: int | None = None) -> dict[int, dict[str, int]]:
    """The deliveries of each step, or of those of one sequence, by its row's id; without those there are none of."""
    where, params = _only("t.sequence_id", sequence_id)
    found: dict[int, dict[str, int]] = {}
    for step_id, state, count in database.rows(_BY_STATE.format(where=where), *params):
        if count:
            found.setdefault(step_id, {})[state] = count
    return found


def waiting_by_step(database: Database, sequence_id: int | None = None) -> dict[int, int]:
    """Active and paused people by the row of their next step; as `deliveries_by_state`."""
    where, params = _only("t.sequence_id", sequence_id)
    return {step_id: count for step_id, count in database.rows(_WAITING.format(where=where), *params) if count}


def _only(column: str, row_id: int | None) -> tuple[str, tuple[int, ...]]:
    return ("", ()) if row_id is None else (f"WHERE {column} = ?", (row_id,))
