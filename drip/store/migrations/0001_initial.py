"""The first schema.

Moments are integers: milliseconds since 1970, UTC. States are checked by the database, and what may exist only once
is a unique key, so that an illegal or double state can't be stored. Ids that end up in tokens are never used twice.
"""

from __future__ import annotations

from typing import Any

SCHEMA = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sequence (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
    file_status TEXT CHECK (file_status IN ('draft', 'active', 'archived')),
    source TEXT NOT NULL CHECK (source IN ('file', 'api')),
    path TEXT,
    key_id TEXT,
    revision INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE step (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence_id INTEGER NOT NULL REFERENCES sequence (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    rank INTEGER NOT NULL,
    position INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (sequence_id, key)
) STRICT;
CREATE UNIQUE INDEX step_position ON step (sequence_id, position) WHERE position IS NOT NULL;

CREATE TABLE revision (
    id INTEGER PRIMARY KEY,
    sequence_id INTEGER NOT NULL REFERENCES sequence (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('file', 'api')),
    author TEXT,
    commit_id TEXT,
    dirty INTEGER NOT NULL DEFAULT 0 CHECK (dirty IN (0, 1)),
    content TEXT NOT NULL,
    UNIQUE (sequence_id, number)
) STRICT;

CREATE TABLE template (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL CHECK (source IN ('file', 'api')),
    title TEXT,
    subject TEXT,
    layout TEXT,
    markdown TEXT,
    html TEXT,
    text TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE contact (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL DEFAULT '',
    variables TEXT NOT NULL DEFAULT '{}',
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'unsubscribed', 'bounced', 'complained')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE suppression (
    email_key TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('bounce', 'complaint', 'unsubscribed', 'manual')),
    code TEXT,
    delivery_id INTEGER,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    machine TEXT NOT NULL,
    pid INTEGER NOT NULL,
    birth TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX worker_alive ON worker (lease_until) WHERE ended_at IS NULL;

CREATE TABLE subscription (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence_id INTEGER NOT NULL REFERENCES sequence (id),
    contact_id INTEGER NOT NULL REFERENCES contact (id),
    replaced INTEGER NOT NULL DEFAULT 0 CHECK (replaced IN (0, 1)),
    status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'completed', 'cancelled', 'failed')),
    cancel_reason TEXT CHECK (
        cancel_reason IN ('manual', 'unsubscribed', 'bounced', 'complained', 'suppressed', 'stopped')
    ),
    variables TEXT NOT NULL DEFAULT '{}',
    key_id TEXT,
    started_at INTEGER NOT NULL,
    origin_at INTEGER NOT NULL,
    base_at INTEGER,
    last_step_id INTEGER REFERENCES step (id),
    next_step_id INTEGER REFERENCES step (id),
    next_send_at INTEGER,
    downs INTEGER NOT NULL DEFAULT 0,
    owner INTEGER,
    claim INTEGER NOT NULL DEFAULT 0,
    last_sent_at INTEGER,
    paused_at INTEGER,
    completed_at INTEGER,
    cancelled_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL)),
    CHECK (status NOT IN ('completed', 'cancelled') OR (next_step_id IS NULL AND next_send_at IS NULL)),
    CHECK (next_send_at IS NULL OR next_step_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX subscription_once ON subscription (contact_id, sequence_id) WHERE replaced = 0;
CREATE INDEX subscription_due ON subscription (sequence_id, next_send_at, downs)
    WHERE status = 'active' AND owner IS NULL AND next_send_at IS NOT NULL;
CREATE INDEX subscription_owner ON subscription (owner) WHERE owner IS NOT NULL;
CREATE INDEX subscription_place ON subscription (sequence_id, status, next_step_id) WHERE replaced = 0;

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    subscription_id INTEGER NOT NULL REFERENCES subscription (id),
    step_id INTEGER NOT NULL REFERENCES step (id),
    state TEXT NOT NULL CHECK (state IN ('sending', 'sent', 'unknown', 'deferred', 'failed', 'skipped')),
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    claim INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL,
    revision INTEGER,
    content_hash BLOB,
    code INTEGER,
    answer TEXT,
    UNIQUE (subscription_id, step_id),
    CHECK (state IN ('sending', 'sent') OR reason IS NOT NULL)
) STRICT;
CREATE INDEX delivery_open ON delivery (state, subscription_id)
    WHERE state IN ('sending', 'unknown', 'deferred', 'failed');
CREATE INDEX delivery_step ON delivery (step_id, state);
CREATE INDEX delivery_at ON delivery (at) WHERE state IN ('sent', 'failed');

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    sequence_id INTEGER,
    subscription_id INTEGER,
    step_id INTEGER,
    data TEXT
) STRICT;
CREATE INDEX event_subscription ON event (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE INDEX event_at ON event (at);
"""


def up(_migrator: Any, db: Any) -> None:
    """Make every table and index."""
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
