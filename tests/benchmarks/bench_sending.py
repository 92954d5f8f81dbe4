"""Messages a second of `drip run --once`, beside others that send the same message; a table of ratios.

    python -m tests.benchmarks.bench_sending [COUNT] [--rounds N] [--workers N] [--connections N] [--only NAME]

The sink is Postfix's `smtp-sink` (apt install postfix); nodemailer comes from npm into a temporary folder, or from
`NODE_PATH`. drip's time is that of the whole process: start, claim, render, MIME, SMTP, durable record, events. The
others' is that of their loop alone. All take turns, round by round; what is quoted is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.sending.letter import copy_project, html, make_project, text

SIDES = Path(__file__).parent / "sending"
GOALS = {"yagmail": 10.0, "nodemailer": 4.0, "smtplib": 1.0, "smtp-source": 0.4}
SHARE = {"yagmail": 0.02, "nodemailer": 0.25, "smtplib": 0.25, "smtp-source": 1.0}
"""Of the count: those that are slow send fewer."""


@contextmanager
def sink(*options: str) -> Iterator[int]:
    """Postfix's smtp-sink; yields its port."""
    program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    privileges = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen([program, *privileges, *options, f"127.0.0.1:{port}", "1000"]) as process:
        try:
            _until_listening(port)
            yield port
        finally:
            process.terminate()


def _until_listening(port: int) -> None:
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port)) as probe:
                probe.recv(100)
                return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("smtp-sink does not listen")


def run_drip(project: Path, count: int, *options: str) -> float:
    """Seconds of one pass over a copy of the project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        copy_project(project, copy)
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "drip", "-C", str(copy), "run", "--once", "--json", *options],
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - begun
    assert json.loads(done.stdout)["sent"] == count, done.stdout
    return seconds


def _printed_seconds(*command: str, **environment: str) -> float:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, **environment})
    return float(done.stdout)


def _nodemailer(folder: Path) -> Callable[[int, int], float] | None:
    if shutil.which("node") is None:
        return None
    modules = os.environ.get("NODE_PATH")
    if not modules:
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "nodemailer@7"]
        if shutil.which("npm") is None or subprocess.run(command, cwd=folder, check=False).returncode:
            return None
        modules = str(folder / "node_modules")
    letter = folder / "letter.json"
    letter.write_text(json.dumps({"text": text("{{ name }}", "{{ plan }}"), "html": html("{{ name }}", "{{ plan }}")}))

    def run(port: int, count: int) -> float:
        script = str(SIDES / "nodemailer.cjs")
        return _printed_seconds("node", script, str(port), str(count), str(letter), NODE_PATH=modules)

    return run


def _python(module: str) -> Callable[[int, int], float]:
    name = f"tests.benchmarks.sending.{module}"
    return lambda port, count: _printed_seconds(sys.executable, "-m", name, str(port), str(count))


def _smtp_source(port: int, count: int) -> float:
    program = shutil.which("smtp-source") or "/usr/sbin/smtp-source"
    begun = time.perf_counter()
    subprocess.run([program, "-d", "-s", "4", "-l", "5000", "-m", str(count), f"127.0.0.1:{port}"], check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(prog="bench_sending")
    parser.add_argument("count", nargs="?", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, help="of drip; without it drip decides")
    parser.add_argument("--connections", type=int, default=64, help="of drip, for all its processes together")
    parser.add_argument("--only", action="append", choices=["drip", *GOALS])
    given = parser.parse_args()
    options = ["--workers", str(given.workers)] if given.workers else []
    with tempfile.TemporaryDirectory() as name, sink() as port:
        folder = Path(name)
        project = folder / "project"
        project.mkdir()
        make_project(project, port, given.count, connections=given.connections)
        sides: dict[str, Callable[[int, int], float] | None] = {
            "drip": lambda _, count: run_drip(project, count, *options),
            "yagmail": _python("yagmail_loop"),
            "nodemailer": _nodemailer(folder),
            "smtplib": _python("smtplib_ready"),
            "smtp-source": _smtp_source,
        }
        rates: dict[str, list[float]] = {}
        for _ in range(given.rounds):
            for side, run in sides.items():
                if run is None or (given.only and side not in given.only):
                    continue
                count = max(200, int(given.count * SHARE.get(side, 1.0)))
                count = given.count if side == "drip" else count
                rates.setdefault(side, []).append(count / run(port, count))
    _print(rates)


def _print(rates: dict[str, list[float]]) -> None:
    print(f"{'side':12} {'a second':>9} {'drip is':>9}  goal")
    for side, values in rates.items():
        line = f"{side:12} {statistics.median(values):9,.0f}"
        if side in GOALS and "drip" in rates:
            ratio = statistics.median(ours / other for ours, other in zip(rates["drip"], values, strict=True))
            line += f" {ratio:8.2f}x  {GOALS[side]:g}x"
        print(line)


if __name__ == "__main__":
    main()
