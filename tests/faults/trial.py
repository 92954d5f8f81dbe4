"""One trial: people who are due, a server in a process of its own, workers that are killed, and the books at the end.

The oracle is the server's log, written and synced before it answers 250; never drip's tables.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from drip.engine.apply import Origin, apply
from drip.engine.subscribe import Request, subscribe_many
from drip.project import Project, open_project
from tests.smtp_server.process import spawn_server

ROOT = Path(__file__).parents[2]

SEQUENCE = """
name: Trial
status: active
steps:
  - id: one
    delay: 0
    subject: "For {{ name }}"
    text: "Hello {{ name }}."
"""


@dataclass(frozen=True, slots=True)
class Books:
    """What is true at the end of a trial."""

    due: int
    accepted: Counter[str]
    """By recipient, as the server counted."""
    unknown: frozenset[str]
    """Addresses whose delivery is unknown."""

    @property
    def twice(self) -> list[str]:
        """Who was mailed more than once."""
        return sorted(email for email, count in self.accepted.items() if count > 1)

    @property
    def lost(self) -> int:
        """How many were neither accepted nor are unknown."""
        return self.due - len(set(self.accepted) | self.unknown)

    @property
    def unknown_in_vain(self) -> frozenset[str]:
        """Unknown to drip, and never given to the server."""
        return self.unknown - set(self.accepted)


class Trial:
    """A project with people who are due, and a server."""

    def __init__(self, folder: Path, port: int, due: int, connections: int) -> None:
        self.folder = folder
        self.due = due
        self.log = folder / "server.jsonl"
        (folder / "sequences").mkdir()
        (folder / "sequences" / "trial.yaml").write_text(SEQUENCE)
        (folder / "drip.yaml").write_text(
            "from: us@example.com\ntransport: smtp\n"
            f"smtp: {{host: 127.0.0.1, port: {port}, security: none, connections: {connections}}}\n"
        )
        self._subscribe()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A worker of its own; `naive` is the control."""
        command = [sys.executable, "-m", "tests.faults.worker", str(self.folder), *arguments]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)

    def kill_at(self, count: int, *arguments: str, after: float) -> bool:
        """Run a worker and kill it `after` seconds from when the server accepted so many; False when it had ended."""
        with self.start(*arguments) as process:
            while self.accepted() < count:
                if process.poll() is not None:
                    break
                time.sleep(0.002)
            time.sleep(after)
            process.send_signal(signal.SIGKILL)
            return process.wait() == -signal.SIGKILL

    def finish(self, *arguments: str) -> None:
        """Run workers until one says that nothing is left."""
        for _ in range(3):
            with self.start(*arguments) as process:
                _, errors = process.communicate(timeout=120)
            assert process.returncode in (0, 3), errors.decode()
            if process.returncode == 0:
                return
        raise AssertionError(f"the transport stays in trouble: {errors.decode()}")

    def accepted(self) -> int:
        """How many messages the server has taken so far."""
        return self.log.read_bytes().count(b'"event": "message"') if self.log.exists() else 0

    def books(self) -> Books:
        """The state of things, by the server's log and drip's own word on what it does not know."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        accepted = Counter(line["recipients"][0] for line in lines if line["event"] == "message")
        project = self._project()
        with project.opened() as store:
            unknown = frozenset(delivery.email for delivery in store.deliveries.unknown())
            assert store.claims.count_due(datetime.now(UTC)) == 0
        return Books(self.due, accepted, unknown)

    def _project(self) -> Project:
        return open_project(self.folder)

    def _subscribe(self) -> None:
        project, now = self._project(), datetime.now(UTC)
        with project.opened() as store:
            files = project.files()
            apply(
                *(store, project.settings, project.incoming(files), files.templates),
                prune=False,
                now=now,
                origin=Origin(),
            )
            requests = [Request(f"p{number}@example.com", f"Person {number}") for number in range(self.due)]
            for start in range(0, self.due, 1000):
                subscribe_many(store, project.settings, "trial", requests[start : start + 1000], now)


@contextmanager
def a_trial(folder: Path, *, due: int, connections: int = 4, latency: float = 0.0) -> Iterator[Trial]:
    """A trial in an empty folder, with its server running."""
    folder.mkdir()
    with spawn_server(folder / "server.jsonl", "--latency", str(latency)) as (port, _):
        yield Trial(folder, port, due, connections)
