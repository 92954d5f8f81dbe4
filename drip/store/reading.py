"""The database as a witness sees it: opened so that nothing beside or in it changes, not even SQLite's own files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import peewee

from drip.errors import DatabaseUnavailable
from drip.store.database import Database
from drip.store.migrate import SCHEMA_VERSION, schema_version
from drip.store.store import Store


@contextmanager
def opened_for_reading(path: Path | None) -> Iterator[Store]:
    """The store of a database file, for reads alone.

    Raises:
        DatabaseUnavailable: there is none yet, or its schema is not this program's.
    """
    if path is None or not path.exists():
        raise DatabaseUnavailable("there is no database yet", "`drip apply` makes it")
    database = Database(path)
    # A reader of a WAL database makes -wal and -shm files and leaves them. Without a -wal nobody is writing, and the
    # file can be taken as it is (https://www.sqlite.org/uri.html#uriimmutable).
    rule = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
    database.peewee = peewee.SqliteDatabase(
        f"file:{quote(str(path))}?{rule}", uri=True, autoconnect=False, timeout=30, pragmas={"query_only": 1}
    )
    with database.translated():
        database.peewee.connect()
    try:
        version = schema_version(database)
        if version != SCHEMA_VERSION:
            raise DatabaseUnavailable(
                f"the database has schema {version}, this drip wants {SCHEMA_VERSION}",
                "`drip db migrate` brings an older one up to date; a newer one needs a newer drip",
            )
        yield Store(database)
    finally:
        database.peewee.close()
