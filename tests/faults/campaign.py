"""Runs rows: trials side by side in processes, each in a folder of its own, then the control of each row."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import multiprocessing
import os
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any, ParamSpec, TypeVar

from tests.faults.processes import end_with_the_parent, processor_seconds
from tests.faults.registry import LENIENCE, Case, Control, Figures, Row, Trial
from tests.faults.rows import ROWS
from tests.faults.trial import forget, share

P = ParamSpec("P")
T = TypeVar("T")

PROCESSORS = os.cpu_count() or 1
JOBS = 4 * PROCESSORS
"""More than there are processors, as trials wait for servers half of the time."""
MOST_BREACHES = 20
"""Told per row; more say nothing new."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    rows: tuple[Row, ...]
    trials: str | int
    """`ci`, `release` or a number for each row."""
    seeds: tuple[str, ...]
    """Trials take them in turn."""
    jobs: int = JOBS
    """Processes that run trials."""
    databases: tuple[str, ...] = ()
    """None are those that each row is promised on."""
    only: int | None = None
    """The number of the one trial to run; None runs them all."""
    controls: bool = True


@dataclass(slots=True)
class Outcome:
    """What one row showed on one database."""

    row: Row
    database: str
    figures: Figures = field(default_factory=Figures)
    caught_after: list[int] = field(default_factory=list)
    """Trials after which each control was caught, of those that were."""
    missed: list[Control] = field(default_factory=list)
    """Controls that were tried and not caught: the row proves nothing."""

    @property
    def passed(self) -> bool:
        """Whether the promise was kept, and the row is one that would have seen it broken."""
        return not self.figures.breaches and not self.missed


def run(
    plan: Plan,
    pool: Executor,
    told: Callable[[Outcome], None] = lambda outcome: None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Outcome]:
    """Run a plan in a pool of so many jobs.

    Args:
        told: is called for each row when it is done, in their order.
        progress: is called, in another thread, when one more of so many parts is done.
    """
    works = [
        _Work(row, database, plan)
        for row in plan.rows
        for database in plan.databases or row.promised
        if database in row.databases
    ]
    shared: dict[tuple[Trial, str], _Work] = {}
    for work in works:
        work.trials_of(shared.setdefault((work.row.trial, work.database), work))
    # A part of each row in turn: some rows wait and others compute, and side by side no processor is idle.
    for submit in (one for turn in zip_longest(*(work.parts(pool) for work in works)) for one in turn if one):
        submit()
    handed_in = [future for work in works for future in work.futures]
    for future in handed_in:
        future.add_done_callback(lambda _: progress(sum(one.done() for one in handed_in), len(handed_in)))
    return [work.gather(told) for work in works]


class _Work:
    """One row on one database, in parts."""

    def __init__(self, row: Row, database: str, plan: Plan) -> None:
        self.row = row
        self.database = database
        self._plan = plan
        self._trials_of = self
        self._trials: list[Future[Figures]] = []
        self._controls: list[Future[int | None]] = []

    def trials_of(self, other: _Work) -> None:
        """Its trials are those of another row, which may be itself."""
        self._trials_of = other

    def parts(self, pool: Executor) -> Sequence[Callable[[], None]]:
        """What hands in its parts: controls first, as they take longer and can't be shared out."""
        plan, row = self._plan, self.row
        controls = [
            partial(self._hand_in, pool, self._controls, run_control, row.number, place, plan.seeds[0], self.database)
            for place in range(len(row.controls) if plan.controls else 0)
        ]
        if self._trials_of is not self:
            return controls
        numbers = range(row.trials(plan.trials)) if plan.only is None else [plan.only]
        # Small parts, so that the processes end together.
        size = max(1, min(25, len(numbers) // (plan.jobs * 4)))
        parts = [list(numbers[start : start + size]) for start in range(0, len(numbers), size)]
        return controls + [
            partial(self._hand_in, pool, self._trials, run_trials, row.number, part, plan.seeds, self.database)
            for part in parts
        ]

    def _hand_in(self, pool: Executor, into: list[Future[T]], work: Callable[..., T], *arguments: object) -> None:
        into.append(pool.submit(work, *arguments))

    @property
    def futures(self) -> list[Future[Any]]:
        """All that it handed in."""
        return [*self._trials, *self._controls]

    def gather(self, told: Callable[[Outcome], None]) -> Outcome:
        """What it showed, when all is done."""
        outcome = Outcome(self.row, self.database)
        for future in self._trials_of._trials:
            outcome.figures += future.result()
        outcome.figures.breaches += self.row.judged(outcome.figures)
        for control, caught in zip(self.row.controls, self._controls, strict=False):
            if (after := caught.result()) is None:
                outcome.missed.append(control)
            else:
                outcome.caught_after.append(after)
        told(outcome)
        return outcome


@contextlib.contextmanager
def a_pool(jobs: int) -> Iterator[Executor]:
    """Processes that have no threads and may fork."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with (
        tempfile.TemporaryDirectory(prefix="drip-campaign-") as shared,
        ProcessPoolExecutor(jobs, context, initializer=_warm_up, initargs=(Path(shared),)) as pool,
    ):
        yield pool


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns, in a process of its own that has no threads and may fork."""
    with a_pool(1) as pool:
        return pool.submit(work, *args, **kwargs).result()


def run_trials(number: int, numbers: Sequence[int], seeds: Sequence[str], database: str) -> Figures:
    """Some trials of a row, one after the other, in this process."""
    row, figures = ROWS[number], Figures()
    for trial in numbers:
        seed = seeds[trial % len(seeds)]
        found = run_trial(row.trial, number, trial, seed, database)
        found.breaches = [f"trial {trial}, seed {seed}: {breach}" for breach in found.breaches]
        figures += found
    figures.breaches = figures.breaches[:MOST_BREACHES]
    return figures


def run_control(number: int, place: int, seed: str, database: str) -> int | None:
    """Run trials under the patch of a control until a breach says what it must; after how many that was."""
    row = ROWS[number]
    control: Control = row.controls[place]
    figures = Figures()
    with control.patch():
        for trial in range(control.within * LENIENCE):
            figures += run_trial(control.trial or row.trial, number, trial, f"{seed}/control", database)
            if any(control.shows in breach for breach in [*figures.breaches, *row.judged(figures)]):
                return trial + 1
    return None


def run_trial(trial: Trial, row: int, number: int, seed: str, database: str) -> Figures:
    """One trial; what it raises is a breach."""
    before = processor_seconds()
    with _folder() as folder, contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            figures = trial(Case(folder, number, Random(f"{seed}/{row}/{number}"), database))
        except Exception:
            text = traceback.format_exc()
            figures = Figures(trials=1, breaches=[f"raised: {text.strip().splitlines()[-1]}\n{text}{said.getvalue()}"])
    figures.seconds += processor_seconds() - before
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # a fork costs by the pages that its parent holds
    return figures


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder, in memory where the system has such a place: processes are killed here, not machines."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="drip-trial-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        forget(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _warm_up(shared: Path) -> None:
    """Import what the forked processes need, once; what is there by then is not looked through for garbage again."""
    end_with_the_parent()
    share(shared)
    warnings.simplefilter("error")
    for name in _NEEDED:
        import_module(name)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)  # as drip itself


_NEEDED = (
    *("drip.cli.main", "drip.cli.sending.crew", "drip.cli.sending.passes", "drip.cli.sending.running"),
    *("drip.cli.sending.suppressions", "drip.cli.sending.telling", "drip.cli.sending.unknown", "drip.cli.stopping"),
    *("drip.cli.usage", "drip.engine.compose", "drip.engine.restore", "drip.engine.worker", "drip.transport.smtp"),
    *("drip.transport.wire", "encodings.ascii"),
)
