"""Why a step is due when it is, in words: the time of day, the window, clocks that were changed. Decides nothing.

`drip.core.schedule` decides; here its way is walked once more to tell of each bend.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from drip.core.difference import in_words, window_in_words
from drip.core.schedule import add_delay, last_change, next_clock_time, next_open
from drip.core.sequence import Sequence, Step


def reasons(
    step: Step, sequence: Sequence, *, base: datetime, due_at: datetime, looked_at: datetime, local: ZoneInfo
) -> tuple[str, ...]:
    """What there is to say about the time of a step; empty when it is simply base and delay.

    Args:
        base: what its delay counts from.
        due_at: when it was due.
        looked_at: when it was looked at; later where something held it up.
        local: the subscriber's zone.
    """
    try:
        plain = add_delay(base, step.delay, local)
        timed = plain if step.at is None else next_clock_time(plain, step.at, local)
    except OverflowError:
        return ("that is after the year 9999",)
    found = [*_time_of_day(step, plain, timed, local), *_window(step, sequence, timed, local)]
    found += _clocks(base, due_at, local)
    if looked_at > due_at:
        found.append(f"was due {short(due_at, local)}")
    return tuple(found)


def short(at: datetime, local: ZoneInfo) -> str:
    """`Fri 27 Mar 09:30`."""
    shown = at.astimezone(local)
    return f"{shown:%a} {shown.day:02} {shown:%b %H:%M}"


def _time_of_day(step: Step, plain: datetime, timed: datetime, local: ZoneInfo) -> list[str]:
    if step.at is None:
        return []
    shown = timed.astimezone(local)
    if shown.time() != step.at:
        return [f"{in_words(step.at)} does not exist on that day, the clocks go forward"]
    return [f"moved to {shown:%H:%M}"] if timed != plain else []


def _window(step: Step, sequence: Sequence, timed: datetime, local: ZoneInfo) -> list[str]:
    window = sequence.window_of(step)
    if window is None:
        return []
    if next_open(window, timed, local) != timed:
        return [f"{short(timed, local)} is outside the window {window_in_words(window)}"]
    return [f"{timed.astimezone(local):%Y-%m-%d} falls in the window"] if step.delay > timedelta(0) else []


def _clocks(base: datetime, due_at: datetime, local: ZoneInfo) -> list[str]:
    change = last_change(base, due_at, local)
    if change is None:
        return []
    day, month = change.astimezone(local), due_at.astimezone(local)
    same = (day.year, day.month) == (month.year, month.month)
    return [f"clocks changed on the {_ordinal(day.day)}" if same else f"clocks changed on {day.day} {day:%b}"]


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
