"""What adding people costs: `python -m tests.benchmarks.bench_import [PEOPLE]`. Nothing here is asserted.

The goal of the design is 15,000 people a second, in batches as `drip import` makes them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from drip.core.address import parse_email
from drip.engine.subscribe import Request, subscribe_many
from tests.lab import a_sequence, a_step, open_lab

BATCH = 5000


def main(people: int) -> None:
    requests = [
        Request(f"First.Last{number}@mail{number % 300}.example.com", f"Person {number}", {"plan": "pro", "n": number})
        for number in range(people)
    ]
    with tempfile.TemporaryDirectory() as folder, open_lab(Path(folder)) as lab:
        lab.apply(a_sequence(a_step("one", "1d"), a_step("two", "3d")))
        for name in ("new people", "the same again"):
            begin = time.perf_counter()
            for start in range(0, people, BATCH):
                subscribe_many(lab.store, lab.settings, "welcome", requests[start : start + BATCH], lab.now)
            seconds = time.perf_counter() - begin
            print(f"{name:<16} {people:>9,} in {seconds:6.2f} s  {people / seconds:>9,.0f} a second")
    begin = time.perf_counter()
    for request in requests:
        parse_email(request.email)
    seconds = time.perf_counter() - begin
    print(f"{'addresses alone':<16} {people:>9,} in {seconds:6.2f} s  {people / seconds:>9,.0f} a second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
