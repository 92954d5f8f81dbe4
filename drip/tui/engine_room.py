"""The worker inside the dashboard: a thread with its own store, as `drip run` would be beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from drip.errors import DripError
from drip.project import Project

if TYPE_CHECKING:
    from drip.engine.report import Report
    from drip.engine.worker import Worker

INTERVAL = 5.0
"""Seconds between two passes."""


class EngineRoom:
    """Starts and stops it."""

    def __init__(self, project: Project, clock: Callable[[], datetime], trouble: Callable[[str], None]) -> None:
        """`trouble` is called on the worker's thread."""
        self._project = Project(project.settings)  # connections and caches of its own
        self._clock = clock
        self._trouble = trouble
        self._worker: Worker | None = None
        self._said = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drip-engine-room", daemon=True)
        self.bug: BaseException | None = None
        """What ended it that should not have; None while all is well."""

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the messages in hand; returns when they are recorded."""
        self._stopped.set()
        if self._worker is not None:
            self._worker.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            with self._project.opened():
                worker = self._project.worker(clock=self._clock)
                with self._project.courier(clock=self._clock) as courier, worker:
                    self._worker = worker

                    def after_pass(report: Report) -> None:
                        courier.check()
                        self._after_pass(report)

                    if not self._stopped.is_set():
                        worker.run_loop(INTERVAL, after_pass)
        except DripError as error:
            self._say(f"the worker has stopped: {error.message}")
        except BaseException as error:
            self.bug = error
            self._say(f"the worker has stopped: {type(error).__name__}")

    def _after_pass(self, report: Report) -> None:
        trouble = report.trouble
        words = "" if trouble is None else f"nothing is sent now: {trouble.code or ''} {trouble.text or trouble.kind}"
        if words and words != self._said:
            self._say(words)
        self._said = words

    def _say(self, words: str) -> None:
        if not self._stopped.is_set():
            self._trouble(words)
