"""Which database the tests are run on: SQLite, or PostgreSQL with DRIP_TEST_DATABASE=postgresql.

Tests name a file, as they always did; on PostgreSQL each file stands for a database of its own. One that a test is
done with is emptied for the next: that takes a twentieth of the time of making one.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from drip.store.copying import copy_rows
from drip.store.database import Database
from drip.store.driverless import peewee
from drip.store.opening import open_url
from drip.store.store import Store
from tests.postgres_server import PostgresServer

ON_POSTGRES = os.environ.get("DRIP_TEST_DATABASE", "sqlite") == "postgresql"

_TEMPLATE = "drip_template"
_numbers = itertools.count(1)
_made: dict[Path, str] = {}
_empty: list[str] = []

# What its tables and numbers were before anybody wrote to it; whoever is still connected is cut off first.
_EMPTY = """
    DO $$ DECLARE found record; BEGIN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid();
        SET LOCAL session_replication_role = replica;
        FOR found IN SELECT oid::regclass AS name, relkind FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') LOOP
            IF found.relkind = 'r' THEN EXECUTE format('DELETE FROM %s', found.name);
            ELSE PERFORM setval(found.name, 1, false); END IF;
        END LOOP;
    END $$
"""


_like: list[Callable[[], Path]] = []


def begin_like(data: Callable[[], Path]) -> None:
    """This process's server, once it is asked for, begins with data that `keep_server` has kept there."""
    _like[:] = [data]


def keep_server(folder: Path) -> None:
    """Make a server with all that each has at its beginning, for many to begin with."""
    made = _made_server()
    made.keep(folder / "data")
    made.remove()


@lru_cache(maxsize=1)
def server() -> PostgresServer:
    """This process's server."""
    return PostgresServer(like=_like[0]()) if _like else _made_server()


def _made_server() -> PostgresServer:
    started = PostgresServer()
    template = Store(open_url(started.make(_TEMPLATE)))
    with template.opened():
        template.database.run("DELETE FROM meta")  # each database has an id and a secret of its own
    return started


def new_postgres(template: str | None = _TEMPLATE) -> str:
    """The URL of a new database on this process's server; without a template it has no tables yet."""
    return server().make(f"test_{next(_numbers)}", template or "template0")


def url_at(path: Path) -> str:
    """The URL of the database that a file stands for."""
    if not ON_POSTGRES:
        return f"sqlite:///{path}"
    if path not in _made:
        # A process that a test starts is told by its environment.
        told = os.environ.get(_told(path))
        _made[path] = told or (_empty.pop() if _empty else new_postgres())
        os.environ[_told(path)] = _made[path]
    return _made[path]


def database_at(path: Path) -> Database:
    """The database that a file stands for; not opened yet."""
    return open_url(url_at(path))


def put_tables(path: Path) -> None:
    """Make a file, if there is none, what its first opening makes of it, at a tenth of the price."""
    if not ON_POSTGRES and not path.exists():
        path.write_bytes(_tables())


@lru_cache(maxsize=1)
def _tables() -> bytes:
    """A file of SQLite's with all tables, and nothing in them."""
    with tempfile.TemporaryDirectory(prefix="drip-tables-") as folder:
        path = Path(folder) / "drip.db"
        store = Store(open_url(f"sqlite:///{path}"))
        with store.opened():
            store.database.run("DELETE FROM meta")  # each database has an id and a secret of its own
        return path.read_bytes()


def put_back(database: Database, copy: Path) -> None:
    """Make a database what a backup of it says, as an operator does it: with nobody connected."""
    database.close()
    if database.path is not None:
        for name in ("-wal", "-shm"):
            database.path.with_name(database.path.name + name).unlink(missing_ok=True)
        shutil.copy(copy, database.path)
        database.connect()
        return
    file = open_url(f"sqlite:///{copy}")
    server().sql(_EMPTY, name_of(url_at(copy.parent / "drip.db")))
    with file.connected():
        database.connect()
        copy_rows(file, database)


def _told(path: Path) -> str:
    return f"DRIP_TEST_URL_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"


def forget(folder: Path) -> None:
    """Give back the databases of all files in a folder."""
    for path in [path for path in _made if path.is_relative_to(folder)]:
        url = _made.pop(path)
        os.environ.pop(_told(path), None)
        server().sql(_EMPTY, name_of(url))
        _empty.append(url)


def drop(url: str) -> None:
    """Drop a database, whoever is connected to it."""
    server().sql(f"DROP DATABASE {name_of(url)} WITH (FORCE)")


def refusals() -> tuple[type[Exception], ...]:
    """What a database raises for a row that may not be."""
    if ON_POSTGRES:
        import psycopg

        return (psycopg.IntegrityError, psycopg.DataError)
    return (peewee.IntegrityError,)


def name_of(url: str) -> str:
    """The database's name in a URL of the server."""
    return url.rpartition("/")[2]
