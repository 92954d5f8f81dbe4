"""The dashboard over a million subscriptions: first paint, and how fast a key is answered while mail goes out.

    python -m tests.benchmarks.bench_dashboard [PEOPLE [FOLDER]]

In a real pseudo-terminal, measured from outside: from the start of the process until the figures of the whole are on
the screen, and from a key until the line it moves to is drawn. Once with nothing sent, once beside a `drip run` that
sends 100 messages a second, once with the worker inside (`--run`).

Machines are noisy: each figure stands beside the same one of a Textual app that does nothing but show a table, started
and pressed in turn with the dashboard. FOLDER keeps the database for the next time.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from drip.engine.apply import Origin, apply
from drip.project import open_project, system_clock

PEOPLE = 1_000_000
DUE = 60_000
"""Of those, due now: ten minutes of sending."""
CONFIG = "from: a@example.com\ntransport: outbox\nlimits: {rate: 100/s}\n"
STEPS = "\n".join(
    f"  - {{id: step-{n}, delay: {n}d, subject: Step {n}, body: 'Hello {{{{ email }}}}, number {n}.'}}"
    for n in range(8)
)
SEQUENCE = f"name: Big\nstatus: active\nstale_after: 30d\nsteps:\n{STEPS}\n"
ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b[()].|\x1b[=>]")
KEYS = 60
ROW = "● active  big".encode()
"""The line of the sequence."""
COUNTED = re.compile(rb"[1-9][0-9]*,[0-9]{3} +[0-9,]+ +[0-9,]+ +[0-9,]+ +[0-9]+ +(now|in |overdue)")
"""Its people."""


def build(folder: Path, people: int) -> None:
    """A project whose database is filled by bulk SQL."""
    (folder / "sequences").mkdir(parents=True)
    (folder / "drip.yaml").write_text(CONFIG)
    (folder / "sequences" / "big.yaml").write_text(SEQUENCE)
    project = open_project(folder)
    files = project.files()
    with project.opened() as store:
        apply(
            *(store, project.settings, project.incoming(files), files.templates),
            prune=False,
            now=system_clock(),
            origin=Origin(),
        )
        with store.transaction():
            for statement in _statements(people, int(system_clock().timestamp() * 1000)):
                store.database.run(statement)


def _statements(people: int, now: int) -> Iterator[str]:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people})"
    day = 86_400_000
    yield (
        f"{numbers} INSERT INTO contact (id, email, email_key, name, created_at, updated_at)"
        f" SELECT i, printf('person%07d@example.com', i), printf('person%07d@example.com', i), 'Person ' || i, {now},"
        f" {now} FROM n"
    )
    # One of ten has ended; the due ones have not had the first step, all others had one to seven.
    yield (
        f"{numbers} INSERT INTO subscription (id, sequence_id, contact_id, status, cancel_reason, started_at,"
        " origin_at, base_at, last_step_id, next_step_id, next_send_at, last_sent_at, completed_at, cancelled_at,"
        " created_at, updated_at)"
        " SELECT i, 1, i, CASE WHEN i % 20 = 3 THEN 'completed' WHEN i % 20 = 7 THEN 'cancelled' WHEN"
        " i % 97 = 5 THEN 'paused' ELSE 'active' END, CASE WHEN i % 20 = 7 THEN 'unsubscribed' END,"
        f" {now - 9 * day}, {now - 9 * day}, {now - day}, 1 + i % 7, CASE WHEN i % 20 NOT IN (3, 7) THEN 2 + i % 7 END,"
        f" CASE WHEN i % 20 NOT IN (3, 7) THEN {now} + CASE WHEN i % {max(people // DUE, 1)} = 0 THEN -i % 60000"
        f" ELSE 3600000 + (i * 7919) % {7 * day} END END, {now} - (i * 104729) % {2 * day},"
        f" CASE WHEN i % 20 = 3 THEN {now} END, CASE WHEN i % 20 = 7 THEN {now} END, {now - 9 * day}, {now} FROM n"
    )
    yield (
        "INSERT INTO delivery (subscription_id, step_id, state, attempts, claim, at, revision)"
        " SELECT id, last_step_id, 'sent', 1, 1, last_sent_at, 1 FROM subscription"
    )
    yield (
        "INSERT INTO event (type, at, sequence_id, subscription_id, step_id)"
        f" SELECT 'sequence.step.sent', at, 1, subscription_id, step_id FROM delivery LIMIT {min(people, 200_000)}"
    )


EMPTY = """
from textual.app import App
from textual.widgets import DataTable

class Empty(App):
    def compose(self):
        yield DataTable(cursor_type="row")

    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("Home", "email")
        for number in range(200):
            table.add_row("row", f"person{number:07d}@example.com")

Empty().run()
"""
"""A Textual app that does nothing but show a table."""


class Terminal:
    """A program in a pseudo-terminal of 120×40, and what it has drawn."""

    def __init__(self, *command: str) -> None:
        self.begun = time.perf_counter()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            # As an installed program has it, whose modules were compiled before.
            for name in ("NO_COLOR", "PYTHONDONTWRITEBYTECODE"):
                os.environ.pop(name, None)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
            os.execvp(command[0], command)
        self.drawn = b""

    def wait_for(self, wanted: Callable[[bytes], bool], patience: float = 30.0) -> float:
        """Read until the text drawn since the last call is as wanted; the moment it was."""
        deadline = time.perf_counter() + patience
        while time.perf_counter() < deadline:
            if select.select([self._fd], [], [], 0.5)[0]:
                self.drawn += os.read(self._fd, 1 << 16)
                if wanted(ESCAPES.sub(b"", self.drawn)):
                    self.drawn = b""
                    return time.perf_counter()
        raise TimeoutError(ESCAPES.sub(b"", self.drawn)[-2000:])

    def press(self, key: bytes) -> float:
        """Send a key; the moment it was sent."""
        while select.select([self._fd], [], [], 0)[0]:
            self.drawn += os.read(self._fd, 1 << 16)
        self.drawn = b""
        os.write(self._fd, key)
        return time.perf_counter()

    def close(self) -> None:
        """End it."""
        os.kill(self._pid, 15)
        while True:
            try:
                if not os.read(self._fd, 1 << 16):
                    break
            except OSError:
                break
        os.waitpid(self._pid, 0)
        os.close(self._fd)


@contextmanager
def running(*command: str) -> Iterator[Terminal]:
    """A program, ended at the end."""
    terminal = Terminal(sys.executable, *command)
    try:
        yield terminal
    finally:
        terminal.close()


def dashboard(folder: Path, *options: str) -> tuple[str, ...]:
    """The command."""
    return ("-m", "drip", "-C", str(folder), "dashboard", *options)


def first_paint(folder: Path) -> tuple[float, float, float, float]:
    """Seconds from the start until the empty app is drawn; then of the dashboard until something is, the sequences are
    listed, and their people are counted.
    """
    with running("-c", EMPTY) as empty:
        least = empty.wait_for(lambda text: b"Home" in text) - empty.begun
    with running(*dashboard(folder)) as terminal:
        frame = terminal.wait_for(lambda text: b"Home" in text)
        listed = terminal.wait_for(lambda text: ROW in text)
        counted = terminal.wait_for(lambda text: COUNTED.search(text) is not None)
        return least, frame - terminal.begun, listed - terminal.begun, counted - terminal.begun


def keys(folder: Path, *options: str) -> tuple[list[float], list[float]]:
    """Seconds until the line that a key moves to is drawn: in the empty app, and going down the people of the
    sequence.
    """
    with running("-c", EMPTY) as empty, running(*dashboard(folder, *options)) as terminal:
        terminal.wait_for(lambda text: ROW in text)
        terminal.press(b"\r")
        newest = b"person%07d" % _newest(folder)
        terminal.wait_for(lambda text: b"steps" in text and newest in text)
        terminal.press(b"\t")
        time.sleep(0.3)
        terminal.press(b"\t")
        time.sleep(4.0)  # the worker is under way, and everything has been read at least once
        least, found = [], []
        for number in range(KEYS):
            wanted = b"person%07d" % (_newest(folder) - number - 1)
            least.append(_until(empty, b"\x1b[B", b"person%07d" % (number + 1)))
            time.sleep(0.05)
            found.append(_until(terminal, b"j", wanted))
            time.sleep(0.05)
        return least, found


def _until(terminal: Terminal, key: bytes, wanted: bytes) -> float:
    begun = terminal.press(key)
    return terminal.wait_for(lambda text: wanted in text) - begun


def _newest(folder: Path) -> int:
    return int((folder / "people").read_text())


@contextmanager
def sending(folder: Path) -> Iterator[None]:
    """`drip run` beside it."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "drip", "-C", str(folder), "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(2.0)
        yield
    finally:
        worker.terminate()
        worker.wait()


def _sent(folder: Path) -> int:
    new = folder / "outbox" / "new"
    return sum(1 for _ in new.iterdir()) if new.exists() else 0


def _say(name: str, seconds: list[float], beside: str = "") -> None:
    ordered = [one * 1000 for one in sorted(seconds)]
    middle, most = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    print(f"{name:28} median {middle:5.1f} ms   95 % {most:5.1f} ms   worst {ordered[-1]:5.1f} ms   {beside}")


def _compare(name: str, folder: Path, *options: str) -> None:
    before, begun = _sent(folder), time.perf_counter()
    least, found = keys(folder, *options)
    rate = (_sent(folder) - before) / (time.perf_counter() - begun)
    _say("an empty app, meanwhile", least)
    _say(
        name, found, f"{statistics.median(found) / statistics.median(least):.1f} × the empty app, {rate:.0f} messages/s"
    )


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(name) / "big"
        if not (folder / "people").exists():
            begun = time.perf_counter()
            build(folder, people)
            (folder / "people").write_text(str(people))
            print(f"built in {time.perf_counter() - begun:.0f} s")
        size = (folder / "drip.db").stat().st_size / 1e6
        print(f"{_newest(folder):,} subscriptions, {size:.0f} MB, load {os.getloadavg()[0]:.1f} of {os.cpu_count()}")
        for run in range(3):
            least, frame, listed, counted = first_paint(folder)
            print(
                f"first paint {run + 1}:  empty app {least:.2f} s   frame {frame:.2f} s   sequences {listed:.2f} s"
                f"   counted {counted:.2f} s   {frame / least:.1f} × the empty app"
            )
        _compare("keys, nothing is sent", folder)
        with sending(folder):
            _compare("keys, drip run beside", folder)
        _compare("keys, worker inside", folder, "--run")


if __name__ == "__main__":
    main()
