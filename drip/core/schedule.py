"""When a step is due. The only place that knows zones; everything it returns is UTC.

    due = base + delay, then the first `at`, then into the send window

Whole days of a delay are calendar days in the subscriber's zone (three days after Friday 09:30 is Monday 09:30, also
when the clocks change between), the rest is exact. A local time that does not exist in spring is moved forward by the
gap, one that exists twice in autumn is the first (PEP 495, fold=0).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from drip.core.sequence import DelayFrom, SendWindow, Sequence, Step

_DAY = timedelta(days=1)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The zone of that IANA name, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):
        return None


def subscriber_zone(wanted: object, sequence: Sequence, default: ZoneInfo) -> ZoneInfo:
    """The variable `timezone` if it names a zone, else the sequence's, else the project's."""
    for name in (wanted, sequence.timezone):
        if isinstance(name, str) and name and (found := zone(name)) is not None:
            return found
    return default


def due_at(step: Step, sequence: Sequence, *, base: datetime, local: ZoneInfo) -> datetime:
    """When a step is due, in UTC.

    Args:
        base: aware; see `base_of`.
        local: the subscriber's zone.
    """
    moment = add_delay(base, step.delay, local)
    if step.at is not None:
        moment = next_clock_time(moment, step.at, local)
    window = sequence.window_of(step)
    return moment if window is None else next_open(window, moment, local)


def base_of(sequence: Sequence, *, origin: datetime, previous: datetime | None) -> datetime:
    """What a delay counts from.

    Args:
        origin: when the subscription started, moved by the time it was paused.
        previous: when the step before was handled, moved likewise; None before the first step.
    """
    if sequence.delay_from is DelayFrom.START or previous is None:
        return origin
    return previous


def add_delay(base: datetime, delay: timedelta, local: ZoneInfo) -> datetime:
    """`base` plus whole local calendar days, plus the exact rest; UTC. Ends at the year 9999."""
    days, rest = divmod(delay, _DAY)
    try:
        moment = base.astimezone(UTC)
        if days:
            moment = _at_local(moment.astimezone(local).replace(tzinfo=None) + days * _DAY, local)
        return moment + rest
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC, microsecond=999000)


def next_clock_time(moment: datetime, clock: time, local: ZoneInfo) -> datetime:
    """The first moment at or after `moment` at which local clocks show `clock`; UTC."""
    today = moment.astimezone(local).date()
    for offset in range(-1, 3):
        candidate = _local_time(today, offset, clock, local)
        if candidate >= moment:
            return candidate
    raise AssertionError("a day has passed without that time")


def is_open(window: SendWindow, moment: datetime, local: ZoneInfo) -> bool:
    """Whether `moment` lies in the window."""
    return next_open(window, moment, local) == moment


def next_open(window: SendWindow, moment: datetime, local: ZoneInfo) -> datetime:
    """`moment` itself when the window is open then, else its next opening; UTC."""
    moment = moment.astimezone(UTC)
    today = moment.astimezone(local).date()
    # From yesterday, whose window may reach over midnight, to eight days on: every weekday is met once.
    for offset in range(-1, 9):
        if (today + offset * _DAY).weekday() not in window.days:
            continue
        opens = _local_time(today, offset, window.opens, local)
        closes = _closing(window, today, offset, local)
        if closes > max(opens, moment):
            return max(opens, moment)
    raise AssertionError("a window has at least one day")


def _closing(window: SendWindow, today: date, offset: int, local: ZoneInfo) -> datetime:
    if window.closes is None:
        return _local_time(today, offset + 1, time(0), local)
    over_midnight = window.closes <= window.opens
    return _local_time(today, offset + over_midnight, window.closes, local)


def _local_time(day: date, offset: int, clock: time, local: ZoneInfo) -> datetime:
    return _at_local(datetime.combine(day + offset * _DAY, clock), local)


def _at_local(naive: datetime, local: ZoneInfo) -> datetime:
    return naive.replace(tzinfo=local, fold=0).astimezone(UTC)
