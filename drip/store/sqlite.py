"""SQLite: pragmas, the one writer, what only its file knows, and peewee's errors as ours."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from drip.errors import DatabaseBusy, DatabaseEmpty, DatabaseUnavailable
from drip.store.database import Cursor, Database, GivenUp
from drip.store.driverless import peewee, without_drivers
from drip.store.glance import FREE_SPACE_FLOOR, ends_within_a_page, log_of

BUSY_TIMEOUT = 30
"""Seconds that a writer waits for another."""
_SWEEP_TIMEOUT = 2
"""Seconds that a sweep waits for those who read."""
_STEPS_BETWEEN_LOOKS = 500_000
"""Of SQLite's virtual machine: about ten milliseconds. Each look takes the interpreter's lock."""

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


class _Translation(AbstractContextManager[None]):
    """Raises DatabaseUnavailable for what the outside did. It is in every statement's way, and has no state."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, (peewee.DatabaseError, peewee.InterfaceError, sqlite3.Error)):
            return
        name = getattr(getattr(error, "orig", None) or error, "sqlite_errorname", "")
        words = next((words for prefix, words in _WORDS.items() if name.startswith(prefix)), None)
        if words is not None:
            raise DatabaseUnavailable(f"{words[0]} ({self._place})", words[1]) from error


class SqliteDatabase(Database):
    """One SQLite file, or one in memory."""

    def __init__(self, path: Path | None) -> None:
        """Nothing is opened yet. A path of None is a database in memory, for one thread."""
        self.path = path
        self._epoch = 0
        self._translation = _Translation(self.place)
        self.peewee: peewee.SqliteDatabase = _Sqlite(
            ":memory:" if path is None else str(path),
            lock_type="IMMEDIATE",
            timeout=BUSY_TIMEOUT,
            cached_statements=512,  # those over rows of parameters are others for each number of rows
            autoconnect=False,
            pragmas={
                "journal_mode": "wal",
                "synchronous": 2,  # FULL: a mark that vanishes with the power is a message sent twice
                "foreign_keys": 1,
                "cache_size": -64_000,
                "temp_store": 2,
                "journal_size_limit": 67_108_864,
                "secure_delete": 1,  # what is deleted is overwritten: somebody may want to be forgotten later
                "trusted_schema": 0,
            },
        )

    def by_index(self, name: str) -> str:
        return f"INDEXED BY {name}"

    def json_text(self, column: str, key: str) -> str:
        return f"json_extract({column}, '$.{key}')"

    @property
    def place(self) -> str:
        return str(self.path or "in memory")

    @property
    def exists(self) -> bool:
        return self.path is None or self.path.exists()

    @property
    def is_connected(self) -> bool:
        return not self.peewee.is_closed()

    def connect(self) -> None:
        with self.translated():
            self.peewee.connect(reuse_if_open=True)
        if self.path is not None and ends_within_a_page(self.path, int(self.value("PRAGMA page_size"))):
            try:
                self.value("PRAGMA schema_version")  # SQLite says so where it is no database at all
            finally:
                self.close()
            raise DatabaseUnavailable(
                f"the database is damaged: its file was cut short ({self.path})", "restore a backup"
            )

    def close(self) -> None:
        self.peewee.close()

    @contextmanager
    def read_only(self) -> Iterator[Database]:
        if self.path is None or not self.path.exists():
            raise DatabaseEmpty("there is no database yet", "`drip apply` makes it")
        # A reader of a WAL database makes -wal and -shm files and leaves them. Without a -wal nobody is writing, and
        # the file can be taken as it is (https://www.sqlite.org/uri.html#uriimmutable).
        quiet = not log_of(self.path).exists()
        rule = "mode=ro&immutable=1" if quiet else "mode=ro"
        witness = SqliteDatabase(self.path)
        witness.peewee = peewee.SqliteDatabase(
            f"file:{quote(str(self.path))}?{rule}",
            uri=True,
            autoconnect=False,
            timeout=BUSY_TIMEOUT,
            pragmas={"query_only": 1},
        )
        with witness.connected():
            yield witness

    @contextmanager
    def transaction(self, *, alone: bool = True, patient: bool = True) -> Iterator[None]:
        if self.peewee.in_transaction():
            yield
            return
        with self.translated(), ExitStack() as ending:
            atomic = self.peewee.atomic()
            if patient:
                ending.enter_context(atomic)
            else:
                self._enter_at_once(ending, atomic)
            self._epoch += 1  # the write lock is held
            yield

    def _enter_at_once(self, ending: ExitStack, atomic: AbstractContextManager[Any]) -> None:
        try:
            with self._busy_timeout(0), self.translated():
                ending.enter_context(atomic)
        except DatabaseUnavailable as error:
            raise DatabaseBusy(error.message, error.hint) from error

    @contextmanager
    def _busy_timeout(self, seconds: float) -> Iterator[None]:
        """How long this connection waits for other writers, in the block."""
        self.row(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
        try:
            yield
        finally:
            self.row(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000}")

    def take_turns(self) -> None:
        """There is one writer at a time."""

    @property
    def epoch(self) -> int | None:
        return self._epoch if self.peewee.in_transaction() else None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with self.translated(), self.peewee.savepoint():
            yield

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        cursor: Cursor = self.peewee.execute_sql(sql, params)
        return cursor

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        if rows == []:
            return
        with self.translated():
            self.peewee.connection().executemany(sql, rows)

    def insert_events(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[int]:
        with self.transaction():
            # Nobody else can write meanwhile, so the numbers of the new rows are known.
            first = self.last_number("event") + 1
            self.rows_of(sql, rows)
        return list(range(first, first + len(rows)))

    def stream(self, sql: str, *params: Any) -> Iterator[tuple[Any, ...]]:
        with self.translated():
            cursor = self.execute(sql, params)
            while rows := cursor.fetchmany(1000):
                yield from rows

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(columns))
        self.run_many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self.translated(), self.peewee.atomic("DEFERRED"):
            yield

    @contextmanager
    def interruptible(self, given_up: Callable[[], bool]) -> Iterator[None]:
        connection = self.peewee.connection()
        connection.set_progress_handler(given_up, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        except peewee.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            raise GivenUp from error
        finally:
            connection.set_progress_handler(None, 0)

    def translated(self) -> AbstractContextManager[None]:
        return self._translation

    def schema_version(self) -> int:
        # Kept in the file's header, so that looking costs nothing.
        return int(self.value("PRAGMA user_version") or 0)

    @contextmanager
    def migrating(self) -> Iterator[None]:
        if self.path is None:
            yield
            return
        # As SQLite makes the database: whoever may open the one must be able to open the other.
        handle = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def migrate(self, folder: Path, version: int) -> None:
        with without_drivers():
            from playhouse.migrations import Runner

        # One transaction over all of them: after a crash the schema is the old or the new one, never between.
        with self.transaction():
            Runner(self.peewee, str(folder)).up()
            self.run(f"PRAGMA user_version = {version}")

    def backup_to(self, path: Path) -> None:
        with _Translation(str(path)), closing(sqlite3.connect(path)) as target:
            self.peewee.connection().backup(target)

    def sweep(self) -> bool:
        # What is deleted is overwritten in the pages that a commit writes; those of before stand in the write-ahead log
        # until it is emptied, which takes a moment in which nobody reads from it.
        until = time.monotonic() + _SWEEP_TIMEOUT
        with self._busy_timeout(_SWEEP_TIMEOUT / 4):
            # Who moves pages of the log into the file at this moment is not waited for.
            while (swept := not self.value("PRAGMA wal_checkpoint(TRUNCATE)")) is False and time.monotonic() < until:
                time.sleep(0.02)
        return swept

    def version(self) -> tuple[int, int]:
        """Changes with every commit of another connection, and with every change made by this one."""
        with self.translated():
            others: int = self.value("PRAGMA data_version")
            standing: sqlite3.Connection = self.peewee.connection()
            return others, standing.total_changes

    def numbers(self) -> Mapping[str, int]:
        return dict(self.rows("SELECT name, seq FROM sqlite_sequence"))

    def last_event(self) -> int:
        return self.last_number("event")

    def last_number(self, table: str) -> int:
        return int(self.value("SELECT seq FROM sqlite_sequence WHERE name = ?", table) or 0)

    def skip_to(self, table: str, number: int) -> None:
        if "AUTOINCREMENT" not in self.value("SELECT sql FROM sqlite_master WHERE name = ?", table):
            return
        if not self.run("UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = ?", number, table):
            self.run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, number)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def damage(self, most: int) -> list[tuple[str, str]]:
        found = [
            ("the file is whole", str(text)) for (text,) in self.rows(f"PRAGMA integrity_check({most})") if text != "ok"
        ]
        lost = self.rows("PRAGMA foreign_key_check")[:most]
        return found + [
            ("references lead somewhere", f"{table}, row {row_id} to {parent}") for table, row_id, parent, _ in lost
        ]

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
