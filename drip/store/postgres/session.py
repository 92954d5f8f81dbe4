"""What one thread does on a PostgreSQL server: its connection, its transaction, and the locks it holds.

Most of what drip does looks first and then writes, and relies on nobody else writing meanwhile. So every transaction
takes an advisory lock: alone, as SQLite's are, or shared with the other workers. What workers do all the time (claim,
mark, record) is shared: each touches only rows that it has claimed, and claims skip what another holds.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum

import psycopg

from drip.store.database import GivenUp
from drip.store.postgres.errors import unavailable
from drip.store.postgres.link import UNSURE, Connection, Server, came_through, cancelled_when, is_alive, is_lost

_OURS = 0x64726970
"""The first half of every advisory lock's key: `drip`."""
_BEGIN = "BEGIN; {patience} SELECT pg_advisory_xact_lock{shared}({ours}, {writing}); SELECT pg_current_xact_id()::text"
_EPOCHS = itertools.count(1)


class Lock(IntEnum):
    """The second half of an advisory lock's key."""

    WRITING = 0  # every transaction takes it
    LIMITS = 1  # whoever goes on with limits
    EVENTS = 2  # shared by all that have numbers of events and have not committed


class Session(threading.local):
    """One thread's part of a database; each thread that uses the object has its own."""

    def __init__(self, server: Server) -> None:
        """Nothing is connected yet."""
        self._server = server
        self._connection: Connection | None = None
        self._used = 0.0
        self._alone = False
        self._locks: set[Lock] = set()
        self._given_up = False
        self.is_open = False
        """Whether this thread wants a connection; it gets a new one when the last was lost."""
        self.epoch: int | None = None
        """Names the transaction that this thread is in; None outside of one."""

    def open(self) -> None:
        """Connect this thread, if it is not.

        Raises:
            DatabaseUnavailable: there is no connection to be had.
        """
        if not self.is_open:
            self._connection = self._server.take()
            self._used = time.monotonic()
            self.is_open = True

    def close(self) -> None:
        """Give up this thread's connection, if it has one."""
        self.is_open = False
        connection, self._connection = self._connection, None
        if connection is not None:
            self._server.give_back(connection)

    def ready(self) -> Connection:
        """This thread's connection; a new one when the last was lost, unless a transaction was lost with it."""
        if not self.is_open:
            raise RuntimeError("this thread is not connected")
        if self.epoch is None:
            silent = time.monotonic() - self._used > UNSURE
            if self._connection is not None and silent and not is_alive(self._connection):
                self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = self._server.take()
                self._used = time.monotonic()
        elif self._connection is None:
            raise psycopg.OperationalError("the connection was lost")
        return self._connection

    @contextmanager
    def in_use(self) -> Iterator[Connection]:
        """The same, noting when it was used last."""
        connection = self.ready()
        try:
            yield connection
        finally:
            self._used = time.monotonic()

    @contextmanager
    def transaction(self, *, alone: bool = True, patience: str = "") -> Iterator[None]:
        """All or nothing; joins one that is open.

        Args:
            alone: nobody else writes meanwhile.
            patience: statements about how long to wait, each with its semicolon; for a transaction of its own.
        """
        if self.epoch is not None and not patience:
            if alone and not self._alone:
                raise AssertionError("this is to be written alone, and a transaction beside others is open")
            yield
            return
        with self.translated():
            number = self._begin(alone, patience)
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._commit(number)

    @contextmanager
    def reading(self, begin: str) -> Iterator[None]:
        """A transaction that only reads, begun with this statement."""
        with self.translated():
            with self.in_use() as connection:
                connection.execute(begin, prepare=False)
            self.epoch, self._alone = next(_EPOCHS), True
            try:
                yield
            finally:
                self._roll_back()

    def hold(self, lock: Lock, *, shared: bool = False) -> None:
        """Where others write beside this transaction: a lock until it ends."""
        if self.epoch is not None and not self._alone and lock not in self._locks:
            self._take(lock, "_shared" if shared else "")
            self._locks.add(lock)

    def wait_for(self, lock: Lock) -> None:
        """Wait until nobody holds it."""
        self._take(lock, "")

    @contextmanager
    def interruptible(self, given_up: Callable[[], bool]) -> Iterator[None]:
        """Break off the questions of this thread when `given_up` says so.

        Raises:
            GivenUp: it did.
        """
        with cancelled_when(given_up, self.ready()):
            self._given_up = True
            try:
                yield
            except psycopg.errors.QueryCanceled as error:
                raise GivenUp from error
            finally:
                self._given_up = False

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the outside did to the database into DatabaseUnavailable; a mistake in SQL stays what it is."""
        try:
            yield
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.QueryCanceled) and self._given_up:
                raise
            if self._connection is not None and is_lost(self._connection, error):
                self._lose()
            words = unavailable(error, self._server.place)
            if words is None:
                raise
            raise words from error

    def _take(self, lock: Lock, shared: str) -> None:
        with self.translated(), self.in_use() as connection:
            connection.execute(f"SELECT pg_advisory_xact_lock{shared}(%s, %s)", (_OURS, lock.value))

    def _begin(self, alone: bool, patience: str) -> str:
        """Begin a transaction; its number, to ask for later what became of it."""
        shared = "" if alone else "_shared"
        begin = _BEGIN.format(patience=patience, shared=shared, ours=_OURS, writing=Lock.WRITING.value)
        connection = self.ready()
        try:
            cursor = connection.execute(begin, prepare=False)
        except psycopg.OperationalError as error:
            if not is_lost(connection, error):
                connection.execute("ROLLBACK", prepare=False)  # the lock could not be had
                raise
            self._lose()  # nothing has begun: another connection is as good
            connection = self.ready()
            cursor = connection.execute(begin, prepare=False)
        *_, last = cursor.results()
        number: tuple[str] = last.fetchone()  # type: ignore[assignment]  # the function gives one row
        self.epoch, self._alone = next(_EPOCHS), alone
        self._used = time.monotonic()
        return number[0]

    def _commit(self, number: str) -> None:
        connection = self.ready()
        self._ended()
        try:
            connection.execute("COMMIT", prepare=False)
        except psycopg.Error as error:
            if not is_lost(connection, error):
                raise
            self._lose()
            if not came_through(lambda: self._fate(number), self._server.place):
                raise
        self._used = time.monotonic()

    def _fate(self, number: str) -> str:
        """What the server says became of a transaction."""
        with self.translated(), self.in_use() as connection:
            try:
                found = connection.execute("SELECT pg_xact_status(%s::xid8)", (number,)).fetchone()
            except psycopg.errors.InvalidParameterValue:
                return "never heard of"  # the server crashed, and its log ends before that transaction
            return str(found[0]) if found else ""

    def _roll_back(self) -> None:
        connection = self._connection
        self._ended()
        if connection is not None:
            try:
                connection.execute("ROLLBACK", prepare=False)
            except psycopg.Error:  # why it is rolled back is on its way up already
                connection.close()
                self._connection = None

    def _ended(self) -> None:
        self.epoch, self._alone = None, False
        self._locks.clear()

    def _lose(self) -> None:
        """The connection is gone, and those that are kept have probably gone with it."""
        self._connection = None
        self._server.forget()
