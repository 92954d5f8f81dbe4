"""How long drip takes to start, as a ratio to `python -c "import click"`; sides in turn, medians of processor time.

    python -m tests.benchmarks.bench_start [ROUNDS]

Processor time, user and system together: the wall clock of a start says more about the machine than about the program.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.sending.letter import make_project

GOALS = {"drip --version": 2.0, "run --once, nothing due": 3.5}


def seconds(*command: str) -> float:
    """Processor time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int) -> None:
    """Measure in turn and print."""
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder), 25, 0)
        drip = ("-m", "drip", "-C", folder)
        sides = {
            "import click": ("-c", "import click"),
            "drip --version": ("-m", "drip", "--version"),
            "run --once, nothing due": (*drip, "run", "--once"),
            "status": (*drip, "status"),
        }
        seconds(*sides["run --once, nothing due"])
        found: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, command in sides.items():
                found[name].append(seconds(*command))
    base = statistics.median(found["import click"])
    for name, values in found.items():
        median = statistics.median(values)
        goal = f"{GOALS[name]:g}x" if name in GOALS else ""
        print(f"{name:26} {median * 1000:6.0f} ms {median / base:6.2f}x  {goal}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
