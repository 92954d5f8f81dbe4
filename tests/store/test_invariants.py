"""The checker finds every kind of damage: one seeded violation for each rule, and none in a store that is well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.store.invariants import RULES, violations
from tests.lab import Lab, open_lab
from tests.store.damage import DAMAGE, a_full_store, damage


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_lab(tmp_path) as lab:
        a_full_store(lab)
        yield lab


def test_a_store_with_people_in_every_state_is_well(lab: Lab) -> None:
    states = {status for (status,) in lab.store.database.rows("SELECT DISTINCT status FROM subscription")}
    deliveries = {state for (state,) in lab.store.database.rows("SELECT DISTINCT state FROM delivery")}
    assert states == {"active", "paused", "completed", "cancelled", "failed"}
    assert deliveries == {"sent", "skipped", "deferred", "unknown", "failed"}
    assert violations(lab.store.database) == []


@pytest.mark.parametrize(
    "rule",
    [
        # What PostgreSQL does not let anybody do.
        pytest.param(rule, marks=pytest.mark.sqlite) if statements[0].startswith("PRAGMA") else rule
        for rule, statements in DAMAGE.items()
    ],
)
def test_damage_of_each_kind_is_found(lab: Lab, rule: str) -> None:
    damage(lab.store.database, rule)
    assert rule in {violation.rule for violation in violations(lab.store.database)}


def test_every_rule_has_its_damage() -> None:
    assert set(DAMAGE) == {*RULES, "references lead somewhere"}
