"""Row 29: the store is legal after every trial of the others; the checker that says so finds every kind of damage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from drip.store import invariants
from drip.store.invariants import violations
from tests.faults.registry import Case, Control, Figures, Row
from tests.lab import open_lab
from tests.store.damage import DAMAGE, a_full_store, damage

KINDS = sorted(DAMAGE)


def trial(case: Case) -> Figures:
    """A store with people in every state is well; damaged in one way, that is found."""
    rule = KINDS[case.number % len(KINDS)]
    figures = Figures(trials=1, faults=1, checked=2)
    with open_lab(case.folder) as lab:
        a_full_store(lab)
        before = violations(lab.store.database)
        figures.breach(bool(before), f"found in a store that is well: {before[:3]}")
        damage(lab.store.database, rule)
        found = {violation.rule for violation in violations(lab.store.database)}
        figures.breach(rule not in found, f"not found: {rule}")
    figures.counts[rule] += 1
    return figures


def every_rule_has_its_damage(figures: Figures) -> Iterable[str]:
    """The checker's rules are those that were broken."""
    untried = {*invariants.RULES} - {*figures.counts}
    if untried and figures.trials >= len(KINDS):
        yield f"never broken: {', '.join(sorted(untried))}"


@contextmanager
def a_blind_rule() -> Iterator[None]:
    """One rule of the checker finds nothing."""
    blind = {**invariants.RULES, KINDS[3]: "SELECT 'x' FROM sequence WHERE 1 = 0"}
    with patch.object(invariants, "RULES", blind):
        yield


ROWS = [
    Row(
        number=29,
        promise="The store is always legal",
        fault="each rule of the checker broken by hand; the checker also looks after every trial of the other rows",
        ci=len(KINDS),
        release=len(KINDS) * 4,
        table=len(KINDS),
        trial=trial,
        judged=every_rule_has_its_damage,
        control=Control("a rule that finds nothing", a_blind_rule, within=len(KINDS), shows="not found"),
    )
]
