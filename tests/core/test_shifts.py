from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest

from drip.core.schedule import due_at, last_change
from drip.core.sequence import Sequence, Step
from drip.core.shifts import reasons, short
from tests.lab import MADRID, utc

SPRING, AUTUMN = utc("2026-03-29T01:00"), utc("2026-10-25T01:00")
"""When Madrid's clocks are changed."""


def said(base: str, days: int, at: time | None = None) -> tuple[str, ...]:
    step = Step("a", timedelta(days=days), at=at)
    sequence = Sequence("s", "S", steps=(step,))
    due = due_at(step, sequence, base=utc(base), local=MADRID)
    return reasons(step, sequence, base=utc(base), due_at=due, looked_at=due, local=MADRID)


@pytest.mark.parametrize(
    ("base", "days", "words"),
    [
        ("2026-03-01T09:00", 1, ()),
        ("2026-03-28T09:00", 2, ("clocks changed on the 29th",)),
        ("2026-03-28T09:00", 30, ("clocks changed on 29 Mar",)),  # told in April
        ("2026-10-24T09:00", 2, ("clocks changed on the 25th",)),
        ("2026-01-01T09:00", 365, ()),  # changed twice: the same offset again
        ("2026-01-01T09:00", 3650, ()),
        ("2026-01-01T09:00", 3650 + 180, ("clocks changed on 30 Mar",)),  # the last one, in 2036
    ],
)
def test_clocks_that_were_changed_between_are_told(base: str, days: int, words: tuple[str, ...]) -> None:
    assert said(base, days) == words


@pytest.mark.parametrize(
    ("start", "end", "change"),
    [
        ("2026-03-28T00:00", "2026-03-30T00:00", SPRING),
        ("2026-03-29T00:59:59", "2026-03-29T01:00:01", SPRING),
        ("2026-03-29T01:00", "2026-04-29T01:00", None),
        ("2026-01-01T00:00", "2026-12-31T00:00", None),
        ("2026-07-01T00:00", "2026-12-31T00:00", AUTUMN),
        ("2026-12-31T00:00", "2026-07-01T00:00", None),  # the wrong way round
    ],
)
def test_the_last_change(start: str, end: str, change: datetime | None) -> None:
    assert last_change(utc(start), utc(end), MADRID) == change


def test_a_time_of_day_is_told_only_where_it_moves_something() -> None:
    assert said("2026-06-01T08:00", 1, time(10)) == ()
    assert said("2026-06-01T08:01", 1, time(10)) == ("moved to 10:00",)


def test_what_is_beyond_the_calendar_is_said() -> None:
    assert said("9999-06-01T00:00", 3650) == ("that is after the year 9999",)


def test_a_short_moment() -> None:
    assert short(utc("2026-04-09T08:00"), MADRID) == "Thu 09 Apr 10:00"
