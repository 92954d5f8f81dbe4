"""When a step is due, held against a model that only ever asks what a clock on the wall shows."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drip.core.durations import LONGEST
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.core.schedule import (
    LAST,
    add_delay,
    base_of,
    due_at,
    is_open,
    next_clock_time,
    next_open,
)
from drip.core.sequence import DelayFrom, SendWindow, Sequence, Step
from tests import strategies
from tests.core.walls import (
    APIA,
    BEIRUT,
    DAY,
    HOUR,
    LORD_HOWE,
    MADRID,
    MINUTE,
    NEW_YORK,
    shows_open,
    transitions,
    utc,
    wall_clock,
    walls_around,
)

STEADY = [ZoneInfo(name) for name in ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "America/Phoenix")]
"""Zones without a transition since 2000."""


def clock(text: str) -> time:
    return time.fromisoformat(text)


def window(hours: str, days: str = "0123456") -> SendWindow:
    opens, closes = hours.split("-")
    return SendWindow(frozenset(int(day) for day in days), clock(opens), None if closes == "24:00" else clock(closes))


@pytest.mark.parametrize(
    ("base", "delay", "local", "expected"),
    [
        # Friday 09:30 CET + 3 days is Monday 09:30, now CEST: 71 hours later.
        ("2026-03-27T08:30", 3 * DAY, MADRID, "2026-03-30T07:30"),
        # A day before autumn's change + 1 day: 25 hours later.
        ("2026-10-24T10:00", DAY, MADRID, "2026-10-25T11:00"),
        # 02:30 on 8 March does not exist in New York: 03:30 EDT = 07:30 UTC.
        ("2026-03-07T07:30", DAY, NEW_YORK, "2026-03-08T07:30"),
        # 01:30 on 1 November exists twice: the first, EDT = 05:30 UTC.
        ("2026-10-31T05:30", DAY, NEW_YORK, "2026-11-01T05:30"),
        # The rest of a delay is exact: 01:00 EST + 2 h is 04:00 EDT.
        ("2026-03-08T06:00", 2 * HOUR, NEW_YORK, "2026-03-08T08:00"),
        # 1 day 12 hours from Saturday 12:00 EST: Sunday 12:00 EDT = 16:00 UTC, then 12 hours.
        ("2026-03-07T17:00", 36 * HOUR, NEW_YORK, "2026-03-09T04:00"),
        # Half an hour in spring: 02:15 on 4 October does not exist, 02:45 +11 = 15:45 UTC the day before.
        ("2026-10-02T15:45", DAY, LORD_HOWE, "2026-10-03T15:45"),
        # Apia had no 30 December 2011: 29 December 10:00 -10 + 1 day is 31 December 10:00 +14.
        ("2011-12-29T20:00", DAY, APIA, "2011-12-30T20:00"),
        ("2011-12-29T20:00", 2 * DAY, APIA, "2011-12-30T20:00"),
        ("2026-03-27T08:30", timedelta(0), MADRID, "2026-03-27T08:30"),
    ],
)
def test_whole_days_are_calendar_days_and_the_rest_is_exact(
    base: str, delay: timedelta, local: ZoneInfo, expected: str
) -> None:
    assert add_delay(utc(base), delay, local) == utc(expected)


@given(strategies.moments, strategies.durations, strategies.zones)
def test_a_delay_is_never_cut_short_on_the_wall(base: datetime, delay: timedelta, local: ZoneInfo) -> None:
    days, rest = divmod(delay, DAY)
    due = add_delay(base, delay, local)
    assert due.tzinfo is UTC
    if not days:
        assert due == base + rest  # exact
        return
    wanted, got = wall_clock(base, local) + days * DAY, wall_clock(due - rest, local)
    assert got >= wanted
    # Moved forward only where the clocks never showed the time, and then by the gap.
    assert got == wanted or not any(
        wall_clock(due - rest - minutes * MINUTE, local) == wanted for minutes in range(1500)
    )


@given(strategies.moments, strategies.durations, st.sampled_from(STEADY))
def test_a_delay_is_exact_where_the_clocks_never_change(base: datetime, delay: timedelta, local: ZoneInfo) -> None:
    assert add_delay(base, delay, local) == base + delay


@given(strategies.moments, st.data(), st.sampled_from(STEADY), st.none() | strategies.clock_times)
def test_later_bases_and_longer_delays_are_due_later_where_the_clocks_never_change(
    base: datetime, data: st.DataObject, local: ZoneInfo, at: time | None
) -> None:
    sequence = Sequence("s", "S", send_window=data.draw(st.none() | strategies.windows))
    delays = sorted([data.draw(strategies.durations), data.draw(strategies.durations)])
    shorter, longer = (Step("a", delay, at=at) for delay in delays)
    first = due_at(shorter, sequence, base=base, local=local)
    assert first <= due_at(longer, sequence, base=base, local=local)
    assert first <= due_at(shorter, sequence, base=base + data.draw(strategies.durations), local=local)


@given(
    st.integers(0, to_milliseconds(LAST)).map(from_milliseconds),
    strategies.durations,
    strategies.zones,
    st.none() | strategies.clock_times,
    st.none() | strategies.windows,
)
@example(utc("9999-12-31T23:59"), LONGEST, ZoneInfo("Pacific/Kiritimati"), time(9), SendWindow())
@example(utc("9999-12-31T23:59"), timedelta(0), ZoneInfo("Pacific/Kiritimati"), time(9), SendWindow())
@example(utc("9999-12-31T23:59"), DAY, ZoneInfo("Pacific/Pago_Pago"), None, None)
def test_nothing_is_due_after_the_end_of_the_calendar(
    base: datetime, delay: timedelta, local: ZoneInfo, at: time | None, hours: SendWindow | None
) -> None:
    due = due_at(Step("a", delay, at=at, send_window=hours), Sequence("s", "S"), base=base, local=local)
    assert due.tzinfo is UTC
    assert due.year <= 9999


def test_what_a_delay_counts_from() -> None:
    start, before = utc("2026-01-01"), utc("2026-01-05")
    sequence = Sequence("s", "S")
    assert base_of(sequence, origin=start, previous=before) == before
    assert base_of(sequence, origin=start, previous=None) == start
    from_start = Sequence("s", "S", delay_from=DelayFrom.START)
    assert base_of(from_start, origin=start, previous=before) == start


@pytest.mark.parametrize(
    ("moment", "at", "local", "expected"),
    [
        ("2026-06-01T07:00", "10:00", MADRID, "2026-06-01T08:00"),  # 09:00 CEST: today
        ("2026-06-01T08:00", "10:00", MADRID, "2026-06-01T08:00"),  # 10:00 sharp: now
        ("2026-06-01T08:00:01", "10:00", MADRID, "2026-06-02T08:00"),  # a second late: tomorrow
        ("2026-03-28T10:00", "10:00", MADRID, "2026-03-29T08:00"),  # 21 hours of wait, 22 on the wall
        ("2026-03-08T05:00", "02:30", NEW_YORK, "2026-03-08T07:30"),  # in the gap: 03:30 EDT
        ("2026-03-08T07:10", "02:30", NEW_YORK, "2026-03-08T07:30"),  # asked for after the gap: the same
        ("2026-11-01T04:00", "01:30", NEW_YORK, "2026-11-01T05:30"),  # twice: the first
        ("2026-11-01T05:31", "01:30", NEW_YORK, "2026-11-02T06:30"),  # the first is over: tomorrow
        ("2026-10-03T14:00", "02:15", LORD_HOWE, "2026-10-03T15:45"),  # 02:15 of 4 October becomes 02:45 +11
        ("2026-03-28T21:00", "00:00", BEIRUT, "2026-03-28T22:00"),  # midnight does not exist: 01:00 +03
        # Nuuk's 30 March 2024 ends at 23:00: its 23:45 is 00:45 of the 31st, at -1.
        ("2024-03-31T01:42", "23:45", ZoneInfo("America/Nuuk"), "2024-03-31T01:45"),
        ("2011-12-29T21:00", "10:00", APIA, "2011-12-30T20:00"),  # 29 December 11:00; the next 10:00 is on the 31st
        ("2026-06-01T23:30", "00:00", ZoneInfo("Pacific/Kiritimati"), "2026-06-02T10:00"),
    ],
)
def test_at_is_the_next_time_the_clocks_show_it(moment: str, at: str, local: ZoneInfo, expected: str) -> None:
    assert next_clock_time(utc(moment), clock(at), local) == utc(expected)


@given(strategies.moments, strategies.clock_times, strategies.zones)
def test_at_comes_within_two_days_and_shows_itself_or_lies_in_a_gap(
    moment: datetime, at: time, local: ZoneInfo
) -> None:
    due = next_clock_time(moment, at, local)
    assert moment <= due < moment + 2 * DAY
    assert next_clock_time(due, at, local) == due
    shown = wall_clock(due, local)
    if shown.time() != at:
        # In a gap: that day's clocks never showed it.
        missing = datetime.combine(shown.date(), at)
        missing -= DAY * (missing > shown)
        assert missing not in {wall_clock(due - minutes * MINUTE, local) for minutes in range(-60, 26 * 60)}


@pytest.mark.parametrize(
    ("hours", "days", "local", "moment", "expected"),
    [
        # Madrid in June is UTC+2; 1 June 2026 is a Monday.
        ("09:00-18:00", "01234", MADRID, "2026-06-01T06:00", "2026-06-01T07:00"),  # 08:00: opens at 09:00
        ("09:00-18:00", "01234", MADRID, "2026-06-01T07:00", "2026-06-01T07:00"),  # 09:00 is inside
        ("09:00-18:00", "01234", MADRID, "2026-06-01T15:59:59", "2026-06-01T15:59:59"),
        ("09:00-18:00", "01234", MADRID, "2026-06-01T16:00", "2026-06-02T07:00"),  # 18:00 is outside
        ("09:00-18:00", "01234", MADRID, "2026-06-05T16:00", "2026-06-08T07:00"),  # Friday evening: Monday
        ("09:00-18:00", "0", MADRID, "2026-06-01T16:00", "2026-06-08T07:00"),  # a week on
        # Over midnight: Friday's window reaches into Saturday, Saturday has none.
        ("22:00-06:00", "4", MADRID, "2026-06-06T01:00", "2026-06-06T01:00"),  # Saturday 03:00
        ("22:00-06:00", "4", MADRID, "2026-06-06T04:00", "2026-06-12T20:00"),  # Saturday 06:00: next Friday 22:00
        ("22:00-06:00", "4", MADRID, "2026-06-05T01:00", "2026-06-05T20:00"),  # Friday 03:00 is Thursday's night
        # The end of the day, written both ways; the day is the calendar's.
        ("18:00-24:00", "0", MADRID, "2026-06-01T21:59", "2026-06-01T21:59"),  # 23:59
        ("18:00-24:00", "0", MADRID, "2026-06-01T22:00", "2026-06-08T16:00"),  # Tuesday 00:00
        ("18:00-00:00", "0", MADRID, "2026-06-01T22:00", "2026-06-08T16:00"),
        ("00:00-24:00", "5", MADRID, "2026-06-01T22:00", "2026-06-05T22:00"),  # Saturday from its midnight
        ("09:00-09:00", "0", MADRID, "2026-06-02T06:59", "2026-06-02T06:59"),  # a whole day from 09:00
        ("09:00-09:00", "0", MADRID, "2026-06-02T07:00", "2026-06-08T07:00"),
        # The opening lies in spring's gap (29 March, 02:00 becomes 03:00 at 01:00 UTC): open as the clocks jump in.
        ("02:30-04:00", "0123456", MADRID, "2026-03-29T00:59", "2026-03-29T01:00"),
        ("02:30-03:10", "0123456", MADRID, "2026-03-29T00:59", "2026-03-29T01:00"),
        # The closing lies in the gap: closed as the clocks jump out; next on the 30th, now UTC+2.
        ("01:00-02:30", "0123456", MADRID, "2026-03-29T01:00", "2026-03-29T23:00"),
        # All of it lies in the gap: that day has none.
        ("02:00-02:30", "0123456", MADRID, "2026-03-29T00:00", "2026-03-30T00:00"),
        ("02:00-03:00", "6", MADRID, "2026-03-23T12:00", "2026-04-05T00:00"),  # Sundays only: two weeks on
        # Autumn (25 October, 03:00 becomes 02:00 at 01:00 UTC): the first opening, and again if it is shown again.
        ("02:15-02:45", "0123456", MADRID, "2026-10-24T23:00", "2026-10-25T00:15"),
        ("02:15-02:45", "0123456", MADRID, "2026-10-25T00:45", "2026-10-25T01:15"),
        ("02:15-02:45", "0123456", MADRID, "2026-10-25T01:45", "2026-10-26T01:15"),
        ("01:30-02:30", "0123456", MADRID, "2026-10-25T00:45", "2026-10-25T01:00"),  # the clocks jump back in
        # Beirut's 29 March 2026 begins at 01:00 (22:00 UTC).
        ("00:00-24:00", "6", BEIRUT, "2026-03-28T12:00", "2026-03-28T22:00"),
        ("00:30-09:00", "6", BEIRUT, "2026-03-28T12:00", "2026-03-28T22:00"),
        # Lord Howe's half hour: 4 October 2026, 02:00 becomes 02:30 at 15:30 UTC.
        ("02:10-02:20", "6", LORD_HOWE, "2026-10-03T12:00", "2026-10-10T15:10"),
        ("02:10-02:40", "6", LORD_HOWE, "2026-10-03T12:00", "2026-10-03T15:30"),
        # Apia had no Friday 30 December 2011; Friday 6 January 09:00 +14 is Thursday 19:00 UTC.
        ("09:00-18:00", "4", APIA, "2011-12-29T22:00", "2012-01-05T19:00"),
        ("09:00-18:00", "5", APIA, "2011-12-29T22:00", "2011-12-30T19:00"),
    ],
)
def test_a_window_opens_next_at(hours: str, days: str, local: ZoneInfo, moment: str, expected: str) -> None:
    assert next_open(window(hours, days), utc(moment), local) == utc(expected)
    assert is_open(window(hours, days), utc(moment), local) == (moment == expected)


@given(strategies.windows, strategies.moments, strategies.zones)
def test_a_window_is_open_when_next_open_says_so(hours: SendWindow, moment: datetime, local: ZoneInfo) -> None:
    opens = next_open(hours, moment, local)
    assert moment <= opens <= moment + 15 * DAY  # its only day may have no such hour once
    assert is_open(hours, opens, local)
    assert shows_open(hours, wall_clock(opens, local))
    assert next_open(hours, opens, local) == opens


@given(strategies.windows, strategies.moments, strategies.moments, strategies.zones)
def test_asking_later_never_gives_an_earlier_opening(
    hours: SendWindow, one: datetime, other: datetime, local: ZoneInfo
) -> None:
    earlier, later = sorted((one, other))
    assert next_open(hours, earlier, local) <= next_open(hours, later, local)


HOURS = [
    window(hours, days)
    for hours, days in [
        ("00:00-24:00", "0246"),
        ("09:00-18:00", "01234"),
        ("22:00-06:00", "56"),
        ("02:00-02:30", "0123456"),
        ("01:45-02:15", "0123456"),
        ("02:15-03:10", "0123456"),
        ("23:40-00:20", "0123456"),
        ("00:15-00:45", "456"),
    ]
]


def test_windows_open_as_the_clocks_on_the_wall_show_on_every_day_they_change() -> None:
    # Zones that change alike on the same weekday show the same: what is open then is worked out once.
    known: dict[tuple[SendWindow, int, time, time], list[int]] = {}
    for local, transition in transitions():
        walls = walls_around(transition, local)
        moments, shown = list(walls), list(walls.values())
        # Every ten minutes of the two hours around the change, and every few hours of the days around it.
        asked = [*moments[480 - 13 : 480 + 13 : 2], *moments[::41]]
        for hours in HOURS:
            alike = hours, shown[480].weekday(), shown[479].time(), shown[480].time()
            if alike not in known:
                known[alike] = [index for index, wall in enumerate(shown) if shows_open(hours, wall)]
            openings = known[alike]
            for moment in asked:
                opens = next_open(hours, moment, local)
                place = bisect_left(openings, (moment - moments[0]) // (5 * MINUTE))
                if place < len(openings):
                    assert opens == moments[openings[place]], (local, moment, hours)
                else:
                    assert opens > moments[-1], (local, moment, hours)


def test_at_and_days_follow_the_clocks_on_the_wall_on_every_day_they_change() -> None:
    for local, transition in transitions():
        walls = walls_around(transition, local)
        gap = wall_clock(transition, local) - wall_clock(transition - 5 * MINUTE, local) - 5 * MINUTE
        first_shown = {wall: moment for moment, wall in reversed(walls.items())}

        def expected(wall: datetime) -> datetime:
            return first_shown.get(wall) or first_shown[wall + gap]  # noqa: B023  # used within this round

        for at in (time(0), time(0, 30), time(1, 30), time(2), time(2, 15), time(2, 30), time(3), time(23, 45)):
            for moment in list(walls)[200:560:31]:
                today = datetime.combine(walls[moment].date(), at)
                days = sorted(
                    expected(today + offset * DAY)
                    for offset in (-1, 0, 1)
                    if today + offset * DAY in first_shown or today + offset * DAY + gap in first_shown
                )
                assert next_clock_time(moment, at, local) == next(day for day in days if day >= moment), (local, at)
        for base in list(walls)[120:500:7]:
            assert add_delay(base, DAY + HOUR, local) == expected(walls[base] + DAY) + HOUR, (local, base)


def test_the_model_knows_the_changes_of_seven_years() -> None:
    found = {(transition, wall_clock(transition, local)) for local, transition in transitions()}
    assert (utc("2026-03-29T01:00"), datetime(2026, 3, 29, 3)) in found  # Madrid  # noqa: DTZ001
    assert (utc("2030-11-03T06:00"), datetime(2030, 11, 3, 1)) in found  # New York  # noqa: DTZ001
    assert (utc("2026-10-03T15:30"), datetime(2026, 10, 4, 2, 30)) in found  # Lord Howe  # noqa: DTZ001
    assert (utc("2026-03-28T22:00"), datetime(2026, 3, 29, 1)) in found  # Beirut  # noqa: DTZ001


@pytest.mark.parametrize(
    ("step", "base", "expected"),
    [
        # Friday 27 March 09:30 CET + 3 days: Monday 09:30 CEST, inside.
        (Step("a", 3 * DAY), "2026-03-27T08:30", "2026-03-30T07:30"),
        # + 1 day: Saturday; the window opens on Monday 09:00.
        (Step("a", DAY), "2026-03-27T08:30", "2026-03-30T07:00"),
        # + 1 day, then 20:00 on Saturday, then the window.
        (Step("a", DAY, at=time(20)), "2026-03-27T08:30", "2026-03-30T07:00"),
        (Step("a", DAY, at=time(20), send_window=None), "2026-03-27T08:30", "2026-03-28T19:00"),
        (Step("a", 3 * DAY, at=time(10)), "2026-03-27T08:30", "2026-03-30T08:00"),
        (Step("a", timedelta(0)), "2026-03-27T08:30", "2026-03-27T08:30"),
        (Step("a", DAY, send_window=window("00:00-24:00", "6")), "2026-03-27T08:30", "2026-03-28T23:00"),
    ],
)
def test_a_step_is_due_after_delay_then_at_then_window(step: Step, base: str, expected: str) -> None:
    sequence = Sequence("s", "S", send_window=window("09:00-18:00", "01234"))
    assert due_at(step, sequence, base=utc(base), local=MADRID) == utc(expected)


@given(strategies.steps, strategies.sequences, strategies.moments, strategies.zones)
def test_a_step_is_never_due_early_or_in_a_closed_window(
    step: Step, sequence: Sequence, base: datetime, local: ZoneInfo
) -> None:
    due = due_at(step, sequence, base=base, local=local)
    assert due >= add_delay(base, step.delay, local) >= base
    hours = sequence.window_of(step)
    assert hours is None or shows_open(hours, wall_clock(due, local))
