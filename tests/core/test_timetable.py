"""What is remembered of the schedule is what it says: asked in any order, in any zone, while clocks change."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core import timetable
from drip.core.schedule import due_at, next_open
from drip.core.sequence import SendWindow, Sequence, Step
from drip.core.timetable import Timetable
from tests import strategies
from tests.core.walls import DAY, HOUR, MADRID, MINUTE, transitions, utc

NONE = timedelta(0)
OFFICE = SendWindow(frozenset(range(5)), time(9), time(17))


@st.composite
def crowds(draw: st.DrawFn) -> tuple[ZoneInfo, list[datetime]]:
    """People of one zone who were subscribed in the days around a change of its clocks."""
    local, change = draw(st.sampled_from(transitions()))
    minutes = draw(st.lists(st.integers(-3 * 1440, 3 * 1440), min_size=2, max_size=60))
    return local, [change + minute * MINUTE for minute in minutes]


@given(
    crowds(),
    st.integers(0, 72).map(lambda hours: hours * HOUR),
    st.none() | strategies.clock_times,
    st.none() | strategies.windows,
)
def test_everybody_is_due_when_the_schedule_says(
    crowd: tuple[ZoneInfo, list[datetime]], delay: timedelta, at: time | None, hours: SendWindow | None
) -> None:
    local, bases = crowd
    step, sequence = Step("a", delay, at=at, send_window=hours), Sequence("s", "S")
    known = Timetable(sequence)
    for base in bases:
        assert known.due_at(step, base=base, local=local) == due_at(step, sequence, base=base, local=local)


@given(st.lists(strategies.moments, max_size=40), strategies.zones, st.none() | strategies.clock_times)
def test_over_the_years_too(bases: list[datetime], local: ZoneInfo, at: time | None) -> None:
    step, sequence = Step("a", DAY, at=at, send_window=OFFICE), Sequence("s", "S")
    known = Timetable(sequence)
    for base in bases:
        assert known.due_at(step, base=base, local=local) == due_at(step, sequence, base=base, local=local)


def test_one_sequence_has_times_and_windows_of_its_own_for_each_step_and_zone() -> None:
    steps = (
        Step("a", NONE, at=time(9)),
        Step("b", NONE, at=time(21)),
        Step("c", NONE, send_window=OFFICE),
        Step("d", NONE),
    )
    sequence = Sequence("s", "S", steps=steps, send_window=SendWindow(opens=time(22), closes=time(6)))
    known = Timetable(sequence)
    for base in (utc("2026-03-06T20:00") + hours * HOUR for hours in (5, 0, 30, 3)):
        for local in (MADRID, ZoneInfo("Asia/Tokyo")):
            for step in steps:
                assert known.due_at(step, base=base, local=local) == due_at(step, sequence, base=base, local=local)


def test_a_window_is_looked_up_once_for_all_who_wait_for_the_same_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[datetime] = []

    def counted(window: SendWindow, moment: datetime, local: ZoneInfo) -> datetime:
        asked.append(moment)
        return next_open(window, moment, local)

    monkeypatch.setattr(timetable, "next_open", counted)
    known, step = Timetable(Sequence("s", "S")), Step("a", NONE, send_window=OFFICE)
    friday, monday = utc("2026-03-06T17:00"), utc("2026-03-09T08:00")
    for minutes in (0, 1, 600, 3000, 63 * 60):  # from the closing to the opening, both in winter
        assert known.due_at(step, base=friday + minutes * MINUTE, local=MADRID) == monday
    assert asked == [friday]


def test_it_forgets_before_it_grows_and_goes_on_as_the_schedule_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timetable, "_STRETCHES", 3)
    step, sequence = Step("a", NONE, at=time(9)), Sequence("s", "S")
    known = Timetable(sequence)
    for days in (*range(8), *range(8)):
        base = utc("2026-03-27T10:00") + days * DAY
        assert known.due_at(step, base=base, local=MADRID) == due_at(step, sequence, base=base, local=MADRID)
