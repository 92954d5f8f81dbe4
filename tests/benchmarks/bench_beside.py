"""The worker's sending rate with an idle API in its process, beside that without one; into an outbox.

python -m tests.benchmarks.bench_beside
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from drip.api.app import create_app
from drip.api.server import serving
from drip.engine.subscribe import Request, subscribe_many
from drip.project import Project, system_clock
from tests.lab import Lab, a_sequence, a_step

PEOPLE = 2000
ROUNDS = 7


def rate(*, with_api: bool) -> float:
    """Messages per second of one pass."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), database=f"sqlite:///{folder}/drip.db", outbox=Path(folder) / "outbox")
        project = Project(lab.settings)
        with project.store.opened():
            lab.store = project.store
            lab.apply(a_sequence(a_step("first", body="Hello {{ name }}.")))
            people = [Request(f"person{number}@example.com", "Ana") for number in range(PEOPLE)]
            subscribe_many(project.store, project.settings, "welcome", people, system_clock())
            beside: Any = serving(create_app(project), "127.0.0.1", 0) if with_api else nullcontext()
            with beside, project.worker() as worker:
                started = time.perf_counter()
                report = worker.run_once()
                seconds = time.perf_counter() - started
            assert report.counts["sent"] == PEOPLE
    return PEOPLE / seconds


def main() -> None:
    """Measure both in turn and print the medians."""
    rates = [(rate(with_api=False), rate(with_api=True)) for _ in range(ROUNDS)]
    alone, beside = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(with_it / without for without, with_it in rates)
    print(f"alone {alone:,.0f}/s   with an idle API {beside:,.0f}/s   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
