"""Forgetting: a sequence with everybody who was in it, or a person everywhere.

What an event says about somebody goes with them. An event of a deleted sequence that is still to be posted to a
webhook stays until it is: whoever was promised it gets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from drip.store.database import Database

_TOLD = "NOT EXISTS (SELECT 1 FROM webhook_delivery w WHERE w.event_id = event.id AND w.state = 'waiting')"
_OF_SEQUENCE = "(SELECT id FROM subscription WHERE sequence_id = ?)"
_ORPHANS = (
    "SELECT e.id, e.data, w.body FROM event e LEFT JOIN webhook_delivery w ON w.event_id = e.id"
    " WHERE e.subscription_id IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM subscription s WHERE s.id = e.subscription_id)"
)
_OF_CONTACT = "(SELECT id FROM subscription WHERE contact_id = ?)"


class Erasure:
    """Deletes rows and all that points to them; call it in a transaction, and `sweep` after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sequence(self, row_id: int) -> None:
        """Remove a sequence, its people's subscriptions, deliveries and events. Contacts and suppressions stay."""
        self._database.run(f"DELETE FROM delivery WHERE subscription_id IN {_OF_SEQUENCE}", row_id)
        self._database.run("DELETE FROM subscription WHERE sequence_id = ?", row_id)
        self._database.run(f"DELETE FROM event WHERE sequence_id = ? AND {_TOLD}", row_id)
        self._database.run("DELETE FROM sequence WHERE id = ?", row_id)

    def person(self, row_id: int | None, email_key: str) -> None:
        """Remove a person: contact, subscriptions, deliveries, and every event that names them, posted or not.

        Args:
            row_id: the contact's; None when only an address is known.
        """
        self._database.run(f"DELETE FROM event WHERE subscription_id IN {_OF_CONTACT}", row_id)
        self._database.run(f"DELETE FROM event WHERE {self._database.json_text('data', 'email')} = ?", email_key)
        self._database.run(f"DELETE FROM delivery WHERE subscription_id IN {_OF_CONTACT}", row_id)
        self._database.run("DELETE FROM subscription WHERE contact_id = ?", row_id)
        self._database.run("DELETE FROM report WHERE contact_id = ?", row_id)
        self._database.run("DELETE FROM contact WHERE id = ?", row_id)
        self._orphans(email_key)

    def sweep(self) -> bool:
        """Let nothing that was deleted stay in the files; False: others read what was before, and keep it there."""
        return self._database.sweep()

    def _orphans(self, email_key: str) -> None:
        """Events of deleted sequences that are still to be posted: the address stands in what is posted."""
        whole = re.compile(rf"(?<![\w.+-]){re.escape(email_key)}(?![\w-]|\.\w)")
        for number, data, body in self._database.rows(_ORPHANS):
            if any(whole.search(text) for text in _texts(json.loads(data or "{}"), json.loads(body or b"{}"))):
                self._database.run("DELETE FROM event WHERE id = ?", number)


def _texts(*values: Any) -> Iterator[str]:
    """Every text in JSON values, casefolded as the keys of addresses are."""
    for value in values:
        match value:
            case str():
                yield value.casefold()
            case dict():
                yield from _texts(*value.values())
            case list():
                yield from _texts(*value)
