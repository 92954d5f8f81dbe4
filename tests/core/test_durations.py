from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.durations import LONGEST, format_duration, parse_duration
from tests import strategies


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 0 ", 0),
        ("0s", 0),
        ("45s", 45),
        ("30m", 1_800),  # 30 * 60
        ("36h", 129_600),  # 36 * 3,600
        ("3d", 259_200),  # 3 * 86,400
        ("2w", 1_209_600),  # 14 * 86,400
        ("1d 12h", 129_600),  # 86,400 + 43,200
        ("1d12h", 129_600),
        (" 1w  2d ", 777_600),  # 9 * 86,400
        ("1d 1d", 172_800),
        ("5 m", 300),
        ("P3DT12H", 302_400),  # 3.5 * 86,400
        ("P1W", 604_800),
        ("PT90S", 90),
        ("PT1H30M", 5_400),
        ("P0D", 0),
        ("3650d", 315_360_000),  # 3,650 * 86,400
    ],
)
def test_reads_sums_and_iso_8601(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a duration"),
        ("d", "not a duration"),
        ("3 days", "not a duration"),
        ("3D", "not a duration"),
        ("1.5d", "not a duration"),
        ("-1d", "not a duration"),
        ("1d, 2h", "not a duration"),
        ("P", "not a duration"),
        ("PT", "not a duration"),
        ("P1DT", "not a duration"),
        ("P1M", "not a duration"),  # a month has no one length
        ("P1Y", "not a duration"),
        ("-P1D", "not a duration"),
        ("1h\x00", "not a duration"),
        ("٣d", "not a duration"),  # digits are ASCII
        ("3", "write 3s, 3m, 3h or 3d"),
        ("90", "write 90s, 90m, 90h or 90d"),
        ("-5", "not a duration"),  # -5d would be none either
        ("0.5", "not a duration"),
        ("3650d 1s", "longer than ten years"),
        ("999999999w", "longer than ten years"),  # more than a timedelta holds
        ("999999999d 999999999d", "longer than ten years"),
        ("P999999999W", "longer than ten years"),
        ("10000000000s", "longer than ten years"),
    ],
)
def test_refuses_and_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_duration(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "0"),
        (timedelta(seconds=45), "45s"),
        (timedelta(hours=36), "1d 12h"),
        (timedelta(weeks=1, days=2), "9d"),
        (timedelta(days=1, seconds=1), "1d 1s"),
        (timedelta(hours=2, minutes=5, seconds=7), "2h 5m 7s"),
        (timedelta(milliseconds=400), "0"),
        (timedelta(milliseconds=600), "1s"),
        (timedelta(hours=-1, minutes=-30), "-1h 30m"),
    ],
)
def test_is_written_in_days_hours_minutes_and_seconds(length: timedelta, text: str) -> None:
    assert format_duration(length) == text


@given(strategies.durations)
def test_what_is_written_reads_back_as_the_same_length(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


@given(st.text(alphabet="0123456789wdhmsPT -.٣", max_size=24) | st.text())
def test_any_text_is_a_bounded_duration_or_a_value_error(text: str) -> None:
    try:
        length = parse_duration(text)
    except ValueError:
        return
    assert timedelta(0) <= length <= LONGEST


def test_an_endless_text_is_refused_at_once() -> None:
    for text in ("1d" * 100_000, " " * 100_000 + "x", "9" * 100_000):
        with pytest.raises(ValueError, match=r"duration|longer"):
            parse_duration(text)
