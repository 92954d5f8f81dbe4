"""What is to come for everybody, counted by the database: never a row per person leaves it. Reads only."""

from __future__ import annotations

from datetime import datetime, timedelta

from drip.core.moments import from_milliseconds, to_milliseconds
from drip.engine.agenda import SLOT, Held, Waiting
from drip.store.database import Database

# Through the partial index of the due: who is due later costs nothing.
WAITING = """
    SELECT s.next_send_at / ?, s.next_step_id, COUNT(*) FROM subscription s
    WHERE s.sequence_id = ? AND s.status = 'active' AND s.owner IS NULL AND s.next_send_at IS NOT NULL
        AND s.next_send_at <= ? GROUP BY 1, 2
"""

# Each count is one stretch of an index; who simply waits in an active sequence is not counted.
_BY_STATUS = """
    WITH kind(status) AS (VALUES ('active'), ('paused'), ('failed'))
    SELECT slug, CASE WHEN status = 'active' THEN 'sequence_' || of_sequence ELSE status END, people FROM (
        SELECT q.slug, q.status AS of_sequence, k.status, (SELECT COUNT(*) FROM subscription s WHERE s.replaced = 0
            AND s.sequence_id = q.id AND s.status = k.status) AS people
        FROM sequence q CROSS JOIN kind k WHERE k.status <> 'active' OR q.status <> 'active'
    ) held WHERE people > 0
"""

_WITHOUT_STEPS = """
    SELECT q.slug, 'no_steps', COUNT(*) FROM subscription s JOIN sequence q ON q.id = s.sequence_id
    WHERE s.replaced = 0 AND s.status = 'active' AND s.next_step_id IS NULL AND q.status = 'active' GROUP BY 1
"""

# The second condition on the state is that of the index.
_BY_DELIVERY = """
    SELECT q.slug, CASE WHEN d.state = 'unknown' THEN 'unknown' ELSE d.reason END, COUNT(*)
    FROM delivery d JOIN subscription s ON s.id = d.subscription_id JOIN sequence q ON q.id = s.sequence_id
    WHERE d.state IN ('unknown', 'deferred') AND d.state IN ('sending', 'unknown', 'deferred', 'failed')
        AND s.status = 'active' GROUP BY 1, 2
"""


class Agenda:
    """What waits, and what is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, sequence_id: int, until: datetime) -> list[Waiting]:
        """How many wait for each step of a sequence, by the slot of time they are due in; the overdue included."""
        slot = SLOT // timedelta(milliseconds=1)
        rows = self._database.rows(WAITING, slot, sequence_id, to_milliseconds(until))
        return [Waiting(step_id, from_milliseconds(number * slot), count) for number, step_id, count in rows]

    def held(self) -> list[Held]:
        """Who is not sent to at their time, by sequence and reason; the deferred are in `waiting` too."""
        rows = [row for sql in (_BY_STATUS, _WITHOUT_STEPS, _BY_DELIVERY) for row in self._database.rows(sql)]
        return sorted((Held(*row) for row in rows), key=lambda held: (held.sequence, held.reason))
