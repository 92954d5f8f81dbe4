"""Several `drip run --once` on one PostgreSQL: none twice, none missing, and how much faster than one.

    python -m tests.benchmarks.bench_postgres [COUNT] [--workers N] [--slow COUNT] [--latency SECONDS] [--rounds N]

First COUNT messages by N processes that start together, against a server that answers at once: what it accepted is held
against who was due. Then --slow messages by one process and by N in turn, against a server that takes --latency for the
final dot; what is quoted is the median of the rounds' ratios. The database server flushes its commits to the disk.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.postgres_server import PostgresServer

GOAL = 1.6
SINK = Path(__file__).parent / "sending" / "slow_sink.py"

CONFIG = """\
database: {url}
from: Ada <ada@example.com>
base_url: https://mail.example.com
transport: smtp
smtp: {{host: 127.0.0.1, port: {port}, security: none}}
"""
SEQUENCE = """\
name: Welcome
status: active
steps:
  - {id: hello, delay: 0, subject: "Hello {{ name }}", body: "Hi {{ name }}, welcome."}
"""


def main() -> None:
    """Measure, print, and fail when a message was sent twice or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--slow", type=int, default=2_000)
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    server = PostgresServer({"fsync": "on", "full_page_writes": "on", "autovacuum": "on"})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.count:
            seconds, sent, twice, missing = trial(server, folder / "all", given.count, given.workers)
            print(f"{given.workers} workers, {given.count} due: {sent} accepted, {twice} twice, {missing} missing,")
            print(f"  in {seconds:.1f} s: {sent / seconds:.0f} a second")
            assert (sent, twice, missing) == (given.count, 0, 0)
        ratios = []
        for number in range(given.rounds):
            rates = []
            for workers in (1, given.workers):
                place = folder / f"slow-{number}-{workers}"
                seconds, sent, twice, missing = trial(server, place, given.slow, workers, given.latency)
                assert (sent, twice, missing) == (given.slow, 0, 0)
                rates.append(sent / seconds)
            ratios.append(rates[1] / rates[0])
            print(
                f"{given.latency * 1000:.0f} ms a dot: one {rates[0]:.0f}/s, {given.workers} workers {rates[1]:.0f}/s"
            )
        if ratios:
            print(f"{given.workers} workers are {statistics.median(ratios):.2f} x one (goal {GOAL})")


def trial(
    server: PostgresServer, folder: Path, count: int, workers: int, latency: float = 0.0
) -> tuple[float, int, int, int]:
    """(seconds, accepted, accepted twice, never accepted) of so many messages by so many processes."""
    url = server.make(f"bench_{folder.name.replace('-', '_')}")
    (folder / "sequences").mkdir(parents=True)
    (folder / "sequences" / "welcome.yaml").write_text(SEQUENCE)
    due = {f"p{number}@example.com" for number in range(count)}
    (folder / "people.csv").write_text("email,name\n" + "".join(f"{email},Ada\n" for email in sorted(due)))
    drip = [sys.executable, "-m", "drip", "-C", str(folder)]
    sink = subprocess.Popen(
        [sys.executable, str(SINK), str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with sink:
        assert sink.stdout is not None
        (folder / "drip.yaml").write_text(CONFIG.format(url=url, port=int(sink.stdout.readline())))
        for arguments in (["apply", "--yes"], ["import", "welcome", "people.csv"]):
            subprocess.run([*drip, *arguments], check=True, stdout=subprocess.DEVNULL)
        started = time.perf_counter()
        command = [*drip, "run", "--once", "--workers", "1"]
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(workers)]
        codes = [process.wait() for process in running]
        seconds = time.perf_counter() - started
        accepted = Counter(sink.communicate()[0].split())
    assert codes == [0] * workers, codes
    return seconds, accepted.total(), sum(times > 1 for times in accepted.values()), len(due - set(accepted))


if __name__ == "__main__":
    main()
