"""The database as a witness sees it: nothing in or beside it changes, not even SQLite's own files; none is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from drip.store.database import Database
from drip.store.migrate import require_schema
from drip.store.opening import open_url
from drip.store.store import Store


def may_only_be_read(database: Database) -> bool:
    """Whether there is one, as a file whose permissions, or those of its folder, forbid a change."""
    path = database.path
    if path is None or not database.exists:
        return False
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def is_not_there_yet(database: Database) -> bool:
    """Whether it is a file that could be made, and nobody has made it."""
    path = database.path
    return path is not None and not os.path.lexists(path) and path.parent.is_dir()


@contextmanager
def opened_without_file() -> Iterator[Store]:
    """The store of a new project: an empty one, in memory."""
    store = Store(open_url("sqlite:///:memory:"))
    with store.opened():
        yield store


@contextmanager
def opened_for_reading(database: Database) -> Iterator[Store]:
    """The store of a database, for reads alone.

    Raises:
        DatabaseUnavailable: there is none yet, or its schema is not this program's.
    """
    with database.read_only() as witness:
        require_schema(witness)
        yield Store(witness)
