"""The crew of a pass: this process and the others of `--workers`, as many as the work is worth."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from drip.cli.invocation import Invocation
    from drip.cli.sending.processes import Processes
    from drip.engine.report import Report
    from drip.engine.worker import Worker
    from drip.project import Project
    from drip.store.store import Store

WORTHWHILE = 2000
"""People due for each process, where nobody said how many: starting one takes as long as sending some hundreds."""
CONNECTIONS = 8
"""Connections for each process, where nobody said how many there are to be and they share them; with fewer, messages
share fewer commits, and that costs more than another processor brings."""
MOST = 4
"""Processes on one database, where nobody said how many; SQLite lets one write at a time."""


def worth(wanted: int | None, due: int, batch: int, connections: int) -> int:
    """How many processes a pass is worth.

    Args:
        wanted: what was asked for; None: what is right for this machine.
        due: how many people are due.
        batch: how many one process takes at a time.
        connections: how many all may share, where nobody said how many processes.
    """
    if wanted is not None:
        return max(1, min(wanted, -(-due // batch)))
    return max(1, min(_cores(), MOST, due // WORTHWHILE, connections // CONNECTIONS))


class Crew:
    """The other processes of `--workers`: started where they are worth it, their reports added to ours."""

    def __init__(self, invocation: Invocation, pretended: datetime | None, wanted: int | None) -> None:
        self._invocation = invocation
        self._pretended = pretended
        self._wanted = wanted
        self._others: Processes | None = None
        self._stopped = False
        self._worker: Worker | None = None
        self.code = 0
        """The worst exit code of the others."""

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._others is not None:
            self._others.close()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody asked for more processes than this one."""
        return self._wanted is not None

    def count_at_a_glance(self, now: datetime) -> int | None:
        """As `count`, without opening the database, so that the others start while this process gets ready.

        None where it has to be opened to know.
        """
        return self._counted(lambda most: self._invocation.project.count_due_to(most, now))

    def count(self, store: Store, now: datetime) -> int:
        """How many processes the next pass is worth, this one included."""
        return self._counted(lambda most: store.claims.count_due_to(most, now)) or 1

    def project(self, count: int) -> Project:
        """The project for this one of `count` processes, with its share of the connections."""
        share = self._share(count)
        return self._invocation.project if share is None else self._invocation.project.connecting(share)

    def _counted(self, due_to: Callable[[int], int | None]) -> int | None:
        if self._wanted == 1 or (self._wanted is None and self._invocation.settings.transport != "smtp"):
            return 1  # a disk is not faster for being asked twice
        batch = 0 if self._wanted is None else _batch()
        due = due_to(MOST * WORTHWHILE if self._wanted is None else self._wanted * batch)
        return None if due is None else worth(self._wanted, due, batch, self._invocation.project.connections)

    def _share(self, count: int) -> int | None:
        """Connections for each: those of drip.yaml are for all together, where nobody asked for more processes.

        None is as many as drip.yaml says.
        """
        return self._invocation.project.share(count) if self._wanted is None and count > 1 else None

    def beside(self, worker: Worker) -> Crew:
        """What stops that worker and the others."""
        self._worker = worker
        return self

    def stop(self) -> None:
        """Have all finish what they have in hand."""
        self._stopped = True
        if self._worker is not None:
            self._worker.stop()
        if self._others is not None:
            self._others.stop()

    def start(self, count: int) -> None:
        """Start the others, so that there are `count`."""
        if count < 2:
            return
        from drip.cli.sending.processes import Processes

        if self._others is None:
            self._others = Processes(self._invocation, self._pretended)
        self._others.start(count - 1, self._share(count))
        if self._stopped:
            self._others.stop()

    def join(self, report: Report) -> bool:
        """Wait for the others and add what they did; whether one of them crashed."""
        from drip.cli.output import complain, note
        from drip.cli.sending.passes import KINDS

        crashed = False
        for done in self._others.join() if self._others is not None else ():
            report.counts.update({kind: done.report.get(kind, 0) for kind in KINDS})
            if self._stopped and done.code == -signal.SIGTERM:
                continue  # it was told to stop when it did not listen yet, or any more
            crashed = crashed or done.crashed
            if done.crashed:
                ended = f"was ended by signal {-done.code}" if done.code < 0 else f"ended with code {done.code}"
                complain(f"one of the worker processes {ended}", "what it held is taken back and goes on")
            if done.words and (done.crashed or report.trouble is None):
                note(done.words.rstrip())
            self.code = max(self.code, 1 if done.crashed else done.code)
        return crashed


def _batch() -> int:
    from drip.engine.worker import BATCH

    return BATCH


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
