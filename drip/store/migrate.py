"""Bring a database to the schema this program knows: under a lock, after a backup, each step in one transaction."""

from __future__ import annotations

import time
from pathlib import Path

from drip.errors import DatabaseEmpty, DatabaseUnavailable
from drip.store.database import Database
from drip.store.version import SCHEMA_VERSION as SCHEMA_VERSION

_FOLDER = Path(__file__).parent / "migrations"


def ensure_schema(database: Database) -> Path | None:
    """Create or migrate if need be.

    Returns:
        The backup that was made of an older database, or None.

    Raises:
        DatabaseUnavailable: it can't be written, or a newer program has migrated it.
    """
    version = database.schema_version()
    if version == SCHEMA_VERSION:
        return None
    if version > SCHEMA_VERSION:
        raise DatabaseUnavailable(
            f"the database has schema {version}, this drip knows {SCHEMA_VERSION}",
            "a newer drip has migrated it: update this one, or restore the backup beside the database",
        )
    with database.migrating():
        return _migrate(database)


def require_schema(database: Database) -> None:
    """Raise DatabaseUnavailable when the schema is not this program's, DatabaseEmpty when there is none."""
    version = database.schema_version()
    if not version:
        raise DatabaseEmpty("there is nothing in the database yet", "`drip apply` makes the tables")
    if version != SCHEMA_VERSION:
        raise DatabaseUnavailable(
            f"the database has schema {version}, this drip wants {SCHEMA_VERSION}",
            "`drip db migrate` brings an older one up to date; a newer one needs a newer drip",
        )


def _migrate(database: Database) -> Path | None:
    version = database.schema_version()  # another process may have been faster
    if version == SCHEMA_VERSION:
        return None
    backup = None
    if version and database.path is not None:
        backup = database.path.with_name(f"{database.path.name}.before-{SCHEMA_VERSION}")
        database.backup_to(backup)
    database.migrate(_FOLDER, SCHEMA_VERSION)
    return backup


def open_patiently(database: Database, *, patience: float = 30.0) -> None:
    """Connect this thread; a new file that many processes switch to WAL at once is waited for.

    Args:
        patience: seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            database.connect()
            database.schema_version()
            return
        except DatabaseUnavailable as error:
            database.close()
            if database.path is None or "holds the database" not in error.message or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
