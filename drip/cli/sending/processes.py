"""More processes for one pass: each is a `drip run --once` of its own, with its own connections and database handle.

They are safe beside each other because any two runs are; here they are only started, stopped, and their words joined.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drip.cli.invocation import Invocation
    from drip.engine.worker import Worker

_USUAL_CODES = (0, 1, 3)


@dataclass(frozen=True, slots=True)
class Done:
    """What one of the other processes did."""

    code: int
    """Its exit code; below zero the signal that ended it."""
    report: dict[str, Any]
    """As its `--json` says; empty when it did not get that far."""
    words: str
    """What it said on stderr."""

    @property
    def crashed(self) -> bool:
        """Whether it ended in a way that no run ends."""
        return self.code not in _USUAL_CODES or not self.report


class Processes:
    """The other processes of one pass."""

    def __init__(self, invocation: Invocation, pretended: datetime | None) -> None:
        self._invocation = invocation
        self._pretended = pretended
        self._running: list[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]] = []
        # Whoever holds the other end learns that this process is gone, however it went.
        self._tie, self._held = os.pipe()
        self._stopped = False

    def start(self, count: int, connections: int | None) -> None:
        """Start so many. `connections` is for each; None is what drip.yaml says."""
        for _ in range(count):
            out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # closed by `join`
            process = subprocess.Popen(
                self._command(connections),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=None if self._invocation.verbose else err,
                pass_fds=[self._tie],
                start_new_session=True,  # the terminal's signals come to us, and from us once
            )
            self._running.append((process, out, err))
        if self._stopped:
            self.stop()

    def stop(self) -> None:
        """Have each finish what it has in hand."""
        self._stopped = True
        for process, _, _ in self._running:
            process.terminate()

    def join(self) -> list[Done]:
        """Wait until all have ended; what each did."""
        done = []
        for process, out, err in self._running:
            code = process.wait()
            with out, err:
                done.append(Done(code, _object(_text(out)), _text(err)))
        self._running.clear()
        return done

    def close(self) -> None:
        """Let those that still run know that this process ends, and wait until they have: none outlives its command."""
        os.close(self._held)
        os.close(self._tie)
        self.join()

    def _command(self, connections: int | None) -> list[str]:
        command = self._invocation.program()
        command += ["-v"] if self._invocation.verbose else []
        command += ["run", "--once", "--json", "--tied", str(self._tie)]
        command += ["--now", self._pretended.isoformat()] if self._pretended is not None else []
        return command if connections is None else [*command, "--connections", str(connections)]


def watch(tie: int, worker: Worker, exit_at_once: Callable[[], object]) -> None:
    """Where another process started this one: stop when that is gone; at once when it was told to stop already."""

    def wait() -> None:
        while os.read(tie, 1):
            pass
        if worker.stopped:
            exit_at_once()
        worker.stop()

    threading.Thread(target=wait, name="drip-tie", daemon=True).start()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
