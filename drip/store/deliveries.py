"""Deliveries as they are shown and settled."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.moments import from_milliseconds
from drip.engine.records import Delivery
from drip.store.database import Database

_DELIVERY = """
    SELECT d.id, d.subscription_id, q.slug, t.key, c.email, d.state, d.reason, d.attempts, d.at, d.revision, d.code,
        d.answer
    FROM delivery d JOIN subscription s ON s.id = d.subscription_id JOIN contact c ON c.id = s.contact_id
    JOIN sequence q ON q.id = s.sequence_id JOIN step t ON t.id = d.step_id
"""
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
        return [
            Delivery(
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
            for row in self._database.rows(_DELIVERY + where, *params)
        ]
