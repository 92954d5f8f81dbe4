"""One delivery with all that its message was made of: what `why` asks. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drip.core.moments import from_milliseconds
from drip.engine.why import Change, Letter
from drip.store.database import Database
from drip.store.deliveries import SHOWN, delivery_of
from drip.store.rows import load

_LETTER = SHOWN.format(
    more=", d.content_hash, d.step_id, s.sequence_id, s.contact_id, c.name, c.variables, s.variables"
)

# What variables and names were before each change that came after the step's last event, newest first.
_CHANGES = """
    SELECT e.at, e.data FROM event e WHERE e.subscription_id = ? AND e.type = 'subscription.changed'
        AND e.id > COALESCE((SELECT MAX(x.id) FROM event x WHERE x.subscription_id = e.subscription_id
            AND x.step_id = ? AND x.type <> 'step.resolved'), 0)
    ORDER BY e.id DESC
"""


class Letters:
    """Deliveries in full, one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_id(self, delivery_id: int) -> Letter | None:
        """A delivery by its row's id, or None."""
        return self._letter("WHERE d.id = ?", delivery_id)

    def by_place(self, subscription_id: int, step_id: int) -> Letter | None:
        """The delivery of one step for one subscription, or None."""
        return self._letter("WHERE d.subscription_id = ? AND d.step_id = ?", subscription_id, step_id)

    def changes_since(self, letter: Letter) -> list[Change]:
        """What was changed in the subscription's or contact's variables after the message was made, newest first."""
        rows = self._database.rows(_CHANGES, letter.delivery.subscription_id, letter.step_id)
        return [_change(from_milliseconds(at), load(data or "{}")) for at, data in rows]

    def _letter(self, where: str, *params: Any) -> Letter | None:
        row = self._database.row(_LETTER + where, *params)
        if row is None:
            return None
        return Letter(
            delivery=delivery_of(row),
            content_hash=row[12],
            step_id=row[13],
            sequence_id=row[14],
            contact_id=row[15],
            name=row[16],
            contact_variables=load(row[17]),
            variables=load(row[18]),
        )


def _change(at: datetime, data: Mapping[str, Any]) -> Change:
    return Change(at, data.get("was") or {}, of_contact=data.get("of") == "contact", name=data.get("was_name"))
