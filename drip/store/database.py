"""The face that every database shows: transactions, plain calls for SQL, and what the dialects say differently.

SQL is written once for all of them, with `?` for parameters. What only one database knows lives in its own module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

EVERYTHING = 2**62
"""A LIMIT that is none."""
GROUP = 100
"""Rows of parameters in one statement: what runs as one is done while other threads go on."""


class Cursor(Protocol):
    """What DB-API 2.0 (PEP 249) gives for a statement."""

    @property
    def rowcount(self) -> int: ...
    @property
    def description(self) -> Sequence[Any] | None: ...
    def fetchone(self) -> Any: ...
    def fetchmany(self, size: int) -> list[Any]: ...
    def fetchall(self) -> list[Any]: ...


class GivenUp(Exception):
    """Nobody waits for the answer any more."""


class Database(ABC):
    """One database. Each thread has its own connection."""

    path: Path | None = None
    """The file; None in memory and on a server."""
    ordered_join = "CROSS JOIN"
    """A join of which the database is told to look at the left side first."""
    skipping = ""
    """After a SELECT: leave out, and hold, the rows that others hold."""
    holding = ""
    """After a SELECT of a row called `s`: hold it, as it is once nobody else does."""

    def by_index(self, name: str) -> str:
        """After a table's name: which index to go by, where the database can be told."""
        return ""

    @abstractmethod
    def json_text(self, column: str, key: str) -> str:
        """An expression: what a JSON object kept as text has under a key; NULL when it has nothing there."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people; without a password."""

    @property
    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything to open; a server is asked only when it is connected."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether this thread has a connection."""

    @abstractmethod
    def connect(self) -> None:
        """Connect this thread.

        Raises:
            DatabaseUnavailable: it can't be opened.
        """

    @abstractmethod
    def close(self) -> None:
        """Give up this thread's connection, if it has one."""

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Hold this thread's connection open; may be nested.

        Raises:
            DatabaseUnavailable: it can't be opened.
        """
        if self.is_connected:
            yield
            return
        self.connect()
        try:
            yield
        finally:
            self.close()

    @abstractmethod
    def read_only(self) -> AbstractContextManager[Database]:
        """The same database, connected for this thread as a witness: nothing in or beside it changes."""

    @abstractmethod
    def transaction(self, *, alone: bool = True, patient: bool = True) -> AbstractContextManager[None]:
        """All or nothing; inside another it joins that one.

        Args:
            alone: nobody else writes meanwhile. False: others of these may go on beside it, each with rows that are
                its own alone, as claims are; where there is only one writer at a time, that one is alone all the same.
            patient: False does not wait for another writer where there is only one at a time.

        Raises:
            DatabaseBusy: another writer was not waited for.
            DatabaseUnavailable: another writer was waited for too long.
        """

    @abstractmethod
    def take_turns(self) -> None:
        """Of those that write beside each other, only this one goes on with limits, until its transaction ends."""

    @property
    @abstractmethod
    def epoch(self) -> int | None:
        """Names the transaction that this thread is in: what is read in it stays true in it. None outside of one."""

    @abstractmethod
    def savepoint(self) -> AbstractContextManager[None]:
        """Undo only what is in this block when it fails; inside a transaction."""

    @abstractmethod
    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Execute one statement."""

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """All rows of a query, or of a statement with RETURNING."""
        with self.translated():
            cursor = self.execute(sql, params)
            return [] if cursor.description is None else list(cursor.fetchall())

    def rows_of(self, sql: str, values: Sequence[Sequence[Any]], *params: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement over rows of parameters, `{values}` in it; a few statements, however many they are.

        Args:
            params: what stands behind the values.
        """
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(values), GROUP):
            part = values[start : start + GROUP]
            marks = ", ".join([f"({', '.join('?' * len(part[0]))})"] * len(part))
            found += self.rows(sql.format(values=marks), *chain.from_iterable(part), *params)
        return found

    def row(self, sql: str, *params: Any) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self.translated():
            found: tuple[Any, ...] | None = self.execute(sql, params).fetchone()
            return found

    def value(self, sql: str, *params: Any) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, *params)
        return None if found is None else found[0]

    def run(self, sql: str, *params: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        with self.translated():
            return int(self.execute(sql, params).rowcount)

    @abstractmethod
    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once per row of parameters."""

    @abstractmethod
    def insert_events(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[int]:
        """Insert rows into `event` in order, `{values}` in the statement; their ids, in the same order."""

    @abstractmethod
    def stream(self, sql: str, *params: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, not all in memory at once. Write nothing to the same tables meanwhile."""

    @abstractmethod
    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put many rows into a table, as fast as can be."""

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns, in order."""
        with self.translated():
            return [str(column[0]) for column in self.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read in this block is of one moment; nobody is kept from writing."""

    @abstractmethod
    def interruptible(self, given_up: Callable[[], bool]) -> AbstractContextManager[None]:
        """Break off the questions of this thread when `given_up` says so.

        Raises:
            GivenUp: it did.
        """

    @abstractmethod
    def translated(self) -> AbstractContextManager[None]:
        """Turn what the outside did to the database into DatabaseUnavailable; a mistake in SQL stays what it is."""

    @abstractmethod
    def schema_version(self) -> int:
        """The number of the newest migration that was made; 0 for an empty database."""

    @abstractmethod
    def migrating(self) -> AbstractContextManager[None]:
        """Let nobody else migrate meanwhile."""

    @abstractmethod
    def migrate(self, folder: Path, version: int) -> None:
        """Make the migrations of a folder that were not made yet, all or nothing; the newest is `version`."""

    @abstractmethod
    def backup_to(self, path: Path) -> None:
        """Copy the whole database into a new file while it is in use.

        Raises:
            DatabaseUnavailable: the copy can't be written.
        """

    @abstractmethod
    def sweep(self) -> bool:
        """Let nothing that was deleted stay in the files, outside of a transaction; False when others keep it there.

        On a server its own vacuum sees to it.
        """

    @abstractmethod
    def version(self) -> object:
        """Another one whenever anything was written to the database, by whomever."""

    @abstractmethod
    def numbers(self) -> Mapping[str, int]:
        """The last id given out, by table: of those whose ids are never used twice."""

    @abstractmethod
    def last_event(self) -> int:
        """A number of an event: all up to it are there, or never will be. Who has read up to it has missed none."""

    @abstractmethod
    def last_number(self, table: str) -> int:
        """The last id given out in one of them; 0 before the first."""

    @abstractmethod
    def skip_to(self, table: str, number: int) -> None:
        """Give out no id up to that number again."""

    @abstractmethod
    def now(self) -> datetime:
        """The real moment, by the one clock that all processes on this database share; leases run by it."""

    @abstractmethod
    def damage(self, most: int) -> list[tuple[str, str]]:
        """What the database itself finds wrong: (rule, what) of each, at most so many per rule."""

    @abstractmethod
    def require_space(self) -> None:
        """Raise DatabaseUnavailable when what is sent might not be recorded for want of disk."""
