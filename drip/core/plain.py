"""Moments, lengths, counts and foreign text as people read them on a terminal. One wording for commands and dashboard.

Nothing that people or servers wrote reaches a terminal raw: control characters and those that turn the direction of
text are shown as escapes.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from drip.core.durations import format_duration

_HARMFUL = [*range(32), *range(127, 160), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _HARMFUL} | {10: "\\n", 9: " "}
_PROSE = {code: escape for code, escape in _ESCAPES.items() if code not in (9, 10)}


def clean(text: str) -> str:
    """One line, safe to show: control characters become escapes."""
    return encodable(text).translate(_ESCAPES)


def clean_prose(text: str) -> str:
    """Text of many lines, safe to show."""
    return encodable(text).translate(_PROSE)


def moment(at: datetime | None, zone: tzinfo) -> str:
    """A moment in a zone: `Fri 2026-03-27 09:30`; empty for None."""
    return "" if at is None else f"{at.astimezone(zone):%a %Y-%m-%d %H:%M}"


def distance(at: datetime, now: datetime) -> str:
    """`in 2d 3h`, `5m ago`, `now`: the two largest units."""
    length = at - now
    if abs(length) < timedelta(minutes=1):
        return "now"
    words = " ".join(format_duration(timedelta(seconds=abs(length) // timedelta(minutes=1) * 60)).split()[:2])
    return f"in {words}" if length > timedelta(0) else f"{words} ago"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 person`, `2 people`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def encodable(text: str) -> str:
    """Lone surrogates have no UTF-8: they become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
