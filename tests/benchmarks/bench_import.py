"""What adding people costs: `python -m tests.benchmarks.bench_import [PEOPLE]`. Nothing here is asserted.

The goal of the design is 15,000 rows a second. It is the whole of `drip import` that is measured, its start included;
beside it, in the same run, what the standard library needs to read the rows, and to read them and insert three columns.
"""

from __future__ import annotations

import csv
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

_CONFIG = "from: Us <us@example.com>\ntransport: outbox\n"
_SEQUENCE = """
name: Benchmark
status: active
steps:
  - {id: one, delay: 1d, subject: One, text: "Hello {{ name }}"}
  - {id: two, delay: 3d, subject: Two, text: "Hello {{ name }}"}
"""


def main(people: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = folder / "people.csv"
        with rows.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["email", "name", "plan"])
            writer.writerows(
                [f"First.Last{number}@mail{number % 300}.example.com", f"Person {number}", "pro"]
                for number in range(people)
            )
        (folder / "sequences").mkdir()
        (folder / "sequences" / "welcome.yaml").write_text(_SEQUENCE)
        (folder / "drip.yaml").write_text(_CONFIG)
        _drip(folder, "apply", "--yes")
        _say("drip import, new people", people, lambda: _drip(folder, "import", "welcome", str(rows)))
        _say("drip import, the same again", people, lambda: _drip(folder, "import", "welcome", str(rows)))
        _say("csv.reader", people, lambda: sum(1 for _ in _read(rows)))
        _say("csv.reader and sqlite3", people, lambda: _insert(folder / "bare.db", rows))


def _drip(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "drip", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _read(rows: Path) -> list[list[str]]:
    with rows.open(newline="") as file:
        return list(csv.reader(file))


def _insert(path: Path, rows: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE person (email TEXT UNIQUE, name TEXT, plan TEXT)")
        database.executemany("INSERT OR IGNORE INTO person VALUES (?, ?, ?)", _read(rows))


def _say(name: str, people: int, work: Callable[[], object]) -> None:
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    print(f"{name:<28} {people:>9,} in {seconds:6.2f} s  {people / seconds:>9,.0f} a second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
