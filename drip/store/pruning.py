"""Forgetting what is old and told elsewhere: events, posted webhooks, and the counts of past days.

Nothing goes that a decision rests on. A delivery is never forgotten, as its row is what keeps a step from being sent
twice; nor a suppression, a report of a bounce, or an event that says what somebody's variables were, that they left or
may be mailed again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drip.core.events import EventType
from drip.store.database import Database
from drip.store.rows import ms

AT_ONCE = 5000
"""Rows in one transaction: a worker's mark waits for no more."""

FORGOTTEN = (
    EventType.SUBSCRIBED,
    EventType.STEP_SENT,
    EventType.STEP_FAILED,
    EventType.STEP_DEFERRED,
    EventType.STEP_SKIPPED,
    EventType.STEP_UNKNOWN,
    EventType.STEP_RESOLVED,
    EventType.COMPLETED,
    EventType.PAUSED,
    EventType.RESUMED,
    EventType.RETRIED,
    EventType.UNPROVEN,
)
"""Events whose fact is also in the subscription or the delivery, or that anybody can cause."""

_TYPES = ", ".join(f"'{kind.value}'" for kind in FORGOTTEN)
_EVENTS = f"""
    FROM event WHERE at < ? AND type IN ({_TYPES}) AND NOT EXISTS (
        SELECT 1 FROM webhook_delivery w WHERE w.event_id = event.id AND w.state = 'waiting')
"""
_POSTS = """
    FROM webhook_delivery WHERE state <> 'waiting' AND event_id IN (SELECT e.id FROM event e WHERE e.at < ?)
"""
# From when on the log is whole: the checker asks for no event of a time before.
_SINCE = """
    INSERT INTO meta (name, value) VALUES ('events_since', ?)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value
        WHERE CAST(meta.value AS BIGINT) < CAST(excluded.value AS BIGINT)
"""
# The first day is when the warm-up began.
_DAYS = "FROM day WHERE day < ? AND day <> COALESCE((SELECT MIN(day) FROM day WHERE used > 0), '')"


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows there were."""

    events: int
    webhook_deliveries: int
    days: int


class Pruning:
    """What is older than a moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, before: datetime) -> Pruned:
        """What `prune` would forget."""

        def counted(rows: str, *params: Any) -> int:
            return int(self._database.value(f"SELECT COUNT(*) {rows}", *params))

        return Pruned(counted(_EVENTS, ms(before)), counted(_POSTS, ms(before)), counted(_DAYS, _day(before)))

    def prune(self, before: datetime, told: Callable[[int], None] = lambda rows: None) -> Pruned:
        """Forget it, a part at a time; a worker may be at work.

        Args:
            told: called with the number of rows after each part.
        """
        self._database.run(_SINCE, str(ms(before)))
        posts = self._delete("webhook_delivery", _POSTS, before, told)
        events = self._delete("event", _EVENTS, before, told)
        with self._database.transaction():
            days = self._database.run(f"DELETE {_DAYS}", _day(before))
        return Pruned(events, posts, days)

    def _delete(self, table: str, rows: str, before: datetime, told: Callable[[int], None]) -> int:
        deleted = 0
        while True:
            with self._database.transaction():
                count = self._database.run(
                    f"DELETE FROM {table} WHERE id IN (SELECT id {rows} LIMIT ?)", ms(before), AT_ONCE
                )
            told(count)
            deleted += count
            if count < AT_ONCE:
                return deleted


def _day(before: datetime) -> str:
    return before.date().isoformat()
