"""Limits over all processes: a token bucket per rate, a count per day."""

from __future__ import annotations

from typing import Any

SCHEMA = """
CREATE TABLE bucket (
    name TEXT PRIMARY KEY,
    tokens REAL NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE day (
    day TEXT PRIMARY KEY,
    used INTEGER NOT NULL CHECK (used >= 0)
) STRICT, WITHOUT ROWID;
"""


def up(_migrator: Any, db: Any) -> None:
    """Make both tables."""
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
