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
from tests.smtp_server.log import read_log
from tests.smtp_server.process import spawn_server

GOAL = 1.6

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
                dot = f"dot=delay {given.latency}"
                seconds, sent, twice, missing = trial(server, place, given.slow, workers, "--fault", dot)
                assert (sent, twice, missing) == (given.slow, 0, 0)
                rates.append(sent / seconds)
            ratios.append(rates[1] / rates[0])
            print(
                f"{given.latency * 1000:.0f} ms a dot: one {rates[0]:.0f}/s, {given.workers} workers {rates[1]:.0f}/s"
            )
        if ratios:
            print(f"{given.workers} workers are {statistics.median(ratios):.2f} x one (goal {GOAL})")


def trial(server: PostgresServer, folder: Path, count: int, workers: int, *options: str) -> tuple[float, int, int, int]:
    """(seconds, accepted, accepted twice, never accepted) of so many messages by so many processes."""
    url = server.make(f"bench_{folder.name.replace('-', '_')}")
    log = folder / "smtp.log"
    (folder / "sequences").mkdir(parents=True)
    with spawn_server(log, "--no-fsync", *options) as (port, _):
        (folder / "drip.yaml").write_text(CONFIG.format(url=url, port=port))
        (folder / "sequences" / "welcome.yaml").write_text(SEQUENCE)
        (folder / "people.csv").write_text(
            "email,name\n" + "".join(f"p{number}@example.com,P{number}\n" for number in range(count))
        )
        drip = [sys.executable, "-m", "drip", "-C", str(folder)]
        for arguments in (["apply", "--yes"], ["import", "welcome", "people.csv"]):
            subprocess.run([*drip, *arguments], check=True, stdout=subprocess.DEVNULL)
        started = time.perf_counter()
        running = [
            subprocess.Popen([*drip, "run", "--once", "--workers", "1"], stdout=subprocess.DEVNULL)
            for _ in range(workers)
        ]
        codes = [process.wait() for process in running]
        seconds = time.perf_counter() - started
    assert codes == [0] * workers, codes
    accepted = Counter(message.recipients[0] for message in read_log(log).messages)
    due = {f"p{number}@example.com" for number in range(count)}
    return seconds, accepted.total(), sum(times > 1 for times in accepted.values()), len(due - set(accepted))


if __name__ == "__main__":
    main()
