"""Moments as text. All are aware; all that is stored is UTC with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, rounded down.

    Raises:
        ValueError: the moment is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no zone")
    return (moment - EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The UTC moment that many milliseconds after 1970."""
    return EPOCH + milliseconds * _MILLISECOND


def floor_to_millisecond(moment: datetime) -> datetime:
    """The same moment in UTC without microseconds, as the store keeps it."""
    return from_milliseconds(to_milliseconds(moment))


def parse_moment(text: str) -> datetime:
    """Read ISO 8601 with an offset or `Z`, as UTC.

    Raises:
        ValueError: not a time, without an offset, or before 1970.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a time: write it as 2026-03-27T09:30:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: add Z for UTC, or one like +01:00")
    try:
        moment = floor_to_millisecond(moment)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None
    # A moment of the year 1 has no local time in half of the zones; nothing before 1970 is a schedule.
    if moment < EPOCH:
        raise ValueError(f"{text!r} is out of range: before 1970")
    return moment


def format_moment(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`: `2026-06-22T15:30:00.000Z`.

    Raises:
        ValueError: the moment is naive.
    """
    return floor_to_millisecond(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")
