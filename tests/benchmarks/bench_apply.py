"""What an edit costs with many people waiting: `python -m tests.benchmarks.bench_apply [PEOPLE]`. Nothing is asserted.

The contract is under 5 seconds for 100,000 people.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from datetime import time as clock
from datetime import timedelta
from pathlib import Path

from drip.core.sequence import DelayFrom, SendWindow
from drip.engine.subscribe import Request, subscribe_many
from tests.lab import a_sequence, a_step, open_lab

ZONES = ("Europe/Madrid", "America/New_York", "Asia/Tokyo", None)


def main(people: int) -> None:
    one, two = a_step("one", "5d"), a_step("two", "3d")
    window = SendWindow(frozenset(range(5)), clock(9), clock(18))
    edits = [
        ("content", a_sequence(replace(one, text="New."), two)),
        ("a longer delay", a_sequence(replace(one, delay=timedelta(days=6)), two)),
        ("a clock time", a_sequence(replace(one, at=clock(10)), two)),
        ("a window", a_sequence(replace(one, send_window=window), two)),
        ("from the start", a_sequence(one, two, delay_from=DelayFrom.START)),
        ("a step before", a_sequence(a_step("zero", "1d"), one, two)),
        ("a step removed", a_sequence(two)),
        ("nothing", a_sequence(two)),
    ]
    with tempfile.TemporaryDirectory() as folder, open_lab(Path(folder)) as lab:
        lab.apply(a_sequence(one, two))
        for start in range(0, people, 5000):
            requests = [
                Request(
                    f"p{number}@example.com",
                    variables={"timezone": ZONES[number % 4]} if number % 8 == 0 else {},
                    started_at=lab.now + timedelta(seconds=number),
                )
                for number in range(start, min(start + 5000, people))
            ]
            subscribe_many(lab.store, lab.settings, "welcome", requests, lab.now)
        for name, after in edits:
            begin = time.perf_counter()
            plan = lab.plan(after)
            planned = time.perf_counter() - begin
            begin = time.perf_counter()
            lab.apply(after)
            applied = time.perf_counter() - begin
            print(
                f"{name:<16} plan {planned:5.2f} s, apply {applied:5.2f} s; {plan.affected:>9,} of {people:,} affected"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
