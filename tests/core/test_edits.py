from __future__ import annotations

from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.edits import merge_order, next_step, same_schedule
from drip.core.sequence import DelayFrom, SendWindow, Sequence, Step

keys = st.lists(st.sampled_from("abcdefgh"), unique=True)
histories = st.lists(keys, min_size=1, max_size=5)


def after_edits(edits: list[list[str]]) -> list[str]:
    order: list[str] = []
    for now in edits:
        order = merge_order(order, now)
    return order


@pytest.mark.parametrize(
    ("before", "now", "merged"),
    [
        ("", "abc", "abc"),
        ("abc", "abc", "abc"),
        ("abc", "axbc", "axbc"),  # added
        ("abc", "ac", "abc"),  # removed: keeps its place
        ("abc", "bc", "abc"),
        ("abc", "ab", "abc"),
        ("abcd", "ad", "abcd"),  # two neighbours removed stay in order
        ("abc", "cba", "cba"),  # moved
        ("abc", "ca", "bca"),  # b precedes c, wherever c goes
        ("abc", "axc", "axbc"),  # replaced: who had the old one is past the new one
        ("abc", "", "abc"),
        ("abc", "cab", "cab"),
        ("axbyc", "cba", "ycxba"),  # x precedes b, y precedes c
    ],
)
def test_a_removed_step_keeps_its_place_among_the_others(before: str, now: str, merged: str) -> None:
    assert merge_order(before, now) == list(merged)


@given(histories)
def test_every_key_there_ever_was_is_there_once_and_live_ones_in_their_order(edits: list[list[str]]) -> None:
    order = after_edits(edits)
    assert sorted(order) == sorted({key for now in edits for key in now})
    assert [key for key in order if key in edits[-1]] == edits[-1]


@given(histories)
def test_applying_the_same_again_changes_nothing(edits: list[list[str]]) -> None:
    order = after_edits(edits)
    assert merge_order(order, edits[-1]) == order


@given(keys, st.sets(st.sampled_from("abcdefgh")))
def test_removing_steps_and_bringing_them_back_moves_nobody(before: list[str], removed: set[str]) -> None:
    rest = [key for key in before if key not in removed]
    assert merge_order(before, rest) == before
    assert merge_order(merge_order(before, rest), before) == before


@given(histories)
def test_a_removed_step_keeps_the_neighbour_that_followed_it(edits: list[list[str]]) -> None:
    before, now = after_edits(edits[:-1]), edits[-1]
    order = merge_order(before, now)
    for index, key in enumerate(before):
        if key in now:
            continue
        if index < len(before) - 1:
            assert order[order.index(key) + 1] == before[index + 1]


@pytest.mark.parametrize(
    ("order", "live", "last", "handled", "expected"),
    [
        ("abc", "abc", None, "", "a"),
        ("abc", "abc", "a", "a", "b"),
        ("abc", "abc", "c", "abc", None),
        ("abc", "ac", "a", "a", "c"),  # the step waited for is gone: on to the next
        ("abc", "ac", "b", "ab", "c"),  # the last one handled is gone: its place still counts
        ("abc", "ab", "b", "ab", None),  # completes
        ("axbc", "axbc", "a", "a", "x"),  # a step added before the next is had first
        ("axbc", "axbc", "b", "ab", "c"),  # past it: never
        ("cab", "cab", "a", "a", "b"),  # c was moved before: never
        ("cba", "cba", "a", "a", None),
        ("bca", "bca", "b", "ab", "c"),  # moved, nothing twice
        ("abc", "abc", None, "a", "b"),
        ("", "", None, "", None),
    ],
)
def test_next_is_the_first_after_the_last_handled_that_was_not_had(
    order: str, live: str, last: str | None, handled: str, expected: str | None
) -> None:
    assert next_step(order, live, last=last, handled=handled) == expected


@given(histories, st.data())
def test_through_any_edits_nobody_has_a_step_twice_or_one_that_is_gone(
    edits: list[list[str]], data: st.DataObject
) -> None:
    order: list[str] = []
    had: list[str] = []
    for now in edits:
        order = merge_order(order, now)
        for _ in range(data.draw(st.integers(0, 4))):
            key = next_step(order, now, last=had[-1] if had else None, handled=had)
            if key is None:
                break
            assert key in now
            assert key not in had
            had.append(key)
    if len(edits) == 1:
        assert had == edits[0][: len(had)]


DAY = timedelta(days=1)
HOURS = SendWindow(opens=time(9), closes=time(18))
STEP = Step("a", DAY)
SEQUENCE = Sequence("s", "S", steps=(STEP,))


@pytest.mark.parametrize(
    ("after", "new", "same"),
    [
        (SEQUENCE, STEP, True),
        (SEQUENCE, Step("a", DAY, subject="x", when="y"), True),
        (Sequence("s", "Other", stop_when="x"), STEP, True),
        (SEQUENCE, Step("a", 2 * DAY), False),
        (SEQUENCE, Step("a", DAY, at=time(0)), False),
        (SEQUENCE, Step("a", DAY, send_window=HOURS), False),
        (SEQUENCE, Step("a", DAY, send_window=None), True),  # there was none to inherit
        (Sequence("s", "S", send_window=HOURS), STEP, False),
        (Sequence("s", "S", send_window=HOURS), Step("a", DAY, send_window=None), True),
        (Sequence("s", "S", timezone="Europe/Madrid"), STEP, False),
        (Sequence("s", "S", delay_from=DelayFrom.START), STEP, False),
    ],
)
def test_what_keeps_the_time_of_a_step(after: Sequence, new: Step, same: bool) -> None:
    assert same_schedule(SEQUENCE, after, STEP, new) is same
