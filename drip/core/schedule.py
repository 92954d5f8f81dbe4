"""When a step is due. The only place that knows zones; everything it returns is UTC.

    due = base + delay, then the first `at`, then into the send window

Whole days of a delay are calendar days in the subscriber's zone (three days after Friday 09:30 is Monday 09:30, also
when the clocks change between), the rest is exact. A local time that does not exist in spring is moved forward by the
gap, one that exists twice in autumn is the first (PEP 495, fold=0). A window is open whenever local clocks show a time
in it: one that lies in spring's gap does not open that day, one that autumn shows twice opens twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from drip.core.sequence import DelayFrom, SendWindow, Sequence, Step

LAST = datetime.max.replace(tzinfo=UTC, microsecond=999000)
"""The end of the calendar, in whole milliseconds: what would be due later is due then."""

ClockTime = Callable[[datetime, time, ZoneInfo], datetime]
Opening = Callable[[SendWindow, datetime, ZoneInfo], datetime]

_DAY = timedelta(days=1)
_STEADY = ZoneInfo("UTC")
"""Clocks that are never changed: calendar days are exact there."""
_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The zone of that IANA name, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return None


def subscriber_zone(wanted: object, sequence: Sequence, default: ZoneInfo) -> ZoneInfo:
    """The variable `timezone` if it names a zone, else its declared default, the sequence's, or the project's."""
    declared = sequence.variables.get("timezone")
    for name in (wanted, declared and declared.default, sequence.timezone):
        if isinstance(name, str) and name and (found := zone(name)) is not None:
            return found
    return default


def due_at(
    step: Step,
    sequence: Sequence,
    *,
    base: datetime,
    local: ZoneInfo,
    clock_time: ClockTime | None = None,
    opening: Opening | None = None,
) -> datetime:
    """When a step is due, in UTC.

    Args:
        base: aware; see `base_of`.
        local: the subscriber's zone.
        clock_time: answers as `next_clock_time`, which None is.
        opening: answers as `next_open`, which None is.
    """
    try:
        moment = add_delay(base, step.delay, local)
        if step.at is not None:
            moment = (clock_time or next_clock_time)(moment, step.at, local)
        window = sequence.window_of(step)
        return moment if window is None else (opening or next_open)(window, moment, local)
    except OverflowError:
        return LAST


def base_of(sequence: Sequence, *, origin: datetime, previous: datetime | None) -> datetime:
    """What a delay counts from.

    Args:
        origin: when the subscription started, moved by the time it was paused.
        previous: when the step before was handled, moved likewise; None before the first step.
    """
    if sequence.delay_from is DelayFrom.START or previous is None:
        return origin
    return previous


def later(moment: datetime, length: timedelta) -> datetime:
    """A moment put off by so much; at the end of the calendar there is no later."""
    try:
        return moment + length
    except OverflowError:
        return LAST


def add_delay(base: datetime, delay: timedelta, local: ZoneInfo) -> datetime:
    """`base` plus whole local calendar days, plus the exact rest; UTC.

    Raises:
        OverflowError: that is after the year 9999.
    """
    days = delay.days
    if not days or local is _STEADY:
        return base.astimezone(UTC) + delay
    # Within one zone datetime adds as clocks on the wall show it.
    whole = timedelta(days)
    return (base.astimezone(local) + whole).astimezone(UTC) + (delay - whole)


def next_clock_time(moment: datetime, clock: time, local: ZoneInfo) -> datetime:
    """The first `clock` of a local day at or after `moment`; UTC. Each day has one, as `due_at` counts local times."""
    today = moment.astimezone(local).date()
    # Yesterday's may have been moved past midnight by a gap; a zone may leave out a whole day.
    for offset in range(-1, 3):
        candidate = _from_local(datetime.combine(today + offset * _DAY, clock), local)
        if candidate >= moment:
            return candidate
    raise AssertionError("a day has passed without that time")


def is_open(window: SendWindow, moment: datetime, local: ZoneInfo) -> bool:
    """Whether local clocks show a time in the window at `moment`."""
    shown = moment.astimezone(local)
    clock, today, yesterday = shown.time(), shown.weekday(), (shown.weekday() - 1) % 7
    opened = clock >= window.opens
    closes = window.closes or time(0)
    if closes > window.opens:
        return opened and clock < closes and today in window.days
    return (opened and today in window.days) or (clock < closes and yesterday in window.days)


def next_open(window: SendWindow, moment: datetime, local: ZoneInfo) -> datetime:
    """`moment` itself when the window is open then, else its next opening; UTC."""
    moment = moment.astimezone(UTC)
    if is_open(window, moment, local):
        return moment
    opening = _next_opening_time(window, moment, local)
    # Clocks that are changed may also jump into the window, before they show its opening time or without ever doing so.
    change = _change_between(moment, opening, local)
    return change if change is not None and is_open(window, change, local) else opening


def _next_opening_time(window: SendWindow, moment: datetime, local: ZoneInfo) -> datetime:
    """The next moment after `moment` at which local clocks show the window's opening, and it does open."""
    today = moment.astimezone(local).date()
    # Two weeks, as the window of its only weekday may fall into a gap.
    for offset in range(15):
        naive = datetime.combine(today + offset * _DAY, window.opens)
        for candidate in sorted({_from_local(naive, local), _from_local(naive.replace(fold=1), local)}):
            if candidate > moment and is_open(window, candidate, local):
                return candidate
    raise AssertionError("a window has at least one day")


def last_change(start: datetime, end: datetime, local: ZoneInfo) -> datetime | None:
    """When local clocks were last changed between two moments, if they show another offset at the end; else None."""
    offset = end.astimezone(local).utcoffset()
    if start >= end or start.astimezone(local).utcoffset() == offset:
        return None
    # The start shows another offset, so the walk back ends there at the latest.
    later, day = end, max(end - _DAY, start)
    while day.astimezone(local).utcoffset() == offset:
        later, day = day, max(day - _DAY, start)
    return _change_between(day, later, local)


def _change_between(start: datetime, end: datetime, local: ZoneInfo) -> datetime | None:
    """When local clocks are changed between two moments, to the second; None when they show the same offset."""
    offset = start.astimezone(local).utcoffset()
    if end.astimezone(local).utcoffset() == offset:
        return None
    start = start.replace(microsecond=0)
    while end - start > _SECOND:
        middle = start + (end - start) // _SECOND // 2 * _SECOND
        if middle.astimezone(local).utcoffset() == offset:
            start = middle
        else:
            end = middle
    return end


def _from_local(naive: datetime, local: ZoneInfo) -> datetime:
    return naive.replace(tzinfo=local).astimezone(UTC)
