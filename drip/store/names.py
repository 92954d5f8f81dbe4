"""Names for completion in a shell, from a SQLite file that may be missing, locked, broken or of another schema.

Nothing is written and nothing is waited for. Somebody has pressed a key: neither peewee nor the store is imported.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

MOST = 50
"""Names of people; a shell asks before it shows more."""
PATIENCE = 0.2
"""Seconds that another process may hold the database."""


def sequence_ids(path: Path) -> list[str]:
    """The ids of all sequences."""
    return _column(path, "SELECT slug FROM sequence ORDER BY slug")


def step_keys(path: Path, sequence: str) -> list[str]:
    """The ids of a sequence's steps, in order."""
    query = "SELECT key FROM step WHERE sequence_id = (SELECT id FROM sequence WHERE slug = ?) ORDER BY rank"
    return _column(path, query, sequence)


def addresses(path: Path, begins: str, sequence: str | None) -> list[str]:
    """Addresses that begin so, in lower case; with a sequence, only of those who are in it."""
    query = "SELECT email FROM contact WHERE email_key >= ? AND email_key < ?"
    wanted: list[str | int] = [begins.lower(), begins.lower() + "\U0010ffff"]
    if sequence is not None:
        query += (
            " AND id IN (SELECT contact_id FROM subscription WHERE contact_id = contact.id AND replaced = 0"
            " AND sequence_id = (SELECT id FROM sequence WHERE slug = ?))"
        )
        wanted.append(sequence)
    return _column(path, f"{query} ORDER BY email_key LIMIT ?", *wanted, MOST)


def _column(path: Path, query: str, *values: str | int) -> list[str]:
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
            return [str(name) for (name,) in connection.execute(query, values)]
    except sqlite3.Error:
        return []
