"""Row 17: sequences that are edited while people are in them and messages are on their way."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine.ledger import Ledger
from drip.engine.results import Fact, Result
from tests.engine import test_plan_properties as edits
from tests.faults.registry import Case, Control, Figures, Row

EXAMPLES = 20
"""Sequences that are edited one to four times, in a trial."""


def trial(case: Case) -> Figures:
    """Steps added, moved, renamed, removed, delayed; sequences archived; a dozen people anywhere in them."""
    figures = Figures(trials=1, faults=EXAMPLES, checked=EXAMPLES)
    sent: dict[Ledger, Counter[tuple[int, int]]] = {}
    record = Ledger.record

    def noted(self: Ledger, results: Sequence[Result], now: datetime) -> list[Fact]:
        got = sent.setdefault(self, Counter())
        for one in results:
            if isinstance(one.outcome, Outcome) and one.outcome.kind is OutcomeKind.SENT:
                got[one.claim.subscription_id, one.claim.step_id] += 1
        return record(self, results, now)

    with patch.object(Ledger, "record", noted):
        try:
            _edited(case)()
        except AssertionError as error:
            foretold = edits.check_edit.__name__ in traceback.format_exc()
            what = "the result is not what the plan foretold" if foretold else "illegal"
            figures.breaches.append(f"{what}: {str(error)[:300]}")
    repeated = [key for got in sent.values() for key, count in got.items() if count > 1]
    figures.duplicates = len(repeated)
    figures.breach(bool(repeated), f"a step was repeated: {repeated[:3]} (subscription, step)")
    figures.counts["sent"] = sum(got.total() for got in sent.values())
    return figures


def _edited(case: Case) -> Callable[[], None]:
    """The property of plan and apply, from the case's seed."""
    inner = vars(edits.test_what_plan_says_of_each_person_is_what_apply_does)["hypothesis"].inner_test
    property_ = given(
        versions=st.lists(edits.some_sequences(), min_size=2, max_size=5),
        hours=st.lists(st.sampled_from([0, 1, 24, 80, 200]), min_size=5, max_size=5),
        seed=st.integers(0, 2**32),
    )(inner)
    rules = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return seed(case.random.getrandbits(64))(rules(property_))


def it_was_sent(figures: Figures) -> Iterator[str]:
    """People who get nothing show nothing."""
    if figures.counts["sent"] < figures.faults:
        yield f"only {figures.counts['sent']} messages were sent in {figures.faults} runs"


@contextmanager
def nobody_moves() -> Iterator[None]:
    """The steps are changed, and everybody waits for what they waited for."""
    with patch("drip.engine.apply.write_moves", lambda *arguments: None):
        yield


ROWS = [
    Row(
        number=17,
        promise="Editing in flight is predictable",
        fault="steps added, moved, renamed, removed, delayed, windows changed, while messages go out",
        ci=1000,
        release=10_000,
        unit="runs",
        per_trial=EXAMPLES,
        trial=trial,
        judged=it_was_sent,
        control=Control("moves nobody", nobody_moves, within=5, shows="not what the plan foretold"),
    )
]
