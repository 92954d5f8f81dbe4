"""The connection: pragmas, transactions, and peewee's errors as ours. One connection per thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee

from drip.errors import DatabaseUnavailable, Invalid

BUSY_TIMEOUT = 30
"""Seconds that a writer waits for another."""
FREE_SPACE_FLOOR = 64 * 1024 * 1024
"""Octets of free disk below which nothing is claimed."""

_WORDS = {
    "SQLITE_BUSY": ("another program holds the database", "try again; the lock is waited for 30 seconds"),
    "SQLITE_FULL": ("the disk is full", "free some space; nothing was changed"),
    "SQLITE_IOERR": ("the disk can't be read or written", "look at the disk and its limits; nothing was changed"),
    "SQLITE_READONLY": ("the database can't be written", "look at the permissions of the file and its folder"),
    "SQLITE_CANTOPEN": ("the database can't be opened", "look at the path and its permissions"),
    "SQLITE_NOTADB": ("the file is not a database", "look at `database` in drip.yaml"),
    "SQLITE_CORRUPT": ("the database is damaged", "restore a backup; `drip db check` says more"),
}


class _Sqlite(peewee.SqliteDatabase):
    """SQLite rolls back by itself when the disk is full; a second rollback would hide why."""

    def rollback(self) -> None:
        standing: sqlite3.Connection = peewee.SqliteDatabase.connection(self)
        if standing.in_transaction:
            super().rollback()


class Database:
    """One SQLite file, or one in memory, with plain calls for SQL."""

    def __init__(self, path: Path | None) -> None:
        """Nothing is opened yet. A path of None is a database in memory, for one thread."""
        self.path = path
        self._epoch = 0
        self.peewee: peewee.SqliteDatabase = _Sqlite(
            ":memory:" if path is None else str(path),
            lock_type="IMMEDIATE",
            timeout=BUSY_TIMEOUT,
            autoconnect=False,
            pragmas={
                "journal_mode": "wal",
                "synchronous": 2,  # FULL: a mark that vanishes with the power is a message sent twice
                "foreign_keys": 1,
                "cache_size": -64_000,
                "temp_store": 2,
                "journal_size_limit": 67_108_864,
                "trusted_schema": 0,
            },
        )

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Hold this thread's connection open; may be nested.

        Raises:
            DatabaseUnavailable: it can't be opened.
        """
        if not self.peewee.is_closed():
            yield
            return
        with self.translated():
            self.peewee.connect()
        try:
            yield
        finally:
            self.peewee.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and the write lock from its start; inside another it joins that one."""
        if self.peewee.in_transaction():
            yield
            return
        with self.translated(), self.peewee.atomic():
            self._epoch += 1  # the write lock is held
            yield

    @property
    def epoch(self) -> int | None:
        """Names the transaction that this thread is in: what is read in it stays true in it. None outside of one."""
        return self._epoch if self.peewee.in_transaction() else None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo only what is in this block when it fails; inside a transaction."""
        with self.translated(), self.peewee.savepoint():
            yield

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """All rows of a query, or of a statement with RETURNING."""
        with self.translated():
            return list(self.peewee.execute_sql(sql, params).fetchall())

    def row(self, sql: str, *params: Any) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self.translated():
            found: tuple[Any, ...] | None = self.peewee.execute_sql(sql, params).fetchone()
            return found

    def value(self, sql: str, *params: Any) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, *params)
        return None if found is None else found[0]

    def run(self, sql: str, *params: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        with self.translated():
            return int(self.peewee.execute_sql(sql, params).rowcount)

    def insert(self, sql: str, *params: Any) -> int:
        """Execute an INSERT; the id of the new row."""
        with self.translated():
            return int(self.peewee.execute_sql(sql, params).lastrowid)

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once per row of parameters."""
        with self.translated():
            self.peewee.connection().executemany(sql, rows)

    def stream(self, sql: str, *params: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, not all in memory at once. Write nothing to the same tables meanwhile."""
        with self.translated():
            cursor = self.peewee.execute_sql(sql, params)
            while rows := cursor.fetchmany(1000):
                yield from rows

    def backup_to(self, path: Path) -> None:
        """Copy the whole database while it is in use.

        Raises:
            DatabaseUnavailable: the copy can't be written.
        """
        with self.translated():
            target = sqlite3.connect(path)
            try:
                self.peewee.connection().backup(target)
            finally:
                target.close()

    def overwrite_deleted(self) -> None:
        """Have zeros written over what is deleted from now on; it would stay in the file until its space is reused."""
        self.run("PRAGMA secure_delete = ON")

    def version(self) -> tuple[int, int]:
        """Changes with every commit of another connection, and with every change made by this one."""
        with self.translated():
            others: int = self.value("PRAGMA data_version")
            standing: sqlite3.Connection = self.peewee.connection()
            return others, standing.total_changes

    def require_space(self) -> None:
        """Raise DatabaseUnavailable when the disk has under 64 MB left."""
        if self.path is None:
            return
        stats = os.statvfs(self.path.parent)
        free = stats.f_bavail * stats.f_frsize
        if free < FREE_SPACE_FLOOR:
            raise DatabaseUnavailable(
                f"only {free // 1_048_576} MB are free on the disk of {self.path.name}",
                "nothing is sent below 64 MB, as it might not be recorded: free some space",
            )

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the outside did to the database into DatabaseUnavailable; a mistake in SQL stays what it is."""
        try:
            yield
        except (peewee.DatabaseError, peewee.InterfaceError, sqlite3.Error) as error:
            name = getattr(getattr(error, "orig", None) or error, "sqlite_errorname", "")
            words = next((words for prefix, words in _WORDS.items() if name.startswith(prefix)), None)
            if words is None:
                raise
            raise DatabaseUnavailable(f"{words[0]} ({self.path or 'in memory'})", words[1]) from error


def open_url(url: str) -> Database:
    """The database behind `sqlite:///path`; nothing is opened yet.

    Raises:
        Invalid: the URL is of a kind drip does not know.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite" or not rest.startswith("/"):
        raise Invalid(f"database: {scheme}:// is not a database drip knows", "write sqlite:///drip.db")
    if rest == "/:memory:":
        return Database(None)
    return Database(Path(rest[1:]))
