"""`python -m tests.faults [ROW]…`: the campaign, a line for each row; exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import sys
import time
from random import SystemRandom

import drip
from tests.faults.campaign import JOBS, Outcome, Plan, a_pool, run
from tests.faults.registry import LENIENCE
from tests.faults.rows import ROWS

COLUMNS = ("row", "promise", "trials", "kills", "faults", "twice", "unknown", "had", "lost", "cpu s", "control", "")
NOT_TRIED = "not tried"
"""How counts begin that a reader must know of."""
_DATABASES = "each row's own by default: sqlite, and postgresql too for those that promise something of it"
WIDTHS = (3, 58, 7, 6, 8, 6, 8, 6, 5, 8, 9, 6)


def main() -> int:
    """Run what was asked for."""
    arguments = _parser().parse_args()
    seeds = (arguments.seed,) if arguments.seed else ("1", str(SystemRandom().randrange(1 << 32)))
    rows = tuple(ROWS[number] for number in arguments.rows or sorted(ROWS))
    databases = tuple(arguments.database or [])
    print(f"drip {drip.__version__}, trials {arguments.trials}, seed {' and '.join(seeds)}")
    _line(*COLUMNS)
    begun = time.monotonic()
    plan = Plan(
        *(rows, arguments.trials, seeds, arguments.jobs, databases, arguments.only),
        controls=not arguments.no_controls,
    )
    with a_pool(plan.jobs) as pool:
        outcomes = run(plan, pool, _told, _progress)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    print(f"{len(outcomes)} rows in {time.monotonic() - begun:.0f} s, {len(failed)} failed")
    return 1 if failed else 0


def show(outcome: Outcome) -> None:
    """A row of the table, and what is wrong below it."""
    row, figures = outcome.row, outcome.figures
    caught = ", ".join(map(str, outcome.caught_after))
    control = "MISSED" if outcome.missed else f"after {caught}" if caught else "-"
    promise = row.promise + (f" ({outcome.database})" if outcome.database != "sqlite" else "")
    _line(
        *(row.number, promise, figures.trials, figures.kills, figures.faults, figures.duplicates, figures.unknown),
        *(figures.unknown_had, figures.lost, f"{figures.seconds:.0f}", control, "ok" if outcome.passed else "FAILED"),
    )
    for breach in figures.breaches:
        print(f"      {breach}")
    for missed in outcome.missed:
        print(f"      a control was not caught in {missed.within * LENIENCE} trials: {missed.build}")
    for what, times in outcome.figures.counts.items():
        if what.startswith(NOT_TRIED):
            print(f"      {what} ({times} trials)")
    sys.stdout.flush()


_CLEAR = "\r\033[K"


def _progress(done: int, of: int) -> None:
    """For who looks on: all rows go on together, so that the first is done late."""
    if sys.stderr.isatty():
        print(f"{_CLEAR}{done} of {of} parts" if done < of else _CLEAR, end="", file=sys.stderr, flush=True)


def _told(outcome: Outcome) -> None:
    if sys.stderr.isatty():
        print(_CLEAR, end="", file=sys.stderr, flush=True)
    show(outcome)


def _line(*cells: object) -> None:
    texts = [
        str(cell)[:width].ljust(width) if place in (1, 11) else str(cell).rjust(width)
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    print(" ".join(texts).rstrip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", type=_row, metavar="ROW", help="all when none is given")
    parser.add_argument("--trials", type=_trials, default="ci", help="ci, release, or a number for each row")
    parser.add_argument("--seed", help="one seed for all trials; else a fixed and a random one, in turn")
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"], help=_DATABASES)
    parser.add_argument("--jobs", type=int, default=JOBS, help="processes at work; %(default)s")
    parser.add_argument("--only", type=int, metavar="N", help="only the trial of that number")
    parser.add_argument("--no-controls", action="store_true", help="faster; the rows prove less")
    return parser


def _row(text: str) -> int:
    if not text.isdigit() or int(text) not in ROWS:
        raise argparse.ArgumentTypeError(f"there is no row {text!r}: {min(ROWS)} to {max(ROWS)}")
    return int(text)


def _trials(text: str) -> str | int:
    return text if text in ("ci", "release") else int(text)


if __name__ == "__main__":
    sys.exit(main())
