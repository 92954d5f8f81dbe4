"""Connections to a PostgreSQL server: how they are made, kept while nobody needs them, and given up when broken."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from drip.errors import DatabaseUnavailable, Invalid
from drip.store.postgres.errors import unreachable

CONNECT_WITHIN = 10
"""Seconds."""
OLDEST_SERVER = 13
"""The first version that tells what became of a transaction, and what is seen, in 64 bits."""
UNSURE = 1.0
"""Seconds of silence after which a connection is tried before it is relied upon."""
_KEPT = 4
"""Connections kept while nobody needs them."""
_STALE = 300.0
"""Seconds after which a kept one is closed."""
IN_DOUBT = 20.0
"""Seconds within which it is found out whether a commit came through whose answer was lost."""
_LOOK_EVERY = 0.02
"""Seconds between two looks whether anybody still waits for an answer."""

# A mark that vanishes with the power is a message sent twice. A process that was stopped in the middle of a transaction
# must not hold the others for longer than they wait; one that is cut off is noticed.
_SESSION = """
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local');
    SET lock_timeout = '30s'; SET statement_timeout = '5min'; SET idle_in_transaction_session_timeout = '25s';
    SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
"""

Connection = psycopg.Connection[tuple[Any, ...]]


class Server:
    """One database on a server, and the connections to it that are idle."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Nothing is connected yet.

        Raises:
            Invalid: the URL can't be read.
        """
        try:
            known = conninfo_to_dict(url)
        except psycopg.Error:
            raise Invalid(  # without the cause: its text holds the URL
                "database: the PostgreSQL URL can't be read", "write postgresql://user:${PGPASSWORD}@host/name"
            ) from None
        self.place = _place(known)
        self._known: dict[str, Any] = {"connect_timeout": CONNECT_WITHIN, "application_name": "drip", **known}
        self._session = _SESSION + ("SET default_transaction_read_only = on;" if read_only else "")
        self._idle: list[tuple[float, Connection]] = []
        self._lock = threading.Lock()
        self._process = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def take(self) -> Connection:
        """A connection that works.

        Raises:
            DatabaseUnavailable: there is none to be had.
        """
        while (kept := self._pop()) is not None:
            since, connection = kept
            age = time.monotonic() - since
            if age < _STALE and (age < UNSURE or is_alive(connection)):
                return connection
            connection.close()
        return self._connect()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next one who needs it, if it is good for anything."""
        idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if idle and not connection.closed and len(self._idle) < _KEPT and self._process == os.getpid():
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()

    def forget(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            kept, self._idle[:] = list(self._idle), []
        _close_all(kept)

    def _pop(self) -> tuple[float, Connection] | None:
        with self._lock:
            if self._process != os.getpid():  # a fork shares the parent's sockets, and must not speak on them
                self._process = os.getpid()
                self._idle.clear()
            return self._idle.pop() if self._idle else None

    def _connect(self) -> Connection:
        try:
            connection = psycopg.connect(**self._known, autocommit=True, client_encoding="utf8")
        except psycopg.Error as error:
            raise unreachable(error, self.place) from None  # libpq's text may hold the password
        try:
            self._require(connection)
            connection.execute(self._session)
        except psycopg.Error as error:
            connection.close()
            raise unreachable(error, self.place) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _require(self, connection: Connection) -> None:
        version = connection.info.server_version // 10_000
        if version < OLDEST_SERVER:
            raise DatabaseUnavailable(
                f"the database server is PostgreSQL {version} ({self.place})", f"drip needs {OLDEST_SERVER} or newer"
            )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise DatabaseUnavailable(
                f"the database is encoded in {encoding} ({self.place})",
                "names and texts need UTF8: make one with `createdb --encoding=UTF8 --template=template0`",
            )


def is_alive(connection: Connection) -> bool:
    """Whether the server answers on a connection."""
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def is_lost(connection: Connection, error: psycopg.Error) -> bool:
    """Whether an error was the connection's last word; then it is closed here too."""
    if not connection.closed and (error.sqlstate or "").startswith(("08", "25P03", "57P")):
        connection.close()  # the server has closed it, but libpq has not read so far
    return connection.closed


@contextmanager
def cancelled_when(given_up: Callable[[], bool], connection: Connection) -> Iterator[None]:
    """Have the server break off what a connection asks it meanwhile, as soon as `given_up` says so."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY):
            if given_up():
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=5.0)

    watcher = threading.Thread(target=watch, name="drip-waiting", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def came_through(ask: Callable[[], str], place: str) -> bool:
    """Whether a commit was made whose answer was lost; waits until that is known.

    Args:
        ask: what the server says of the transaction (pg_xact_status); it may fail as long as the server is away.

    Raises:
        DatabaseUnavailable: it can't be found out.
    """
    deadline, wait = time.monotonic() + IN_DOUBT, 0.1
    while True:
        try:
            fate = ask()
        except DatabaseUnavailable:
            fate = "in progress"
        if fate != "in progress":
            return fate == "committed"
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"the connection to the database was lost during a commit ({place})",
                "it may have been written or not: look before you do it again",
            )
        time.sleep(wait)
        wait = min(wait * 2, 2.0)


def _place(known: Mapping[str, Any]) -> str:
    user = f"{known['user']}@" if known.get("user") else ""
    port = f":{known['port']}" if known.get("port") else ""
    return f"postgresql://{user}{known.get('host') or 'localhost'}{port}/{known.get('dbname') or ''}"


def _close_all(idle: list[tuple[float, Connection]]) -> None:
    for _, connection in idle:
        connection.close()
