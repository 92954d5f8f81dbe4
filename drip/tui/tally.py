"""What was sent in the last day, kept from look to look: only what is new is counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from drip.store.board import Board

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLOT = timedelta(minutes=5)
"""What is kept is so fine; an hour of it begins with one of them."""
LATE = 2
"""Slots before the last look that are counted again: what was under way then was recorded after it."""
WHOLE = timedelta(hours=1)
"""After so long all is counted again: an unknown delivery may have been settled as sent, a person erased."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tally:
    """Sends by hour, by the sequence's row id. May be asked from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[int, Counter[int]] = {}
        """Numbers of sends by sequence, by slot since 1970."""
        self._whole: datetime | None = None
        """When all was counted; None: not yet."""
        self._last = 0
        """The slot of the last look."""

    def look(self, board: Board, now: datetime) -> Mapping[int, tuple[int, ...]]:
        """The last 24 hours, oldest first; the last of them ends with the slot that it is now."""
        with self._lock:
            end = (now - _EPOCH) // SLOT + 1
            begin = end - DAY // SLOT
            if self._whole is None or not timedelta(0) <= now - self._whole < WHOLE or end <= self._last:
                self._slots, self._whole, self._last = {}, now, begin + LATE
            since = max(begin, self._last - LATE)
            self._slots = {slot: counts for slot, counts in self._slots.items() if begin <= slot < since}
            for sequence_id, counts in board.sent(_EPOCH + since * SLOT, _EPOCH + end * SLOT, SLOT).items():
                for slot, count in counts.items():
                    self._slots.setdefault(since + slot, Counter())[sequence_id] += count
            self._last = end - 1
            return self._by_hour(begin)

    def _by_hour(self, begin: int) -> dict[int, tuple[int, ...]]:
        hours: dict[int, list[int]] = {}
        for slot, counts in self._slots.items():
            for sequence_id, count in counts.items():
                hours.setdefault(sequence_id, [0] * 24)[(slot - begin) * SLOT // HOUR] += count
        return {sequence_id: tuple(found) for sequence_id, found in hours.items()}
