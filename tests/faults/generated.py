"""Hypothesis inside of a trial: so many examples from the trial's own seed, and the first that fails in words."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.faults.registry import Case

LONGEST = 300
"""Characters of an example that are told."""


def falsified(case: Case, examples: int, check: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> list[str]:
    """What `check` raised for one of the examples, in a list; empty when it never did."""
    seen: list[tuple[Any, ...]] = []

    def keep(values: tuple[Any, ...]) -> None:
        seen[:] = [values]
        check(*values)

    run = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )(given(st.tuples(*strategies))(keep))
    try:
        seed(case.random.getrandbits(64))(run)()
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return [f"{type(error).__name__} {error} in {frame.line!r} for {repr(seen)[:LONGEST]}"]
    return []
