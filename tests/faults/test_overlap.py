"""Runs that overlap, and one that is large: each message once, by the server's own count."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.trial import a_trial

pytestmark = pytest.mark.slow


def test_four_workers_started_at_once_send_each_message_once(tmp_path: Path) -> None:
    with a_trial(tmp_path / "trial", due=600) as trial:
        workers = [trial.start() for _ in range(4)]
        for worker in workers:
            _, errors = worker.communicate(timeout=120)
            assert worker.returncode == 0, errors.decode()
        books = trial.books()
    assert (books.twice, books.lost, books.unknown) == ([], 0, frozenset())


def test_ten_thousand_due_go_out_in_one_run(tmp_path: Path) -> None:
    with a_trial(tmp_path / "trial", due=10_000) as trial:
        with trial.start() as worker:
            _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors.decode()
        books = trial.books()
    assert (books.twice, books.lost, books.unknown) == ([], 0, frozenset())
    assert sum(books.accepted.values()) == 10_000
