"""Runs that overlap, and one that is large: each message once, by the server's own count."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.faults.campaign import apart
from tests.faults.registry import Case, Figures
from tests.faults.trial import a_trial

pytestmark = pytest.mark.slow


def many_at_once(folder: Path, workers: int, due: int) -> tuple[Figures, int]:
    """So many workers started at once; the figures, and how many messages the server has."""
    with a_trial(Case(folder, 0, Random(1)), due=due) as trial:
        children = [trial.start() for _ in range(workers)]
        assert [child.wait(300) for child in children] == [0] * workers, trial.errors.read_text()
        books = trial.books()
    return books.figures(), books.accepted.total()


@pytest.mark.parametrize(("workers", "due"), [(4, 600), (1, 10_000)])
def test_each_message_goes_out_once(tmp_path: Path, workers: int, due: int) -> None:
    figures, accepted = apart(many_at_once, tmp_path, workers, due)
    assert (figures.breaches, figures.unknown, accepted) == ([], 0, due)
