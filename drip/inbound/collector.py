"""Reads the mailbox of bounces again and again beside the worker, on a thread of its own that mail never waits for.

What goes wrong is kept in the database, where `drip status` finds it; the loop goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from drip.engine.ports import Store
from drip.engine.reports import Taken
from drip.errors import DatabaseUnavailable, DripError
from drip.inbound.sources import Source
from drip.inbound.taking import Taker

EVERY = 60.0
"""Seconds between two looks."""
LONGEST_WAIT = 900.0
"""Seconds between two looks at a mailbox that could not be read, which are doubled each time."""


class Collector:
    """Use as a context manager: entering starts the thread, leaving stops it."""

    def __init__(
        self,
        store: Store,
        source: Source,
        taker: Taker,
        *,
        clock: Callable[[], datetime],
        told: Callable[[Taken], None] = lambda taken: None,
        every: float = EVERY,
        grace: float = 3.0,
    ) -> None:
        """
        Args:
            told: called on the collector's thread for what becomes of each report.
            every: seconds between two looks.
            grace: seconds that a look is waited for at the end.
        """
        self._store = store
        self._source = source
        self._taker = taker
        self._clock = clock
        self._told = told
        self._every = every
        self._grace = grace
        self._halt = threading.Event()
        self._broken: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="drip-collector", daemon=True)

    def __enter__(self) -> Collector:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._halt.set()
        # A server that does not answer is not waited for: what is not put away is read again, and changes nothing.
        self.thread.join(self._grace)
        if exc[0] is None:
            self.check()

    def check(self) -> None:
        """Raise what broke the collector, if anything did."""
        if self._broken is not None:
            raise self._broken

    def _run(self) -> None:
        failed = 0
        try:
            with self._store.connected():
                while not self._halt.is_set():
                    failed = 0 if self._look() else failed + 1
                    self._halt.wait(min(self._every * 2 ** min(failed, 10), max(LONGEST_WAIT, self._every)))
        except BaseException as error:
            self._broken = error

    def _look(self) -> bool:
        """One look; whether the mailbox could be read."""
        try:
            self._taker.take(self._source, told=self._told, stopped=self._halt.is_set)
        except DatabaseUnavailable:
            return True  # the worker says so
        except DripError as error:
            with suppress(DatabaseUnavailable):
                self._store.reports.note_error(error.message, self._clock())
            return False
        with suppress(DatabaseUnavailable):
            self._store.reports.note_read(self._clock())
        return True
