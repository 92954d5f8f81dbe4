"""The campaign, as far as CI goes: the left numbers, from one fixed seed and a random one that is printed."""

from __future__ import annotations

from random import SystemRandom

import pytest

from tests.faults.__main__ import show
from tests.faults.campaign import Plan, run
from tests.faults.rows import ROWS

FIXED = "1"
GROUPS = sorted({tuple(row.number for row in ROWS.values() if row.trial is one.trial) for one in ROWS.values()})
"""Rows that share their trials run together."""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("numbers", GROUPS, ids=lambda numbers: "-".join(map(str, numbers)))
def test_the_promise_is_kept_and_the_row_would_see_it_broken(numbers: tuple[int, ...]) -> None:
    seeds = (FIXED, str(SystemRandom().randrange(1 << 32)))
    print(f"seeds {seeds}")
    outcomes = run(Plan(tuple(ROWS[number] for number in numbers), "ci", seeds, jobs=1), show)
    for outcome in outcomes:
        assert outcome.figures.breaches == [], seeds
        assert [missed.build for missed in outcome.missed] == []
        assert outcome.figures.trials >= outcome.row.table
