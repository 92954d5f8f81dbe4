"""Bring a database to the schema this program knows: under a lock, after a backup, each step in one transaction."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drip.errors import DatabaseUnavailable
from drip.store.database import Database

SCHEMA_VERSION = 3
"""The number of the newest file in `migrations/`; kept in SQLite's `user_version`, so that looking costs nothing."""

_FOLDER = Path(__file__).parent / "migrations"


def ensure_schema(database: Database) -> Path | None:
    """Create or migrate if need be.

    Returns:
        The backup that was made of an older database, or None.

    Raises:
        DatabaseUnavailable: it can't be written, or a newer program has migrated it.
    """
    version = _version(database)
    if version == SCHEMA_VERSION:
        return None
    if version > SCHEMA_VERSION:
        raise DatabaseUnavailable(
            f"the database has schema {version}, this drip knows {SCHEMA_VERSION}",
            "a newer drip has migrated it: update this one, or restore the backup beside the database",
        )
    with _lock(database.path):
        return _migrate(database)


def schema_version(database: Database) -> int:
    """The schema that a database has; 0 for an empty one."""
    return _version(database)


def _migrate(database: Database) -> Path | None:
    from playhouse.migrations import Runner

    version = _version(database)  # another process may have been faster
    if version == SCHEMA_VERSION:
        return None
    backup = None
    if version and database.path is not None:
        backup = database.path.with_name(f"{database.path.name}.before-{SCHEMA_VERSION}")
        database.backup_to(backup)
    # One transaction over all of them: after a crash the schema is the old or the new one, never between.
    with database.transaction():
        Runner(database.peewee, str(_FOLDER)).up()
        database.run(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return backup


def _version(database: Database) -> int:
    return int(database.value("PRAGMA user_version") or 0)


@contextmanager
def _lock(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def open_patiently(database: Database, *, patience: float = 30.0) -> None:
    """Connect this thread; a new file that many processes switch to WAL at once is waited for.

    Args:
        patience: seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            database.peewee.connect(reuse_if_open=True)
            _version(database)
            return
        except Exception as error:
            database.peewee.close()
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
