"""API keys, the endpoints that events are posted to, and what is to be posted.

A key is never stored, only its SHA-256. The secrets of endpoints are: a signature can't be made without them.
"""

from __future__ import annotations

from typing import Any

SCHEMA = """
CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_prefix ON api_key (prefix);

CREATE TABLE webhook_endpoint (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id TEXT REFERENCES api_key (id),
    url TEXT NOT NULL,
    secret TEXT,
    old_secret TEXT,
    old_secret_until INTEGER,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    removed_at INTEGER,
    held_until INTEGER,
    CHECK ((key_id IS NULL) = (secret IS NULL)),
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL))
) STRICT;
CREATE UNIQUE INDEX webhook_endpoint_file ON webhook_endpoint (url) WHERE key_id IS NULL;
CREATE UNIQUE INDEX webhook_endpoint_key ON webhook_endpoint (key_id) WHERE key_id IS NOT NULL;

CREATE TABLE webhook_delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id INTEGER NOT NULL REFERENCES event (id) ON DELETE CASCADE,
    endpoint_id INTEGER NOT NULL REFERENCES webhook_endpoint (id),
    public_id TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    owner TEXT,
    lease_until INTEGER,
    last_attempt_at INTEGER,
    status INTEGER,
    answer TEXT,
    UNIQUE (event_id, endpoint_id),
    CHECK ((state = 'waiting') = (next_attempt_at IS NOT NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL)),
    CHECK (owner IS NULL OR state = 'waiting')
) STRICT;
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint_id, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_dead ON webhook_delivery (endpoint_id) WHERE state = 'dead';
"""


def up(_migrator: Any, db: Any) -> None:
    """Make the tables and their indexes."""
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
