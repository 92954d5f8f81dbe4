from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drip.core.expectations import SampleSubscriber
from drip.core.sequence import Definition, DelayFrom, SendWindow, Sequence, Step
from drip.core.subscription import SubscriptionStatus
from drip.engine.rehearsal import Answer, Rehearsal, accepted, refused_at_first
from drip.engine.simulate import Calendar, simulate
from drip.store.sqlite import SqliteDatabase
from drip.store.store import Store
from tests.lab import Lab, a_sequence, a_step, open_lab, utc
from tests.strategies import clock_times, windows

WEEKDAYS = SendWindow(frozenset(range(5)), time(9), time(18))
FRIDAY = utc("2026-03-27T08:30")
"""Half past nine in Madrid, two days before its clocks go forward."""


def calendar_of(
    lab: Lab, sequence: Sequence, *, at: datetime = FRIDAY, answer: Answer = accepted, **fields: Any
) -> Calendar:
    store = Store(SqliteDatabase(None))
    subscriber = SampleSubscriber(at=at, variables=fields.pop("variables", {}), timezone=fields.pop("timezone", None))
    with store.opened():
        return simulate(Rehearsal(store, lab.settings, at, answer=answer), Definition(sequence), subscriber, **fields)


def shown(calendar: Calendar) -> list[tuple[str, str, str]]:
    """Step, outcome and local time of each row."""
    return [(row.step, row.outcome, f"{row.at.astimezone(calendar.zone):%m-%d %H:%M}") for row in calendar.rows]


def test_the_example_of_the_manual(lab: Lab) -> None:
    sequence = a_sequence(
        a_step("welcome", subject="Bienvenido a bordo, {{ name }}"),
        a_step("how-is-it-going", "3d"),
        a_step("upgrade", "1w 3d", at=time(10), send_window=None),
        timezone="Europe/Madrid",
        send_window=WEEKDAYS,
    )
    calendar = calendar_of(lab, sequence, variables={"name": "Ada"})
    assert shown(calendar) == [
        ("welcome", "sent", "03-27 09:30"),
        ("how-is-it-going", "sent", "03-30 09:30"),  # three calendar days, although it is 71 hours
        ("upgrade", "sent", "04-09 10:00"),
    ]
    assert calendar.rows[0].subject == "Bienvenido a bordo, Ada"
    assert [row.notes for row in calendar.rows] == [
        (),
        ("2026-03-30 falls in the window", "clocks changed on the 29th"),
        ("moved to 10:00",),
    ]
    assert calendar.status is SubscriptionStatus.COMPLETED
    assert calendar.rows[-1].completed


def test_a_skip_says_which_condition(lab: Lab) -> None:
    sequence = a_sequence(a_step("a"), a_step("b", "1d", when="plan == 'free'"), a_step("c", "1d"))
    row = calendar_of(lab, sequence, variables={"plan": "pro"}).rows[1]
    assert (row.outcome, row.reason, row.detail) == ("skipped", "when", "plan == 'free' is not true")


def test_stop_when_ends_the_calendar(lab: Lab) -> None:
    sequence = a_sequence(a_step("a"), a_step("b", "1d"), stop_when="plan == 'pro'")
    calendar = calendar_of(lab, sequence, variables={"plan": "pro"})
    assert [(row.step, row.outcome, row.reason, row.detail) for row in calendar.rows] == [
        ("a", "cancelled", "stopped", "stop_when: plan == 'pro'")
    ]
    assert calendar.status is SubscriptionStatus.CANCELLED


def test_a_step_that_falls_behind_the_one_before_is_stale(lab: Lab) -> None:
    # from the start: b is due on day 1, but comes after a, which is due on day 10: 9 days late, more than 7
    sequence = a_sequence(a_step("a", "10d"), a_step("b", "1d"), a_step("c", "9d"), delay_from=DelayFrom.START)
    calendar = calendar_of(lab, sequence)
    assert [(row.step, row.outcome, row.reason) for row in calendar.rows] == [
        ("a", "sent", None),
        ("b", "skipped", "stale"),
        ("c", "sent", None),
    ]
    assert calendar.rows[1].detail == "stale: overdue for more than 7d"
    assert calendar.rows[2].notes == ("was due Sun 05 Apr 08:30",)


def test_a_window_moves_a_step_and_says_from_where(lab: Lab) -> None:
    sequence = a_sequence(a_step("a", "1d"), timezone="Europe/Madrid", send_window=WEEKDAYS)
    row = calendar_of(lab, sequence).rows[0]
    assert row.at == utc("2026-03-30T07:00")  # Saturday 09:30 → Monday 09:00, summer time
    assert row.notes == ("Sat 28 Mar 09:30 is outside the window mon-fri 09:00-18:00", "clocks changed on the 29th")


def test_a_late_step_outside_its_window_is_deferred(lab: Lab) -> None:
    # b is due at 10:00 on day 1, a goes out at 20:00 on day 1: b waits for the next morning
    sequence = a_sequence(
        a_step("a", "1d", at=time(20)),
        a_step("b", "0", at=time(10), send_window=SendWindow(opens=time(9), closes=time(18))),
        delay_from=DelayFrom.START,
    )
    calendar = calendar_of(lab, sequence)
    assert shown(calendar) == [
        ("a", "sent", "03-28 20:00"),
        ("b", "deferred", "03-28 20:00"),
        ("b", "sent", "03-29 09:00"),
    ]
    assert calendar.rows[1].detail == "outside the window 09:00-18:00, until Sun 29 Mar 09:00"
    assert calendar.rows[2].notes == ("deferred since Sat 28 Mar 20:00",)


def test_a_time_that_spring_leaves_out(lab: Lab) -> None:
    sequence = a_sequence(a_step("a", "1d", at=time(2, 30)), timezone="Europe/Madrid")
    row = calendar_of(lab, sequence, at=utc("2026-03-28T00:30")).rows[0]
    assert row.at == utc("2026-03-29T01:30")  # 02:30 is not shown that night, 03:30 is
    assert row.notes[0] == "02:30 does not exist on that day, the clocks go forward"


def test_a_subscribers_own_zone_wins(lab: Lab) -> None:
    sequence = a_sequence(a_step("a", "1d", at=time(10)), timezone="Europe/Madrid")
    calendar = calendar_of(lab, sequence, timezone="America/New_York")
    assert calendar.zone.key == "America/New_York"
    assert calendar.rows[0].at == utc("2026-03-28T14:00")


def test_retries_show_as_they_would_happen(lab: Lab) -> None:
    calendar = calendar_of(lab, a_sequence(a_step("a")), answer=refused_at_first(2))
    assert [(row.outcome, row.at - FRIDAY) for row in calendar.rows] == [
        ("deferred", timedelta(0)),
        ("deferred", timedelta(minutes=1)),
        ("sent", timedelta(minutes=4)),  # 1 minute, then 3
    ]
    assert calendar.rows[0].detail == "4.7.1 try again later, until Fri 27 Mar 08:31"


def test_a_server_that_never_takes_it_fails_the_step(lab: Lab) -> None:
    calendar = calendar_of(lab, a_sequence(a_step("a"), a_step("b")), answer=refused_at_first(99))
    assert [row.outcome for row in calendar.rows] == ["deferred"] * 7 + ["failed"]
    assert calendar.status is SubscriptionStatus.FAILED


def test_until_ends_the_calendar_and_tells_what_would_follow(lab: Lab) -> None:
    calendar = calendar_of(lab, a_sequence(a_step("a"), a_step("b", "3d")), until=FRIDAY + timedelta(days=2))
    assert [row.step for row in calendar.rows] == ["a"]
    assert calendar.pending == ("b", FRIDAY + timedelta(days=3))


def test_a_template_that_fails_is_in_the_calendar(lab: Lab) -> None:
    calendar = calendar_of(lab, a_sequence(a_step("a", text="{{ 1 / n }}")), variables={"n": 0})
    assert calendar.rows[0].outcome == "failed"
    assert calendar.rows[0].reason == "render"


def test_a_sequence_without_steps_holds_its_people(lab: Lab) -> None:
    calendar = calendar_of(lab, a_sequence())
    assert (calendar.rows, calendar.status, calendar.pending) == ((), SubscriptionStatus.ACTIVE, None)


def test_nothing_real_is_touched(lab: Lab) -> None:
    before = sorted(path.name for path in lab.folder.iterdir())
    calendar_of(lab, a_sequence(a_step("a")))
    assert sorted(path.name for path in lab.folder.iterdir()) == before
    assert lab.store.sequences.slugs() == []


_delays = st.one_of(st.just(timedelta(0)), st.integers(1, 20 * 24 * 4).map(lambda n: timedelta(minutes=15 * n)))
_optional_windows: st.SearchStrategy[Any] = st.just("inherit") | st.none() | windows


@st.composite
def calendars(draw: st.DrawFn) -> Sequence:
    """Sequences in which everything that moves, skips or holds a step takes part."""
    steps = tuple(
        Step(
            key=f"s{index}",
            delay=draw(_delays),
            subject=f"Subject of s{index}",
            text="Hello",
            at=draw(st.none() | clock_times),
            when=draw(st.sampled_from([None, None, "plan == 'free'", "plan == 'pro'", "1 / 0"])),
            send_window=draw(_optional_windows),
        )
        for index in range(draw(st.integers(1, 5)))
    )
    return a_sequence(
        *steps,
        delay_from=draw(st.sampled_from(DelayFrom)),
        timezone=draw(st.sampled_from([None, "Europe/Madrid", "America/New_York", "Australia/Lord_Howe"])),
        send_window=draw(st.none() | windows),
        stale_after=draw(st.sampled_from(["inherit", None, timedelta(hours=1), timedelta(days=1)])),
        stop_when=draw(st.sampled_from([None, None, None, "plan == 'pro'"])),
    )


_starts = st.sampled_from(["2026-03-25", "2026-03-06", "2026-10-22", "2026-10-01", "2026-07-01"]).flatmap(
    lambda day: st.integers(0, 4 * 24 * 60).map(lambda minutes: utc(f"{day}T00:00") + timedelta(minutes=minutes))
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sequence=calendars(),
    start=_starts,
    plan=st.sampled_from(["free", "pro"]),
    zone=st.sampled_from([None, "Asia/Kathmandu", "Europe/London"]),
)
def test_the_worker_does_what_the_calendar_says(
    sequence: Sequence, start: datetime, plan: str, zone: str | None
) -> None:
    with TemporaryDirectory() as folder, open_lab(Path(folder)) as lab:
        variables: dict[str, Any] = {"plan": plan}
        calendar = calendar_of(lab, sequence, at=start, variables=variables, timezone=zone)
        told = _worked(lab, sequence, start, variables | ({"timezone": zone} if zone else {}))
        assert told == [(row.step, row.outcome, row.reason or "", row.at) for row in calendar.rows]
        person = lab.person("ada@example.com")
        assert person.status is calendar.status


def _worked(lab: Lab, sequence: Sequence, start: datetime, variables: dict[str, Any]) -> list[Any]:
    """What the worker does with a person, its clock moved from moment to moment, and halfway between."""
    lab.now = start
    lab.apply(sequence)
    lab.subscribe("ada@example.com", variables=variables)
    told: list[Any] = []
    for _ in range(100):
        report = lab.tick()
        told += [(fact.step, fact.kind, fact.reason, lab.now) for fact in lab.facts]
        lab.facts.clear()
        if report.next_due_at is None:
            return told
        halfway = lab.now + (report.next_due_at - lab.now) / 2
        if lab.now < halfway < report.next_due_at:
            lab.now = halfway.astimezone(UTC)
            lab.tick()
            assert not lab.facts
        lab.now = report.next_due_at
    raise AssertionError("it does not end")
