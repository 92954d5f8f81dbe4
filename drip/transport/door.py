"""Who may open a connection when: a server that turns us away is not asked by every session at once. No SMTP here.

A refused login counts against an account; four sessions that each try a wrong password are four failed logins.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from drip.core.delivery import Outcome, OutcomeKind
from drip.transport.answers import Unusable

T = TypeVar("T")

LOGIN_PAUSE = timedelta(minutes=4, seconds=50)
"""After a refused login nobody tries again for so long; a little less than the loop's own wait of five minutes."""

BUSY_PAUSE = timedelta(seconds=4.5)
"""The same where the server could not check the login; a little less than the loop's own first wait of five seconds."""
_CANT_CHECK = 454  # temporary authentication failure (RFC 4954, 6)


class Door:
    """Lets one session at a time in until one got in; then all. Those who waited share the failure they waited for."""

    def __init__(self, pause: timedelta, monotonic: Callable[[], float]) -> None:
        self._pause = pause.total_seconds()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open = False
        self._failures = 0
        self._failure: Outcome | None = None
        self._shut_until = float("-inf")

    def enter(self, connect: Callable[[], T]) -> T:
        """What `connect` returns.

        Raises:
            Unusable: from `connect`, or from the attempt this one waited for, or from a login refused shortly before.
        """
        seen = self._failures
        if self._open:
            return self._try(connect)
        with self._lock:
            shut = self._monotonic() < self._shut_until
            if self._failure is not None and (shut or (self._failures != seen and not self._open)):
                raise Unusable(self._failure)
            return self._try(connect)

    def _try(self, connect: Callable[[], T]) -> T:
        try:
            entered = connect()
        except Unusable as error:
            self._note(error.outcome)
            raise
        self._open = True
        return entered

    def _note(self, outcome: Outcome) -> None:
        self._open = False
        self._failure = outcome
        self._failures += 1
        if outcome.kind is OutcomeKind.MISCONFIGURED and outcome.code is not None:
            self._shut_until = self._monotonic() + self._pause
        elif outcome.code == _CANT_CHECK:
            self._shut_until = self._monotonic() + min(self._pause, BUSY_PAUSE.total_seconds())
