"""Lengths of time as people write them: `3d`, `1w 2d`, `36h`, `P3DT12H`."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=3650)
"""Ten years of 365 days: the longest delay that makes sense, and the API's own bound."""

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_N = r"([0-9]{1,18})"
_TERM = re.compile(rf"{_N}\s*([wdhms])")
_PLAIN = re.compile(rf"(?:\s*{_TERM.pattern})+\s*")
_ISO = re.compile(rf"P(?:{_N}W)?(?:{_N}D)?(?:T(?=[0-9])(?:{_N}H)?(?:{_N}M)?(?:{_N}S)?)?")


def parse_duration(text: str) -> timedelta:
    """Read `0`, `45s`, `1d 12h` or ISO 8601's `P3DT12H`.

    Months and years are refused: they have no one length.

    Raises:
        ValueError: it is not a duration, or longer than ten years; the text says what to write.
    """
    stripped = text.strip()
    if stripped == "0":
        return timedelta(0)
    if re.fullmatch(_N, stripped):
        raise ValueError(f"{text!r} has no unit: write {stripped}s, {stripped}m, {stripped}h or {stripped}d")
    if _PLAIN.fullmatch(stripped):
        terms = _TERM.findall(stripped)
    elif (iso := _ISO.fullmatch(stripped)) and any(iso.groups()):
        terms = list(zip(iso.groups(default="0"), _SECONDS, strict=True))
    else:
        raise ValueError(f"{text!r} is not a duration: write 0, 45s, 30m, 36h, 3d, 2w, '1d 12h' or P3DT12H")
    # In whole seconds: a timedelta overflows before it could be compared.
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in terms)
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """Days, hours, minutes and seconds, as `parse_duration` reads them: `36h` becomes `1d 12h`.

    Rounded to the second; a negative length gets a `-` in front, which can't be read back.
    """
    seconds = round(length.total_seconds())
    rest, parts = abs(seconds), []
    for unit in "dhms":
        count, rest = divmod(rest, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 else "") + (" ".join(parts) or "0")
