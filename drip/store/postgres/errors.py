"""What PostgreSQL says, in our words: what happened, and what to do. Nothing of what it says is repeated unread."""

from __future__ import annotations

import re
from collections.abc import Iterable

import psycopg

from drip.errors import DatabaseUnavailable

_LOOK_AT_URL = "look at `database` in drip.yaml"
_AGAIN = "try again; nothing was changed"

# By the beginning of the SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html); the longest wins.
_STATES = {
    "08": ("the connection to the database was lost", "try again"),
    "25006": ("the database server can only be read", "it is a standby: name the primary in `database` in drip.yaml"),
    "25P03": ("the database server ended a transaction that stood still", _AGAIN),
    "28": ("the database server refuses the login", "look at user and password of `database` in drip.yaml"),
    "3D000": ("the database does not exist on the server", "make it with `createdb`, or look at `database`"),
    "3F000": ("the schema does not exist in the database", "make it with CREATE SCHEMA, or look at `database`"),
    "40": ("two programs were in each other's way in the database", _AGAIN),
    "42501": (
        "the database's user lacks a permission",
        "drip makes tables: GRANT CREATE, or make it the owner",
    ),
    "53100": ("the disk of the database server is full", "free some space; nothing was changed"),
    "53200": ("the database server is out of memory", _AGAIN),
    "53300": ("the database server has no connection left", "raise max_connections, or run fewer workers"),
    "53": ("the database server is at its limits", _AGAIN),
    "55P03": ("another program holds the database", "try again; the lock is waited for 30 seconds"),
    "55006": ("the database is in use by something that excludes us", _AGAIN),
    "57014": ("the database took longer over a question than it may", "try again when it is less busy"),
    "57P": ("the database server was stopped, or is not up yet", "try again when it runs"),
    "58": ("the database server's disk can't be read or written", "look at the server and its log"),
    "XX": ("the database is damaged", "look at the server's log, restore a backup"),
}

# Before a connection stands there is no SQLSTATE, only libpq's text.
_TEXTS = (
    (r"password authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist", "28000"),
    (r"database .* does not exist", "3D000"),
    (r"too many (clients|connections)|remaining connection slots", "53300"),
    (r"starting up|shutting down|recovery mode|not yet accepting", "57P03"),
)
_REASONS = (
    (r"could not translate host name|Name or service not known|resolve host", "the host's name is not known"),
    (r"Connection refused|No such file or directory", "nothing listens there"),
    (r"timeout expired|timed out", "it does not answer"),
    (r"certificate|SSL", "there is no TLS connection that both sides accept"),
    (r"No route to host|unreachable", "there is no way to it"),
)


def unavailable(error: psycopg.Error, place: str) -> DatabaseUnavailable | None:
    """What an error means, when the outside is at fault; None for a mistake in SQL."""
    words = _by_state(error.sqlstate)
    cut = error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if words is None and cut:
        words = _STATES["08"]
    return None if words is None else DatabaseUnavailable(f"{words[0]} ({place})", words[1])


def unreachable(error: psycopg.Error, place: str) -> DatabaseUnavailable:
    """Why no connection came to be. libpq's text may hold the whole URL, so none of it is passed on."""
    text = str(error)
    words = _by_state(error.sqlstate) or _by_state(_first(text, _TEXTS))
    if words is not None:
        return DatabaseUnavailable(f"{words[0]} ({place})", words[1])
    reason = _first(text, _REASONS)
    why = f": {reason}" if reason else ""
    return DatabaseUnavailable(f"the database server can't be reached{why} ({place})", f"is it up? {_LOOK_AT_URL}")


def _by_state(state: str | None) -> tuple[str, str] | None:
    known = (prefix for prefix in _STATES if state is not None and state.startswith(prefix))
    best = max(known, key=len, default=None)
    return None if best is None else _STATES[best]


def _first(text: str, patterns: Iterable[tuple[str, str]]) -> str | None:
    return next((meaning for pattern, meaning in patterns if re.search(pattern, text)), None)
