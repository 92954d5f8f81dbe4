from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.delivery import GREYLIST_WAIT, RetryRule, breaker_opens, retry_wait

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [
        (1, 1),  # 1 * 3^0
        (2, 3),
        (3, 9),
        (4, 27),
        (5, 81),
        (6, 243),  # 1 * 3^5 = 4 h 3 min
        (7, 360),  # 3^6 = 729, but not longer than six hours
        (8, None),  # eight tries in all
        (9, None),
    ],
)
def test_each_wait_is_three_times_the_one_before(attempts: int, minutes: int | None) -> None:
    expected = None if minutes is None else minutes * MINUTE
    assert retry_wait(RetryRule(), attempts, jitter=0) == expected


@pytest.mark.parametrize(
    ("attempts", "jitter", "seconds"),
    [
        (1, 1.0, 72),  # 60 * 1.2
        (1, -1.0, 48),  # 60 * 0.8
        (3, 0.5, 594),  # 540 * 1.1
        (7, -1.0, 17_280),  # 21,600 * 0.8
        (7, 1.0, 21_600),  # the longest wait stays the longest
    ],
)
def test_jitter_spreads_a_wait_by_a_fifth(attempts: int, jitter: float, seconds: int) -> None:
    assert retry_wait(RetryRule(), attempts, jitter=jitter) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("attempts", "jitter", "minutes"),
    [
        (1, 0.0, 5),  # instead of 1
        (1, -1.0, 5),
        (2, 0.0, 5),  # instead of 3: still greylisted, still five minutes
        (3, 0.0, 9),
    ],
)
def test_greylisting_wants_five_minutes(attempts: int, jitter: float, minutes: int) -> None:
    assert retry_wait(RetryRule(), attempts, jitter=jitter, greylisted=True) == minutes * MINUTE


def test_a_used_up_delivery_is_not_tried_again_for_greylisting() -> None:
    assert retry_wait(RetryRule(attempts=1), 1, jitter=0, greylisted=True) is None


@given(
    rule=st.builds(
        RetryRule,
        attempts=st.integers(1, 500),
        first=st.timedeltas(timedelta(seconds=1), timedelta(days=10)),
        factor=st.floats(1, 1e300),
        longest=st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
    ),
    attempts=st.integers(1, 600),
    jitter=st.floats(-1, 1),
    greylisted=st.booleans(),
)
def test_a_wait_is_bounded_for_any_rule(rule: RetryRule, attempts: int, jitter: float, greylisted: bool) -> None:
    wait = retry_wait(rule, attempts, jitter=jitter, greylisted=greylisted)
    assert (wait is None) == (attempts >= rule.attempts)
    if wait is not None:
        assert min(rule.first, rule.longest) * 0.799 <= wait <= max(rule.longest, GREYLIST_WAIT)
        assert wait >= GREYLIST_WAIT or not greylisted


@pytest.mark.parametrize(
    ("refusals", "handed_over", "opens"),
    [
        (9, 9, False),  # fewer than ten say nothing
        (10, 10, True),
        (10, 33, True),  # 30.3 %
        (10, 34, False),  # 29.4 %
        (12, 40, False),  # 30 % is not more than 30 %
        (13, 40, True),
        (15, 50, False),
        (16, 50, True),
        (16, 1_000_000, True),  # among the last 50
        (0, 0, False),
    ],
)
def test_the_breaker_opens_at_ten_refusals_and_more_than_thirty_percent(
    refusals: int, handed_over: int, opens: bool
) -> None:
    assert breaker_opens(refusals, handed_over) is opens


def test_the_breakers_share_is_exact() -> None:
    for handed_over in range(51):
        for refusals in range(handed_over + 1):
            assert breaker_opens(refusals, handed_over) == (refusals >= 10 and 10 * refusals > 3 * handed_over)
