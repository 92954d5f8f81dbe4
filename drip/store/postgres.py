"""PostgreSQL: many machines on one database, with the guarantees of SQLite's single writer.

Most of what drip does looks first and then writes, and relies on nobody else writing meanwhile. So every transaction
takes an advisory lock: alone, as SQLite's are, or shared with the other workers. What workers do all the time (claim,
mark, record) is shared: each touches only rows that it has claimed, and claims skip what another holds.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from drip.core.moments import floor_to_millisecond
from drip.errors import DatabaseEmpty, DatabaseUnavailable
from drip.store.database import Cursor, Database, GivenUp
from drip.store.postgres_errors import unavailable
from drip.store.postgres_link import UNSURE, Connection, Server, came_through, cancelled_when, is_alive, is_lost
from drip.store.postgres_schema import make_migrations
from drip.store.postgres_sql import translated, without_nul

_OURS = 0x64726970
"""The first half of every advisory lock's key: `drip`."""
_WRITING, _LIMITS, _EVENTS = 0, 1, 2
"""The second half: of the lock that every transaction takes, of limits, and of the numbers of events."""

_BEGIN = "BEGIN; {patience} SELECT pg_advisory_xact_lock{shared}({ours}, {writing}); SELECT pg_current_xact_id()::text"
_NUMBERS = """
    SELECT t.relname, COALESCE(pg_sequence_last_value(s.oid), 0)
    FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'i' AND s.relkind = 'S'
    JOIN pg_class t ON t.oid = d.refobjid AND t.relnamespace = current_schema()::regnamespace
"""


class _Thread(threading.local):
    """What one thread has."""

    def __init__(self) -> None:
        self.depth = 0
        self.connection: Connection | None = None
        self.used = 0.0
        self.epoch: int | None = None
        self.alone = False
        self.locks: set[int] = set()
        self.given_up = False


class PostgresDatabase(Database):
    """One database on a server."""

    ordered_join = "JOIN"
    skipping = "FOR UPDATE SKIP LOCKED"
    holding = "FOR NO KEY UPDATE OF s"

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Nothing is connected yet.

        Raises:
            Invalid: the URL can't be read.
        """
        self._url = url
        self._server = Server(url, read_only=read_only)
        self._thread = _Thread()
        self._epochs = itertools.count(1)

    def json_text(self, column: str, key: str) -> str:
        # `->>` fails on text with a NUL in it, which JSON can spell and PostgreSQL can't keep.
        return (
            f"CASE WHEN strpos({column}, '\"{key}\"') > 0 AND strpos({column}, '\\u0000') = 0"
            f" THEN {column}::json ->> '{key}' END"
        )

    @property
    def place(self) -> str:
        return self._server.place

    @property
    def exists(self) -> bool:
        return True

    @property
    def is_connected(self) -> bool:
        return self._thread.depth > 0

    def connect(self) -> None:
        if self._thread.depth == 0:
            self._thread.connection = self._server.take()
            self._thread.used = time.monotonic()
            self._thread.depth = 1

    def close(self) -> None:
        self._thread.depth = 0
        connection, self._thread.connection = self._thread.connection, None
        if connection is not None:
            self._server.give_back(connection)

    @contextmanager
    def read_only(self) -> Iterator[Database]:
        witness = PostgresDatabase(self._url, read_only=True)
        with witness.connected():
            if witness.schema_version() == 0:
                raise DatabaseEmpty("there is nothing in the database yet", "`drip apply` makes the tables")
            yield witness

    @contextmanager
    def transaction(self, *, alone: bool = True) -> Iterator[None]:
        mine = self._thread
        if mine.epoch is not None:
            if alone and not mine.alone:
                raise AssertionError("this is to be written alone, and a transaction beside others is open")
            yield
            return
        with self._new_transaction(alone):
            yield

    @property
    def epoch(self) -> int | None:
        return self._thread.epoch

    def take_turns(self) -> None:
        self._lock_once(_LIMITS, "pg_advisory_xact_lock")

    def _lock_once(self, key: int, function: str) -> None:
        """Where others write beside this transaction: a lock until it ends."""
        mine = self._thread
        if mine.epoch is not None and not mine.alone and key not in mine.locks:
            self.value(f"SELECT {function}(?, ?)", _OURS, key)
            mine.locks.add(key)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with self.translated():
            self.execute("SAVEPOINT part")
            try:
                yield
            except BaseException:
                self.execute("ROLLBACK TO SAVEPOINT part")
                self.execute("RELEASE SAVEPOINT part")
                raise
            self.execute("RELEASE SAVEPOINT part")

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        connection = self._ready()
        try:
            cursor: Cursor = connection.execute(translated(sql), params or None)
        except psycopg.DataError as error:
            if error.sqlstate is not None:  # the server's word; without one it is psycopg's, about a NUL
                raise
            cursor = connection.execute(translated(sql), without_nul(params))
        finally:
            self._thread.used = time.monotonic()
        return cursor

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = list(rows)
        if rows:
            with self.translated():
                self._execute_many(sql, rows)

    def insert_events(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[int]:
        # Held by all that have numbers and have not committed: `last_event` waits for them.
        self._lock_once(_EVENTS, "pg_advisory_xact_lock_shared")
        found: list[int] = []
        if rows:
            with self.translated():
                one = sql.format(values=f"({', '.join('?' * len(rows[0]))})")
                cursor = self._execute_many(f"{one} RETURNING id", rows, returning=True)
                found = [int(row[0]) for result in cursor.results() if (row := result.fetchone()) is not None]
        return found

    def stream(self, sql: str, *params: Any) -> Iterator[tuple[Any, ...]]:
        with self.translated():
            connection = self._ready()
            with connection.cursor(name="drip", withhold=self._thread.epoch is None) as cursor:
                cursor.execute(translated(sql), params or None)
                while rows := cursor.fetchmany(1000):
                    yield from rows

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.run("SET LOCAL statement_timeout = 0")  # one statement, however many rows there are
        with (
            self.translated(),
            self._ready().cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(without_nul(row))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self.translated():
            self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._thread.epoch, self._thread.alone = next(self._epochs), True
            try:
                yield
            finally:
                self._roll_back()

    @contextmanager
    def interruptible(self, given_up: Callable[[], bool]) -> Iterator[None]:
        mine = self._thread
        with cancelled_when(given_up, self._ready()):
            mine.given_up = True
            try:
                yield
            except psycopg.errors.QueryCanceled as error:
                raise GivenUp from error
            finally:
                mine.given_up = False

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.QueryCanceled) and self._thread.given_up:
                raise
            if self._thread.connection is not None and is_lost(self._thread.connection, error):
                self._lose()
            words = unavailable(error, self.place)
            if words is None:
                raise
            raise words from error

    def schema_version(self) -> int:
        # Kept as a word about a table: one question, whether there are tables or not, and a dump keeps it.
        said = self.value("SELECT obj_description(to_regclass('meta'), 'pg_class')")
        return int(said.removeprefix("drip schema ")) if str(said).startswith("drip schema ") else 0

    def migrating(self) -> AbstractContextManager[None]:
        return self._new_transaction(
            alone=True, patience="SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0;"
        )

    def migrate(self, folder: Path, version: int) -> None:
        try:
            make_migrations(folder, self.schema_version(), self.execute)
        except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject) as error:
            raise DatabaseUnavailable(
                f"there are tables of another program in the database ({self.place})",
                "give drip a database of its own, or a schema: add ?options=-csearch_path%3Ddrip to `database`",
            ) from error
        self.execute(f"COMMENT ON TABLE meta IS 'drip schema {version}'")

    def backup_to(self, path: Path) -> None:
        from drip.store.copying import copy_rows
        from drip.store.migrate import ensure_schema
        from drip.store.sqlite import SqliteDatabase

        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            copy = SqliteDatabase(Path(folder) / path.name)
            with copy.connected(), self.snapshot():
                ensure_schema(copy)
                copy_rows(self, copy)
            made = Path(folder) / path.name
            made.chmod(0o600)
            made.replace(path)

    def overwrite_deleted(self) -> None:
        """The server's vacuum sees to it."""

    def version(self) -> object:
        # What is seen changes exactly when a transaction ends.
        return self.value("SELECT pg_current_snapshot()::text")

    def numbers(self) -> Mapping[str, int]:
        return dict(self.rows(_NUMBERS))

    def last_event(self) -> int:
        if self._thread.epoch is not None:
            return self.last_number("event")
        with self.translated():
            self._ready().execute("BEGIN READ ONLY", prepare=False)
            self._thread.epoch, self._thread.alone = next(self._epochs), True
            try:
                last = self.last_number("event")
                self.value("SELECT pg_advisory_xact_lock(?, ?)", _OURS, _EVENTS)
            finally:
                self._roll_back()
        return last

    def last_number(self, table: str) -> int:
        last = "SELECT pg_sequence_last_value(pg_get_serial_sequence(?, 'id')::regclass)"
        return int(self.value(last, table) or 0)

    def skip_to(self, table: str, number: int) -> None:
        if number > self.last_number(table):
            self.value("SELECT setval(pg_get_serial_sequence(?, 'id')::regclass, ?)", table, number)

    def now(self) -> datetime:
        seconds = self.value("SELECT extract(epoch FROM clock_timestamp())")
        return floor_to_millisecond(datetime.fromtimestamp(float(seconds), UTC))

    def damage(self, most: int) -> list[tuple[str, str]]:
        rows = self.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid LIMIT ?", most)
        return [("every index is whole", name) for (name,) in rows]

    def require_space(self) -> None:
        """The server's disk can't be seen from here; when it is full, it says so."""

    def _ready(self) -> Connection:
        """This thread's connection; a new one when the last was lost, unless a transaction was lost with it."""
        mine = self._thread
        if mine.depth == 0:
            raise RuntimeError("this thread is not connected")
        if mine.epoch is None:
            silent = time.monotonic() - mine.used > UNSURE
            if mine.connection is not None and silent and not is_alive(mine.connection):
                mine.connection.close()
                mine.connection = None
            if mine.connection is None:
                mine.connection = self._server.take()
                mine.used = time.monotonic()
        elif mine.connection is None:
            raise psycopg.OperationalError("the connection was lost")
        return mine.connection

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]], **options: bool) -> psycopg.Cursor[Any]:
        cursor = self._ready().cursor()
        try:
            cursor.executemany(translated(sql), rows, **options)
        except psycopg.DataError as error:
            if error.sqlstate is not None:
                raise
            cursor.executemany(translated(sql), [without_nul(row) for row in rows], **options)
        finally:
            self._thread.used = time.monotonic()
        return cursor

    @contextmanager
    def _new_transaction(self, alone: bool, patience: str = "") -> Iterator[None]:
        with self.translated():
            number = self._begin(alone, patience)
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._commit(number)

    def _begin(self, alone: bool, patience: str) -> str:
        """Begin a transaction; its number, to ask for later what became of it."""
        mine = self._thread
        shared = "" if alone else "_shared"
        begin = _BEGIN.format(patience=patience, shared=shared, ours=_OURS, writing=_WRITING)
        connection = self._ready()
        try:
            cursor = connection.execute(begin, prepare=False)
        except psycopg.OperationalError as error:
            if not is_lost(connection, error):
                connection.execute("ROLLBACK", prepare=False)  # the lock could not be had
                raise
            self._lose()  # nothing has begun: another connection is as good
            connection = self._ready()
            cursor = connection.execute(begin, prepare=False)
        *_, last = cursor.results()
        number: tuple[str] = last.fetchone()  # type: ignore[assignment]  # the function gives one row
        mine.epoch, mine.alone = next(self._epochs), alone
        mine.used = time.monotonic()
        return number[0]

    def _lose(self) -> None:
        """The connection is gone, and those that are kept have probably gone with it."""
        self._thread.connection = None
        self._server.forget()

    def _ended(self) -> None:
        mine = self._thread
        mine.epoch, mine.alone = None, False
        mine.locks.clear()

    def _roll_back(self) -> None:
        connection = self._thread.connection
        self._ended()
        if connection is not None:
            try:
                connection.execute("ROLLBACK", prepare=False)
            except psycopg.Error:  # why it is rolled back is on its way up already
                connection.close()
                self._thread.connection = None

    def _commit(self, number: str) -> None:
        connection = self._ready()
        self._ended()
        try:
            connection.execute("COMMIT", prepare=False)
        except psycopg.Error as error:
            if not is_lost(connection, error):
                raise
            self._lose()
            if not came_through(lambda: str(self.value("SELECT pg_xact_status(?::xid8)", number)), self.place):
                raise
        self._thread.used = time.monotonic()
