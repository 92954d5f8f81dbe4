"""Forgetting: a sequence with everybody who was in it, or a person everywhere.

What an event says about somebody goes with them. An event of a deleted sequence that is still to be posted to a
webhook stays until it is: whoever was promised it gets it.
"""

from __future__ import annotations

from drip.store.database import Database

_TOLD = "NOT EXISTS (SELECT 1 FROM webhook_delivery w WHERE w.event_id = event.id AND w.state = 'waiting')"
_OF_SEQUENCE = "(SELECT id FROM subscription WHERE sequence_id = ?)"
_OF_CONTACT = "(SELECT id FROM subscription WHERE contact_id = ?)"


class Erasure:
    """Deletes rows and all that points to them; call it in a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sequence(self, row_id: int) -> None:
        """Remove a sequence, its people's subscriptions, deliveries and events. Contacts and suppressions stay."""
        self._database.run(f"DELETE FROM delivery WHERE subscription_id IN {_OF_SEQUENCE}", row_id)
        self._database.run("DELETE FROM subscription WHERE sequence_id = ?", row_id)
        self._database.run(f"DELETE FROM event WHERE sequence_id = ? AND {_TOLD}", row_id)
        self._database.run("DELETE FROM sequence WHERE id = ?", row_id)

    def contact(self, row_id: int, email_key: str) -> None:
        """Remove a person: subscriptions, deliveries, and every event that names them, posted or not."""
        self._database.run(f"DELETE FROM event WHERE subscription_id IN {_OF_CONTACT}", row_id)
        self._database.run("DELETE FROM event WHERE json_extract(data, '$.email') = ?", email_key)
        self._database.run(f"DELETE FROM delivery WHERE subscription_id IN {_OF_CONTACT}", row_id)
        self._database.run("DELETE FROM subscription WHERE contact_id = ?", row_id)
        self._database.run("DELETE FROM contact WHERE id = ?", row_id)
