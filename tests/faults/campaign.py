"""Runs rows: trials side by side in processes, each in a folder of its own, then the control of each row."""

from __future__ import annotations

import contextlib
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
from importlib import import_module
from pathlib import Path
from random import Random
from typing import ParamSpec, TypeVar

from tests.faults.processes import processor_seconds
from tests.faults.registry import LENIENCE, Case, Control, Figures, Row, Trial
from tests.faults.rows import ROWS
from tests.faults.trial import forget, share

P = ParamSpec("P")
T = TypeVar("T")

PROCESSORS = os.cpu_count() or 1
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
    jobs: int = 2 * PROCESSORS
    """Processes that run trials: more than there are processors, as trials wait for servers half of the time."""
    databases: tuple[str, ...] = ("sqlite",)
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


def run(plan: Plan, pool: Executor, told: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """Run a plan in a pool of so many jobs; `told` is called for each row when it is done."""
    return [_gather(*submitted, told) for submitted in _submitted(pool, plan)]


@contextlib.contextmanager
def a_pool(jobs: int) -> Iterator[Executor]:
    """Processes that have no threads and may fork."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="drip-campaign-") as shared,
        ProcessPoolExecutor(jobs, context, initializer=_warm_up, initargs=(Path(shared),)) as pool,
    ):
        yield pool


def _submitted(
    pool: Executor, plan: Plan
) -> Sequence[tuple[Outcome, Sequence[Future[Figures]], Sequence[Future[int | None]]]]:
    submitted = []
    done: dict[tuple[Trial, str], Sequence[Future[Figures]]] = {}
    for database in plan.databases:
        for row in plan.rows:
            if database not in row.databases:
                continue
            # A control takes longer than a part, and can't be shared out.
            controls = [
                pool.submit(run_control, row.number, place, plan.seeds[0], database)
                for place in range(len(row.controls) if plan.controls else 0)
            ]
            key = (row.trial, database)
            if key not in done:
                count = row.trials(plan.trials)
                numbers = range(count) if plan.only is None else [plan.only]
                # Small parts, so that the processes end together.
                size = max(1, min(25, len(numbers) // (plan.jobs * 4) or 1))
                parts = [list(numbers[start : start + size]) for start in range(0, len(numbers), size)]
                done[key] = [pool.submit(run_trials, row.number, part, plan.seeds, database) for part in parts]
            submitted.append((Outcome(row, database), done[key], controls))
    return submitted


def _gather(
    outcome: Outcome,
    trials: Sequence[Future[Figures]],
    controls: Sequence[Future[int | None]],
    told: Callable[[Outcome], None],
) -> Outcome:
    for future in trials:
        outcome.figures += future.result()
    outcome.figures.breaches += outcome.row.judged(outcome.figures)
    for control, caught in zip(outcome.row.controls, controls, strict=False):
        if (after := caught.result()) is None:
            outcome.missed.append(control)
        else:
            outcome.caught_after.append(after)
    told(outcome)
    return outcome


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
    share(shared)
    warnings.simplefilter("error")
    for name in _NEEDED:
        import_module(name)
    gc.collect()
    gc.freeze()


_NEEDED = (
    *("drip.cli.main", "drip.cli.sending.crew", "drip.cli.sending.passes", "drip.cli.sending.running"),
    *("drip.cli.sending.suppressions", "drip.cli.sending.telling", "drip.cli.sending.unknown", "drip.cli.stopping"),
    *("drip.cli.usage", "drip.engine.compose", "drip.engine.restore", "drip.engine.worker", "drip.transport.smtp"),
    *("drip.transport.wire", "encodings.ascii"),
)
