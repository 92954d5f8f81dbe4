"""When a step is due, asked for many people: what a time of day or a window gave for one is remembered for the next.

`drip.core.schedule` decides; nothing here may answer otherwise.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime, time
from functools import lru_cache, partial
from zoneinfo import ZoneInfo

from drip.core.schedule import due_at, next_clock_time, next_open
from drip.core.sequence import SendWindow, Sequence, Step

_KINDS = 128
"""Times of day and windows that are remembered, each in one zone."""
_STRETCHES = 500
"""Of each: more than there are days in a year."""


class Timetable:
    """The schedule of one sequence; for one thread."""

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence
        self._times = lru_cache(maxsize=_KINDS)(_times)
        self._openings = lru_cache(maxsize=_KINDS)(_openings)

    def due_at(self, step: Step, *, base: datetime, local: ZoneInfo) -> datetime:
        """As `drip.core.schedule.due_at`."""
        return due_at(step, self._sequence, base=base, local=local, clock_time=self._clock_time, opening=self._opening)

    def _clock_time(self, moment: datetime, clock: time, local: ZoneInfo) -> datetime:
        return self._times(clock, local).at(moment)

    def _opening(self, window: SendWindow, moment: datetime, local: ZoneInfo) -> datetime:
        return self._openings(window, local).at(moment)


class _Firsts:
    """The first moment of a kind at or after another: it is that also for every moment in between."""

    def __init__(self, find: Callable[[datetime], datetime]) -> None:
        self._find = find
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []

    def at(self, moment: datetime) -> datetime:
        place = bisect_left(self._ends, moment)
        if place < len(self._ends) and self._starts[place] <= moment:
            return self._ends[place]
        found = self._find(moment)
        if found > moment:
            self._remember(moment, found)
        return found

    def _remember(self, start: datetime, end: datetime) -> None:
        if len(self._ends) >= _STRETCHES:
            self._starts.clear()
            self._ends.clear()
        place = bisect_left(self._ends, end)
        if place < len(self._ends) and self._ends[place] == end:
            self._starts[place] = min(self._starts[place], start)
        else:
            self._starts.insert(place, start)
            self._ends.insert(place, end)


def _times(clock: time, local: ZoneInfo) -> _Firsts:
    return _Firsts(lambda moment: next_clock_time(moment, clock, local))


def _openings(window: SendWindow, local: ZoneInfo) -> _Firsts:
    return _Firsts(partial(next_open, window, local=local))
