"""API keys. What comes in and goes out are hashes: a key itself never enters this module."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drip.core.moments import from_milliseconds
from drip.engine.records import Key
from drip.store.database import Database
from drip.store.rows import moment, ms

_KEY = "SELECT id, name, prefix, created_at, last_used_at, revoked_at FROM api_key"


class Keys:
    """Who may use the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: Key, digest: bytes) -> None:
        """Remember a new key by its SHA-256."""
        self._database.run(
            "INSERT INTO api_key (id, name, prefix, hash, created_at) VALUES (?, ?, ?, ?, ?)",
            *(key.id, key.name, key.prefix, digest, ms(key.created_at)),
        )

    def with_prefix(self, prefix: str) -> list[tuple[Key, bytes]]:
        """The keys that begin so, each with its SHA-256; revoked ones included."""
        rows = self._database.rows(_KEY.replace(" FROM", ", hash FROM") + " WHERE prefix = ?", prefix)
        return [(_key(row), row[6]) for row in rows]

    def get(self, key_id: str) -> Key | None:
        """A key by its id, or None."""
        row = self._database.row(_KEY + " WHERE id = ?", key_id)
        return None if row is None else _key(row)

    def is_good(self, key_id: str) -> bool:
        """Whether there is such a key and it is not revoked."""
        return self._database.row("SELECT 1 FROM api_key WHERE id = ? AND revoked_at IS NULL", key_id) is not None

    def all(self) -> list[Key]:
        """Every key there ever was, oldest first."""
        return [_key(row) for row in self._database.rows(_KEY + " ORDER BY created_at, id")]

    def any_good(self) -> bool:
        """Whether there is a key that is not revoked."""
        return self._database.row("SELECT 1 FROM api_key WHERE revoked_at IS NULL LIMIT 1") is not None

    def note_use(self, key_id: str, now: datetime) -> None:
        """Remember that a key was used."""
        self._database.run("UPDATE api_key SET last_used_at = ? WHERE id = ?", ms(now), key_id)

    def rename(self, key_id: str, name: str) -> None:
        """Call a key something else."""
        self._database.run("UPDATE api_key SET name = ? WHERE id = ?", name, key_id)

    def revoke(self, key_id: str, now: datetime) -> bool:
        """Refuse a key from now on; False when it was revoked before or never was."""
        return bool(
            self._database.run("UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", ms(now), key_id)
        )


def _key(row: tuple[Any, ...]) -> Key:
    key_id, name, prefix, made, used, revoked = row[:6]
    return Key(key_id, name, prefix, from_milliseconds(made), moment(used), moment(revoked))
