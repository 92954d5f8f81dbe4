"""Many people in one sequence."""

from __future__ import annotations

from tests.lab import Lab, a_sequence, a_step


def crowd(lab: Lab, count: int) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.crowd(count)


def owned(lab: Lab) -> int:
    return int(lab.store.database.value("SELECT COUNT(*) FROM subscription WHERE owner IS NOT NULL"))
