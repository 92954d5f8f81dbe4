"""PostgreSQL: many machines on one database, with the guarantees of SQLite's single writer. See `session`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from drip.core.moments import floor_to_millisecond
from drip.errors import DatabaseEmpty, DatabaseUnavailable
from drip.store.database import Cursor, Database
from drip.store.postgres.link import Server
from drip.store.postgres.schema import make_migrations
from drip.store.postgres.session import Lock, Session
from drip.store.postgres.sql import translated, without_nul

_NUMBERS = """
    SELECT t.relname, COALESCE(pg_sequence_last_value(s.oid), 0)
    FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'i' AND s.relkind = 'S'
    JOIN pg_class t ON t.oid = d.refobjid AND t.relnamespace = current_schema()::regnamespace
"""


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
        self._session = Session(self._server)

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
        return self._session.is_open

    def connect(self) -> None:
        self._session.open()

    def close(self) -> None:
        self._session.close()

    @contextmanager
    def read_only(self) -> Iterator[Database]:
        witness = PostgresDatabase(self._url, read_only=True)
        with witness.connected():
            if witness.schema_version() == 0:
                raise DatabaseEmpty("there is nothing in the database yet", "`drip apply` makes the tables")
            yield witness

    def transaction(self, *, alone: bool = True, patient: bool = True) -> AbstractContextManager[None]:
        return self._session.transaction(alone=alone)

    @property
    def epoch(self) -> int | None:
        return self._session.epoch

    def take_turns(self) -> None:
        self._session.hold(Lock.LIMITS)

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
        with self._session.in_use() as connection:
            try:
                cursor: Cursor = connection.execute(translated(sql), params or None)
            except psycopg.DataError as error:
                if error.sqlstate is not None:  # the server's word; without one it is psycopg's, about a NUL
                    raise
                cursor = connection.execute(translated(sql), without_nul(params))
            return cursor

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = list(rows)
        if rows:
            with self.translated():
                self._execute_many(sql, rows)

    def insert_events(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[int]:
        # Held by all that have numbers and have not committed: `last_event` waits for them.
        self._session.hold(Lock.EVENTS, shared=True)
        found: list[int] = []
        if rows:
            with self.translated():
                one = sql.format(values=f"({', '.join('?' * len(rows[0]))})")
                cursor = self._execute_many(f"{one} RETURNING id", rows, returning=True)
                found = [int(row[0]) for result in cursor.results() if (row := result.fetchone()) is not None]
        return found

    def stream(self, sql: str, *params: Any) -> Iterator[tuple[Any, ...]]:
        with self.translated():
            connection = self._session.ready()
            with connection.cursor(name="drip", withhold=self.epoch is None) as cursor:
                cursor.execute(translated(sql), params or None)
                while rows := cursor.fetchmany(1000):
                    yield from rows

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.run("SET LOCAL statement_timeout = 0")  # one statement, however many rows there are
        with (
            self.translated(),
            self._session.ready().cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(without_nul(row))

    def snapshot(self) -> AbstractContextManager[None]:
        return self._session.reading("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def interruptible(self, given_up: Callable[[], bool]) -> AbstractContextManager[None]:
        return self._session.interruptible(given_up)

    def translated(self) -> AbstractContextManager[None]:
        return self._session.translated()

    def schema_version(self) -> int:
        # Kept as a word about a table: one question, whether there are tables or not, and a dump keeps it.
        said = self.value("SELECT obj_description(to_regclass('meta'), 'pg_class')")
        return int(said.removeprefix("drip schema ")) if str(said).startswith("drip schema ") else 0

    def migrating(self) -> AbstractContextManager[None]:
        return self._session.transaction(patience="SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0;")

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

    def sweep(self) -> bool:
        return True

    def version(self) -> object:
        # What is seen changes exactly when a transaction ends.
        return self.value("SELECT pg_current_snapshot()::text")

    def numbers(self) -> Mapping[str, int]:
        return dict(self.rows(_NUMBERS))

    def last_event(self) -> int:
        if self.epoch is not None:
            return self.last_number("event")
        with self._session.reading("BEGIN READ ONLY"):
            last = self.last_number("event")
            self._session.wait_for(Lock.EVENTS)
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

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]], **options: bool) -> psycopg.Cursor[Any]:
        with self._session.in_use() as connection:
            cursor = connection.cursor()
            try:
                cursor.executemany(translated(sql), rows, **options)
            except psycopg.DataError as error:
                if error.sqlstate is not None:
                    raise
                cursor.executemany(translated(sql), [without_nul(row) for row in rows], **options)
            return cursor
