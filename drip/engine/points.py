"""The named moments of sending: before and after each commit, and each word to the server or the disk.

Tests stop processes here, to show that it does no harm. Nothing is decided here, and nobody listens in real life.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto


class Point(Enum):
    """Where a process may be; in the order of a pass."""

    REGISTER_WRITTEN = auto()  # the worker's row, not committed
    REGISTERED = auto()
    SWEEP_WRITTEN = (
        auto()
    )  # what a dead worker held is taken back, not committed; also the worker's own, when it leaves
    SWEPT = auto()
    CLAIM = auto()  # somebody is due
    CLAIM_WRITTEN = auto()
    CLAIMED = auto()
    COMPOSED = auto()  # the message is there
    CONNECT = auto()
    CONNECTED = auto()
    RENEW_CONNECTION = auto()  # RSET or NOOP before the next message
    CONNECTION_RENEWED = auto()
    MAIL = auto()
    MAIL_ANSWERED = auto()
    RCPT = auto()
    RCPT_ANSWERED = auto()
    DATA = auto()
    DATA_ANSWERED = auto()
    BODY = auto()
    BODY_SENT = auto()
    OUTBOX_WRITTEN = auto()  # the file in `tmp/` is synced
    MARK = auto()
    MARK_WRITTEN = auto()
    MARKED = auto()
    DOT = auto()
    DOT_SENT = auto()
    DOT_ANSWERED = auto()
    OUTBOX_PUBLISHED = auto()  # the file is in `new/`
    OUTBOX_SYNCED = auto()
    EVENT_WRITTEN = auto()
    RECORD_WRITTEN = auto()  # what came of it, the next step and the events, not committed
    RECORDED = auto()
    TOLD = auto()
    RELEASE_WRITTEN = auto()  # a claim is given back unused, not committed
    LEASE_RENEWED = auto()
    HIGH_WATER_WRITTEN = auto()  # the file is synced under another name
    HIGH_WATER_REPLACED = auto()
    QUIT = auto()
    LEFT = auto()  # the worker has given back all it held


_listener: Callable[[Point], None] | None = None


def reached(point: Point) -> None:
    """Tell whoever listens."""
    if _listener is not None:
        _listener(point)


def listen(listener: Callable[[Point], None] | None) -> None:
    """Have every point told to `listener`, on the thread that reached it; None ends it."""
    global _listener
    _listener = listener
