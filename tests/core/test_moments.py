from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.moments import (
    EPOCH,
    floor_to_millisecond,
    format_moment,
    from_milliseconds,
    parse_moment,
    to_milliseconds,
)
from tests import strategies


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0019Z", 1),  # rounded down
        ("1970-01-02T00:00+01:00", 82_800_000),  # 86,400,000 less one hour
        ("2026-03-27T09:30+01:00", 1_774_600_200_000),  # 08:30 UTC
        (" 2026-03-27 08:30:00Z\n", 1_774_600_200_000),
        ("20260327T083000Z", 1_774_600_200_000),
    ],
)
def test_iso_8601_is_read_as_utc(text: str, milliseconds: int) -> None:
    assert to_milliseconds(parse_moment(text)) == milliseconds
    assert parse_moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a time"),
        ("tomorrow", "not a time"),
        ("2026-02-30T00:00Z", "not a time"),
        ("2026-03-27\ud800T09:30Z", "not a time"),
        ("2026-03-27T09:30", "add Z for UTC"),
        ("2026-03-27", "add Z for UTC"),
        ("9999-12-31T23:59:59-05:00", "out of range"),
        ("0001-01-01T00:00:00Z", "out of range"),  # no zone has a local time for it
        ("1969-12-31T23:59:59Z", "out of range"),
    ],
)
def test_what_is_no_moment_is_refused_with_a_hint(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_moment(text)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 6, 22, 15, 30, tzinfo=UTC), "2026-06-22T15:30:00.000Z"),
        (datetime(2026, 6, 22, 15, 30, 1, 999_999, tzinfo=UTC), "2026-06-22T15:30:01.999Z"),
        (datetime(2026, 6, 22, 15, 30, tzinfo=timezone(timedelta(hours=2))), "2026-06-22T13:30:00.000Z"),
        (datetime(999, 1, 2, tzinfo=UTC), "0999-01-02T00:00:00.000Z"),  # always four digits: text that sorts
    ],
)
def test_is_written_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert format_moment(moment) == text


def test_naive_times_are_refused_everywhere() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for use in (to_milliseconds, floor_to_millisecond, format_moment):
        with pytest.raises(ValueError, match="no zone"):
            use(naive)


@given(strategies.moments)
def test_text_and_milliseconds_round_trip(moment: datetime) -> None:
    assert parse_moment(format_moment(moment)) == moment
    assert from_milliseconds(to_milliseconds(moment)) == moment


@given(st.datetimes(timezones=st.just(UTC)))
def test_flooring_loses_less_than_a_millisecond_and_keeps_order(moment: datetime) -> None:
    floored = floor_to_millisecond(moment)
    assert timedelta(0) <= moment - floored < timedelta(milliseconds=1)
    assert floor_to_millisecond(floored) == floored
    assert (format_moment(moment) <= format_moment(EPOCH)) == (to_milliseconds(moment) <= 0)


@given(st.text(alphabet="0123456789-:TZ+. W", max_size=30) | st.text(max_size=30))
def test_any_text_is_a_moment_or_a_value_error(text: str) -> None:
    try:
        assert parse_moment(text) >= EPOCH
    except ValueError:
        return
