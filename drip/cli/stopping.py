"""Stop signals for a worker: the first finishes what is in hand, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from drip.cli.main import INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stoppable(Protocol):
    """A worker, or whatever else comes to an end when asked."""

    def stop(self) -> None:
        """Finish what is in hand and end; called from another thread."""
        ...


@contextmanager
def stopped_by_signals(worker: Stoppable) -> Iterator[None]:
    """Let SIGINT and SIGTERM stop a worker until the block ends; for good, if one did, as the process is to end then.

    A signal handler runs in the middle of anything, and may take no lock. So ours does nothing: Python writes the
    signal's number into a socket (`signal.set_wakeup_fd`), and a thread reads it there.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    asked = threading.Event()
    thread = threading.Thread(target=_listen, args=(ours, theirs, worker, asked), name="drip-signals", daemon=True)
    thread.start()
    before_fd = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, _do_nothing) for number in SIGNALS}
    try:
        yield
    finally:
        if not asked.is_set():
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before_fd)
            theirs.close()
            thread.join()
            ours.close()


def _listen(ours: socket.socket, theirs: socket.socket, worker: Stoppable, asked: threading.Event) -> None:
    """Read signals from `ours`; both ends live as long as somebody listens."""
    while numbers := ours.recv(1):
        if numbers[0] not in SIGNALS:
            continue
        if asked.is_set():
            os._exit(INTERRUPTED)
        asked.set()
        worker.stop()


def _do_nothing(number: int, frame: object) -> None:
    """The thread does it."""
