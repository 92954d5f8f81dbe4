"""Lengths of time as people write them: `3d`, `1w 2d`, `36h`, `P3DT12H`."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=3653)
"""Ten years: the longest delay that makes sense, and the API's own bound."""

_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_UNITS["s"] = timedelta(seconds=1)
_TERM = re.compile(r"(\d{1,9})\s*([wdhms])")
_PLAIN = re.compile(r"\s*\d{1,9}\s*[wdhms](?:\s*\d{1,9}\s*[wdhms])*\s*")
_ISO = re.compile(r"P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?")


def parse_duration(text: str) -> timedelta:
    """Read `0`, `45s`, `1d 12h` or ISO 8601's `P3DT12H`.

    Months and years are refused: they have no one length.

    Raises:
        ValueError: it is not a duration, or longer than ten years; the text says what to write.
    """
    stripped = text.strip()
    if stripped == "0":
        return timedelta(0)
    if re.fullmatch(r"-?\d+(\.\d+)?", stripped):
        raise ValueError(f"{text!r} has no unit: write {stripped}d for days, {stripped}h for hours")
    if _PLAIN.fullmatch(text):
        total = sum((int(count) * _UNITS[unit] for count, unit in _TERM.findall(text)), timedelta(0))
    elif (iso := _ISO.fullmatch(stripped)) and any(iso.groups()):
        total = sum(
            (int(count) * unit for count, unit in zip(iso.groups(), _UNITS.values(), strict=True) if count),
            timedelta(0),
        )
    else:
        raise ValueError(f"{text!r} is not a duration: write 0, 45s, 30m, 36h, 3d, 2w, '1d 12h' or P3DT12H")
    if total > LONGEST:
        raise ValueError(f"{text!r} is longer than ten years")
    return total


def format_duration(length: timedelta) -> str:
    """The shortest form that `parse_duration` reads back as the same length: `1w 2d`, `36h` becomes `1d 12h`."""
    seconds = round(length.total_seconds())
    if seconds == 0:
        return "0"
    parts = []
    days, rest = divmod(abs(seconds), 86_400)
    for unit, size in (("d", 1), ("h", 3600), ("m", 60), ("s", 1)):
        if unit == "d":
            count = days
        else:
            count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 else "") + " ".join(parts)
