"""The campaign, as far as CI goes: the left numbers, from one fixed seed and a random one that is printed."""

from __future__ import annotations

import fcntl
import os
import pickle
from pathlib import Path
from random import SystemRandom

import pytest

from tests.faults.__main__ import show
from tests.faults.campaign import Outcome, Plan, a_pool, run
from tests.faults.rows import ROWS

FIXED = "1"
PLACES = [(row.number, database) for row in ROWS.values() for database in row.promised]

Shown = tuple[tuple[str, ...], dict[tuple[int, str], Outcome]]
"""The seeds, and what each row showed on each database."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """What all rows that were asked for showed.

    They run together in one pool, so that no processor waits for the end of a row; where the tests themselves have
    several processes, the first that comes here runs it, and the others wait for what it shows.
    """
    several = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent if several else tmp_path_factory.getbasetemp()
    kept = folder / "campaign.pickle"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            seeds = (FIXED, str(SystemRandom().randrange(1 << 32)))
            plan = Plan(tuple(ROWS[number] for number in _wanted(request.session)), "ci", seeds)
            with a_pool(plan.jobs) as pool:
                outcomes = run(plan, pool)
            part = kept.with_suffix(".part")
            part.write_bytes(pickle.dumps((seeds, {(one.row.number, one.database): one for one in outcomes})))
            part.rename(kept)
    shown: Shown = pickle.loads(kept.read_bytes())
    return shown


def _wanted(session: pytest.Session) -> list[int]:
    """The rows that are left of those in this file when the tests were chosen."""
    chosen = [item for item in session.items if isinstance(item, pytest.Function) and item.path == Path(__file__)]
    places: list[tuple[int, str]] = [item.callspec.params["place"] for item in chosen]  # type: ignore[misc]
    return sorted({number for number, _ in places})


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]}-{place[1]}")
def test_the_promise_is_kept_and_the_row_would_see_it_broken(place: tuple[int, str], campaign: Shown) -> None:
    seeds, outcomes = campaign
    outcome = outcomes[place]
    print(f"seeds {seeds}")
    show(outcome)
    assert outcome.figures.breaches == [], seeds
    assert [missed.build for missed in outcome.missed] == []
    assert outcome.figures.trials >= outcome.row.table
