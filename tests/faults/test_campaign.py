"""The campaign, as far as CI goes: the left numbers, from one fixed seed and a random one that is printed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from random import SystemRandom

import pytest

from tests.faults.__main__ import show
from tests.faults.campaign import Plan, a_pool, run
from tests.faults.rows import ROWS

FIXED = "1"
JOBS = 2
"""In each process of the test runner, of which there is one for a processor: trials wait half of the time."""
GROUPS = sorted({tuple(row.number for row in ROWS.values() if row.trial is one.trial) for one in ROWS.values()})
"""Rows that share their trials run together."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with a_pool(JOBS) as made:
        yield made


@pytest.mark.parametrize("numbers", GROUPS, ids=lambda numbers: "-".join(map(str, numbers)))
def test_the_promise_is_kept_and_the_row_would_see_it_broken(numbers: tuple[int, ...], pool: Executor) -> None:
    seeds = (FIXED, str(SystemRandom().randrange(1 << 32)))
    print(f"seeds {seeds}")
    outcomes = run(Plan(tuple(ROWS[number] for number in numbers), "ci", seeds, jobs=JOBS), pool, show)
    for outcome in outcomes:
        assert outcome.figures.breaches == [], seeds
        assert [missed.build for missed in outcome.missed] == []
        assert outcome.figures.trials >= outcome.row.table
