"""A lease runs out after two minutes without a sign of life, also when the clock was put back meanwhile."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest

from drip.engine.leases import LEASE, has_run_out
from drip.engine.records import Worker
from tests.databases import database_at
from tests.lab import DAY, START, Lab, a_sequence, a_step

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("since", "run_out"),
    [
        (timedelta(0), False),
        (LEASE, False),
        (LEASE + SECOND, True),
        (-LEASE, False),  # put back by so little that it comes to its end soon
        (-LEASE - SECOND, True),
        (-3652 * DAY, True),
    ],
)
def test_a_lease_has_run_out_when_nobody_alive_could_have_it(since: timedelta, run_out: bool) -> None:
    assert has_run_out(Worker(1, "elsewhere", 1, "1", START + LEASE), START + since) is run_out


def test_claims_of_a_worker_that_died_before_the_clock_was_put_back_are_freed(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    with lab.store.transaction():
        dead = lab.store.claims.register("elsewhere", 1, "1", lab.now, lab.now + LEASE)
        lab.store.claims.claim(dead, lab.now, 1)
    database = type(database_at(lab.folder / "drip.db"))
    with patch.object(database, "now", lambda self: START - 365 * DAY):
        assert lab.tick().counts["sent"] == 1
