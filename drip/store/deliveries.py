"""Deliveries as they are shown and settled, and what the newest of them say about us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.moments import from_milliseconds
from drip.engine.records import Delivery
from drip.store.database import Database
from drip.store.rows import marks, ms

SHOWN = """
    SELECT d.id, d.subscription_id, q.slug, t.key, c.email, d.state, d.reason, d.attempts, d.at, d.revision, d.code,
        d.answer{more}
    FROM delivery d JOIN subscription s ON s.id = d.subscription_id JOIN contact c ON c.id = s.contact_id
    JOIN sequence q ON q.id = s.sequence_id JOIN step t ON t.id = d.step_id
"""
"""What `delivery_of` reads; `more` are columns behind, each after a comma."""
# The condition of the index, word for word.
_OPEN = "d.state IN ('sending', 'unknown', 'deferred', 'failed')"


class Deliveries:
    """What was sent, and what came of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def fate(self, delivery_id: int) -> tuple[int, int, int, DeliveryState, datetime] | None:
        """(subscription, step, claim, state, since when) of a delivery; None when there is none."""
        row = self._database.row(
            "SELECT subscription_id, step_id, claim, state, at FROM delivery WHERE id = ?", delivery_id
        )
        if row is None:
            return None
        subscription_id, step_id, claim, state, at = row
        return subscription_id, step_id, claim, DeliveryState(state), from_milliseconds(at)

    def find(self, subscription_id: int, step_id: int) -> int | None:
        """The row of a delivery, or None when nothing happened yet."""
        found: int | None = self._database.value(
            "SELECT id FROM delivery WHERE subscription_id = ? AND step_id = ?", subscription_id, step_id
        )
        return found

    def sent_since(self, moment: datetime) -> bool:
        """Whether any message was accepted since then."""
        return (
            self._database.row(
                "SELECT 1 FROM delivery WHERE at >= ? AND state = 'sent' AND state IN ('sent', 'failed') LIMIT 1",
                ms(moment),
            )
            is not None
        )

    def excuse(self, delivery_ids: Sequence[int], now: datetime) -> None:
        """Make refused deliveries wait for another try: the refusal was our own fault.

        Those of people who have opted out since are left alone: nothing of theirs is tried again.
        """
        self._database.run(
            "UPDATE delivery SET state = 'deferred', reason = ?, at = ?,"
            " attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END"
            f" WHERE id IN ({marks(len(delivery_ids))}) AND state = 'failed'"
            " AND (EXISTS (SELECT 1 FROM subscription s JOIN contact c ON c.id = s.contact_id"
            " JOIN suppression x ON x.email_key = c.email_key"
            " WHERE s.id = delivery.subscription_id AND x.delivery_id = delivery.id)"
            " OR EXISTS (SELECT 1 FROM subscription s WHERE s.id = delivery.subscription_id AND s.status = 'failed'"
            " AND s.next_step_id = delivery.step_id))",
            *(Reason.BREAKER.value, ms(now)),
            *delivery_ids,
        )

    def last_handed_over(self, count: int, since: datetime | None = None) -> list[tuple[int, bool]]:
        """The newest deliveries that a server answered for good: (id, whether it is a hard refusal).

        A mailbox that is full or disabled (5.2.x) exists: that says nothing of us.
        """
        rows = self._database.rows(
            "SELECT id, reason = 'no_mailbox' OR (reason = 'refused' AND code IS NOT NULL"
            " AND COALESCE(answer, '') NOT LIKE '5.2.%') FROM delivery"
            " WHERE state IN ('sent', 'failed') AND (state = 'sent' OR code IS NOT NULL) AND at >= ?"
            " ORDER BY at DESC, id DESC LIMIT ?",
            *(ms(since) or 0, count),
        )
        return [(row_id, bool(hard)) for row_id, hard in rows]

    def unknown(self) -> list[Delivery]:
        """Those whose fate is not known, oldest first."""
        return self._deliveries(f"WHERE d.state = 'unknown' AND {_OPEN} ORDER BY d.at, d.id")

    def failed(self, limit: int) -> list[Delivery]:
        """The newest that failed for good."""
        return self._deliveries(f"WHERE d.state = 'failed' AND {_OPEN} ORDER BY d.at DESC LIMIT ?", limit)

    def of_subscription(self, subscription_id: int) -> list[Delivery]:
        """All of one subscription, oldest first."""
        return self._deliveries("WHERE d.subscription_id = ? ORDER BY d.at, d.id", subscription_id)

    def _deliveries(self, where: str, *params: Any) -> list[Delivery]:
        return [delivery_of(row) for row in self._database.rows(SHOWN.format(more="") + where, *params)]


def delivery_of(row: Sequence[Any]) -> Delivery:
    """A row of SHOWN."""
    return Delivery(
        id=row[0],
        subscription_id=row[1],
        sequence=row[2],
        step=row[3],
        email=row[4],
        state=DeliveryState(row[5]),
        reason=Reason(row[6]) if row[6] else None,
        attempts=row[7],
        at=from_milliseconds(row[8]),
        revision=row[9],
        code=row[10],
        answer=row[11],
    )
