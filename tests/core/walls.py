"""The model that schedules are held against: what a clock on the wall shows; no local time is ever turned into UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from drip.core.sequence import SendWindow
from tests import strategies

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MADRID = ZoneInfo("Europe/Madrid")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
BEIRUT = ZoneInfo("Asia/Beirut")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shows_open(window: SendWindow, wall: datetime) -> bool:
    """Whether a wall clock that shows `wall` says that the window is open."""
    hours = [wall.replace(hour=window.opens.hour, minute=window.opens.minute, second=0, microsecond=0)]
    hours.append(hours[0] - DAY)  # the window that opened yesterday may reach over midnight
    for opens in hours:
        closes = datetime.combine(opens.date(), window.closes or time(0))
        if closes <= opens:
            closes += DAY
        if opens.weekday() in window.days and opens <= wall < closes:
            return True
    return False


def wall_clock(moment: datetime, local: ZoneInfo) -> datetime:
    return moment.astimezone(local).replace(tzinfo=None)


@lru_cache(maxsize=1)
def transitions() -> tuple[tuple[ZoneInfo, datetime], ...]:
    """Every change of any zone's clocks in 2024-2030, once for zones that share it, found by walking."""
    found: dict[tuple[datetime, datetime, datetime], ZoneInfo] = {}
    for local in map(ZoneInfo, strategies.ZONES):
        for change in changes(local, utc("2024-01-01"), utc("2031-01-01"), (7 * DAY, 6 * HOUR, 5 * MINUTE)):
            found.setdefault((change, wall_clock(change - MINUTE, local), wall_clock(change, local)), local)
    return tuple((local, change) for (change, _, _), local in found.items())


def changes(local: ZoneInfo, start: datetime, end: datetime, strides: tuple[timedelta, ...]) -> Iterator[datetime]:
    """Walks in the first stride, and where the clocks went another way than the time, again in the next."""
    here, stride = start, strides[0]
    while here < end:
        there = here + stride
        if wall_clock(there, local) - wall_clock(here, local) != stride:
            if len(strides) == 1:
                yield there
            else:
                yield from changes(local, here, there, strides[1:])
        here = there


@lru_cache(maxsize=64)
def walls_around(transition: datetime, local: ZoneInfo) -> dict[datetime, datetime]:
    """What the clocks show every five minutes from 40 hours before a change to 40 after."""
    moments = (transition + minutes * MINUTE for minutes in range(-2400, 2400, 5))
    return {moment: wall_clock(moment, local) for moment in moments}
