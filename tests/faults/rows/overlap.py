"""Row 5: runs that overlap, wake up late, or are taken for dead."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest.mock import patch

import drip.engine.worker
from drip.core.moments import to_milliseconds
from drip.engine.records import Marked
from drip.engine.worker import Worker
from drip.project import open_project
from drip.store.claims import Claims
from tests.faults.processes import Child, fork
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import Trial, a_trial

DUE = 40
STARTS = 5
"""Of workers in a trial, at least."""
STOPS = 3
"""Of workers in every second trial."""
LONGEST_STOP = 5.0
"""Seconds, in every fortieth trial; in the others it is a tenth of that."""
PATIENCE = 1.0
"""Seconds for others to get on: who is stopped may hold the write lock, and nobody gets on before it wakes."""


def trial(case: Case) -> Figures:
    """Many starts: beside a loop, at once, with a lease that is far too short, and stopped in the middle."""
    kinds = (_beside_a_loop, _short_lease, _all_at_once, _short_lease)
    kind = kinds[case.number % len(kinds)]
    # Who is to be stopped at work has to be at work for a while.
    latency = case.random.choice((0.02, 0.03) if kind is _short_lease else (0.006, 0.01, 0.02))
    connections = case.random.randint(1, 4)
    with a_trial(case, due=DUE, connections=connections, latency=latency) as one:
        figures = kind(one, case)
        one.finish()
        books = one.books()
        figures += books.figures()
        one.look_over(figures)
        one.all_had_one(books, figures)
    return figures


def _beside_a_loop(one: Trial, case: Case) -> Figures:
    """As cron does it, every 100 ms here, over a loop that runs already."""

    def loop() -> None:
        project = open_project(one.folder)
        with project.opened(), project.worker() as worker:
            worker.run_loop(0.01)

    looping = fork(loop, one.errors)
    children = []
    for _ in range(STARTS):
        time.sleep(0.1)
        children.append(one.start())
    _end(one, children)
    looping.kill()
    return Figures(faults=STARTS + 1)


def _all_at_once(one: Trial, case: Case) -> Figures:
    children = [one.start() for _ in range(8)]
    _end(one, children)
    return Figures(faults=len(children))


def _short_lease(one: Trial, case: Case) -> Figures:
    """Everybody takes everybody for dead after 50 ms, while some are stopped as by a closed lid, and one is killed."""

    def before(worker: Worker) -> None:
        vars(drip.engine.worker)["LEASE"] = timedelta(milliseconds=50)
        drip.engine.worker.RENEW_EVERY = 0.02

    random, figures = case.random, Figures()
    children = [one.start(before) for _ in range(STARTS)]
    stopped: list[Child] = []
    longest = LONGEST_STOP if case.number % 40 == 39 else LONGEST_STOP / 10
    for _ in range(STOPS):
        # Whoever comes first claims all: the others have ended, unless the first was taken for dead.
        at_work = [child for child in children if child not in stopped and child.poll() is None]
        if not at_work:
            children.append(one.start(before))
            at_work = children[-1:]
        one.wait_for(one.accepted() + 1, *at_work, seconds=PATIENCE if stopped else math.inf)
        stopped.append(random.choice(at_work))
        figures.kills += stopped[-1].poll() is None
        stopped[-1].signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.05, longest))
    children.append(one.start(before))
    for child in stopped:
        time.sleep(random.random() * 0.1)
        child.signal(signal.SIGCONT)
    figures.kills += random.choice(children).kill()
    _end(one, children)
    figures.faults = len(children)
    return figures


def _end(one: Trial, children: list[Child]) -> None:
    for child in children:
        code = child.wait()
        assert code in (0, 3, -signal.SIGKILL), one.errors.read_text()


UNFENCED = """
    INSERT INTO delivery (subscription_id, step_id, state, attempts, claim, at, revision, content_hash)
    SELECT s.id, ?, 'sending', ?, ?, ?, ?, ? FROM subscription s WHERE s.id = ?
    ON CONFLICT (subscription_id, step_id) DO UPDATE SET state = 'sending', claim = excluded.claim, reason = NULL
"""


@contextmanager
def no_fence() -> Iterator[None]:
    """The mark looks neither at the owner nor at the claim, nor at what became of the delivery meanwhile."""

    def mark(self: Claims, worker_id: int, marked: Sequence[Marked], now: datetime) -> set[int]:
        for one in marked:
            claim = one.claim
            values = (claim.step_id, claim.attempts + 1, claim.number, to_milliseconds(now), one.revision)
            self._database.run(UNFENCED, *values, one.content_hash, claim.subscription_id)
        return {one.claim.subscription_id for one in marked}

    with patch.object(Claims, "mark", mark):
        yield


ROWS = [
    Row(
        number=5,
        promise="Overlapping runs are harmless",
        fault="starts every 100 ms beside a loop; 8 at once; a lease of 50 ms with SIGSTOP for up to 5 s, and kill -9",
        ci=50,
        release=500,
        unit="stops, each with four starts",
        per_trial=1.25,  # three in every second trial, of which some have ended before
        trial=trial,
        databases=("sqlite", "postgresql"),
        control=Control("marks without the fence", no_fence, within=24, shows="mailed twice"),
    )
]
