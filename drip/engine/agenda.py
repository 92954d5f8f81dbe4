"""What will be sent in the days to come, by day and step, from counts of who waits for what. Pure.

The next message of each person is as certain as the schedule. What follows it is an estimate: as if each went out when
it is due, in the sequence's zone, with no condition looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from drip.core.schedule import add_delay, due_at, next_open, subscriber_zone
from drip.core.sequence import DelayFrom, Step
from drip.engine.records import StoredSequence

SLOT = timedelta(minutes=15)
"""Moments are counted in slots of this length: every zone's days begin with one."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """People who wait for one step and are due in one slot."""

    step_id: int
    at: datetime
    """The slot's beginning, UTC."""
    count: int


@dataclass(frozen=True, slots=True)
class Held:
    """People who are not sent to at their time."""

    sequence: str
    reason: str
    """`sequence_draft`, `sequence_archived`, `paused`, `failed`, `no_steps`, `unknown`; or why a step is deferred."""
    count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Messages of one step on one day."""

    day: date
    sequence: str
    step: str
    due: int
    """To people whose next message it is."""
    following: int
    """To people who get another one before it."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.due + self.following


def entries(
    stored: StoredSequence, waiting: Iterable[Waiting], *, now: datetime, until: datetime, shown: ZoneInfo
) -> list[Entry]:
    """What one sequence will send up to a moment, by day and in the order of its steps.

    Args:
        waiting: the overdue included; they are taken to be sent now, or when their window opens again.
        shown: the zone whose days are counted.
    """
    local = subscriber_zone(None, stored.sequence, shown)
    positions = {stored.ids[step.key]: index for index, step in enumerate(stored.sequence.steps)}
    due: dict[int, Counter[datetime]] = {}
    for one in waiting:
        if (place := positions.get(one.step_id)) is None:
            continue
        at = one.at if one.at > now else _at_once(stored, place, now, local)
        if at <= until:
            due.setdefault(place, Counter())[at] += one.count
    counts: Counter[tuple[date, int, bool]] = Counter()
    coming: Counter[datetime] = Counter()
    for index in range(len(stored.sequence.steps)):
        here = due.get(index, Counter())
        for slots, following in ((here, False), (coming, True)):
            for at, count in slots.items():
                counts[at.astimezone(shown).date(), index, following] += count
        coming = _onward(stored, index, here + coming, until, local)
    return list(_entries(stored, counts))


def _at_once(stored: StoredSequence, index: int, now: datetime, local: ZoneInfo) -> datetime:
    window = stored.sequence.window_of(stored.sequence.steps[index])
    return now if window is None else next_open(window, now, local)


def _onward(
    stored: StoredSequence, index: int, leaving: Counter[datetime], until: datetime, local: ZoneInfo
) -> Counter[datetime]:
    """When those who leave a step are due for the next one; who is due after the end is left out."""
    steps = stored.sequence.steps
    coming: Counter[datetime] = Counter()
    if index + 1 == len(steps):
        return coming
    for at, count in leaving.items():
        base = _base(stored, steps[index], at, local)
        found = max(due_at(steps[index + 1], stored.sequence, base=base, local=local), at)
        if found <= until:
            coming[found] += count
    return coming


def _base(stored: StoredSequence, step: Step, at: datetime, local: ZoneInfo) -> datetime:
    """What the next step counts from: now, or a start that would have brought this step about."""
    if stored.sequence.delay_from is DelayFrom.PREVIOUS:
        return at
    try:
        return add_delay(at, -step.delay, local)
    except OverflowError:
        return at


def _entries(stored: StoredSequence, counts: Counter[tuple[date, int, bool]]) -> Iterator[Entry]:
    for day, index in sorted({(day, index) for day, index, _ in counts}):
        key = stored.sequence.steps[index].key
        yield Entry(day, stored.slug, key, counts[day, index, False], counts[day, index, True])
