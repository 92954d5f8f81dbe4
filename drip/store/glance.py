"""A look at whether there is anything to do at all: most runs from cron find nothing, and may cost next to nothing.

Only what is needed for that is imported, peewee is not. On any doubt the answer is that there may be something.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from drip.store.version import SCHEMA_VERSION

FREE_SPACE_FLOOR = 64 * 1024 * 1024
"""Octets of free disk below which nothing is claimed."""

WORKERS = "SELECT id, machine, pid, birth, lease_until FROM worker WHERE ended_at IS NULL"

# One look per active sequence into the index of the due, never over the due themselves.
DUE_SEQUENCES = """
    SELECT q.id, (SELECT MIN(s.next_send_at) FROM subscription s WHERE s.sequence_id = q.id
        AND s.status = 'active' AND s.owner IS NULL AND s.next_send_at IS NOT NULL) AS first
    FROM sequence q WHERE q.status = 'active'
"""
COUNT_DUE = """
    SELECT COALESCE(SUM((SELECT COUNT(*) FROM subscription s WHERE s.sequence_id = q.id AND s.status = 'active'
        AND s.owner IS NULL AND s.next_send_at IS NOT NULL AND s.next_send_at <= ?)), 0)
    FROM sequence q WHERE q.status = 'active'
"""
COUNT_DUE_TO = """
    SELECT COUNT(*) FROM (
        SELECT s.id FROM sequence q {join} subscription s ON s.sequence_id = q.id
        WHERE q.status = 'active' AND s.status = 'active' AND s.owner IS NULL
            AND s.next_send_at IS NOT NULL AND s.next_send_at <= ?
        LIMIT ?) found
"""


@dataclass(frozen=True, slots=True)
class Quiet:
    """There is nothing to do."""

    next_due: int | None
    """When the next one is due, in milliseconds since 1970; None when nobody waits."""


def quiet(url: str, now: int, *, noted: bool) -> Quiet | None:
    """Whether a pass would find nothing: nobody is due, no worker left anything behind, no event is to be posted.

    Args:
        url: of the database; one on a server is not asked.
        now: milliseconds since 1970.
        noted: whether the file beside the database must be up to date; else it may only not be ahead.
    """
    if (path := _file(url)) is None:
        return None
    space = os.statvfs(path.parent)
    if space.f_bavail * space.f_frsize < FREE_SPACE_FLOOR:
        return None
    try:
        with _connected(path) as connection:
            return _quiet(connection, path, now, noted)
    except sqlite3.Error:
        return None  # whoever opens it in earnest will know what to say


def count_due_to(url: str, most: int, now: int) -> int | None:
    """How many are due, counted no further than to `most`; None where the database has to be opened to know.

    Args:
        now: milliseconds since 1970.
    """
    if (path := _file(url)) is None:
        return None
    try:
        with _connected(path) as connection:
            if _value(connection, "PRAGMA user_version") != SCHEMA_VERSION:
                return None
            found: int = connection.execute(COUNT_DUE_TO.format(join="CROSS JOIN"), (now, most)).fetchone()[0]
            return found
    except sqlite3.Error:
        return None


def _file(url: str) -> Path | None:
    scheme, _, rest = url.partition("://")
    path = Path(rest[1:])
    return path if scheme == "sqlite" and path.is_absolute() and path.exists() else None


def _connected(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True))


def ends_within_a_page(path: Path, page: int) -> bool:
    """Whether a file was cut short, which SQLite takes for a last page that ends in zeros.

    `page` is in octets. While others write, their log has what the file may lack. The file is not opened: to close it
    would end SQLite's locks on it (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    return _size(log_of(path)) == 0 and _size(path) % page > 0


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a file: beside the file itself, where the path is a link to it."""
    return Path(f"{os.path.realpath(path)}-wal")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _quiet(connection: sqlite3.Connection, path: Path, now: int, noted: bool) -> Quiet | None:
    if _value(connection, "PRAGMA user_version") != SCHEMA_VERSION or not _agrees(connection, path, noted):
        return None
    if ends_within_a_page(path, _value(connection, "PRAGMA page_size")):
        return None
    if _value(connection, WORKERS) is not None:
        return None
    if _value(connection, "SELECT 1 FROM webhook_endpoint WHERE removed_at IS NULL LIMIT 1") is not None:
        return None
    firsts = [first for _, first in connection.execute(DUE_SEQUENCES) if first is not None]
    if firsts and min(firsts) <= now:
        return None
    return Quiet(min(firsts, default=None))


def _agrees(connection: sqlite3.Connection, path: Path, noted: bool) -> bool:
    """Whether the file beside the database is not ahead of it, as far as this can tell; see `highwater.py`."""
    last = _value(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'event'") or 0
    try:
        said = json.loads(path.with_name(path.name + ".mark").read_text("utf-8"))
        known, event = said["database"], int(said["numbers"].get("event", 0))
    except FileNotFoundError:
        return not noted
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if noted:
        return event == last and bool(known == _value(connection, "SELECT value FROM meta WHERE name = 'database_id'"))
    return bool(event <= last)


def _value(connection: sqlite3.Connection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    return None if row is None else row[0]
