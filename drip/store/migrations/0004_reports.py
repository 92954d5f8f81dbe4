"""What came back: bounces, complaints and opt-outs by mail, each once; and how the last look into the mailbox went."""

from __future__ import annotations

from typing import Any

SCHEMA = """
CREATE TABLE report (
    key TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('hard', 'soft', 'complaint', 'unsubscribe')),
    proven INTEGER NOT NULL CHECK (proven IN (0, 1)),
    source TEXT NOT NULL,
    contact_id INTEGER,
    subscription_id INTEGER,
    step_id INTEGER,
    sent_at INTEGER,
    code TEXT,
    CHECK (proven = 1 OR contact_id IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX report_contact ON report (contact_id, kind) WHERE contact_id IS NOT NULL;
CREATE INDEX report_kind ON report (kind, proven);

CREATE TABLE inbox (
    name TEXT PRIMARY KEY,
    read_at INTEGER,
    error TEXT,
    error_at INTEGER,
    CHECK ((error IS NULL) = (error_at IS NULL))
) STRICT, WITHOUT ROWID;
"""


def up(_migrator: Any, db: Any) -> None:
    """Make both tables."""
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
