"""How often a key may ask: a bucket per key, in this process alone. Off unless `http.rate_limit` is set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from drip.core.settings import Rate

MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key stands after it asked."""

    limit: int
    remaining: int
    reset: int
    """Seconds until all of it may be asked again."""
    wait: int
    """Seconds until the next request is taken; 0: this one was."""

    def headers(self) -> dict[str, str]:
        """As an answer carries it."""
        found = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }
        return {**found, "Retry-After": str(self.wait)} if self.wait else found


class Quota:
    """Counts requests. So many at once, and then as many as come back with time."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = rate.count
        self._per_second = rate.count / rate.per.total_seconds()
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        """Key's id -> (requests left, when that was)."""

    def ask(self, key_id: str) -> Standing:
        """Count a request, unless there are too many; those that are refused are not counted."""
        now = self._clock()
        left, at = self._left.get(key_id, (float(self._most), now))
        left = min(self._most, left + (now - at) * self._per_second)
        taken = left >= 1 - 1e-9
        if taken:
            left = max(0.0, left - 1)
        if len(self._left) >= MOST_KEYS and key_id not in self._left:
            self._left.clear()
        self._left[key_id] = (left, now)
        return Standing(
            limit=self._most,
            remaining=math.floor(left + 1e-9),
            reset=math.ceil((self._most - left) / self._per_second),
            wait=0 if taken else max(1, math.ceil((1 - left) / self._per_second)),
        )
