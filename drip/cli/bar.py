"""A bar on stderr, drawn by rich once the work turns out to be long. Imported only when somebody watches."""

from __future__ import annotations

import threading
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from drip.core.plain import clean


class RichBar:
    """Fulfils `output.Bar`; may be told from any thread."""

    def __init__(self, text: str, total: int | None, *, after: float) -> None:
        """
        Args:
            total: None is not known.
            after: seconds of work before it is drawn.
        """
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        if total is not None:
            columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(clean(text), total=total)
        self._draw_at = time.monotonic() + after
        self._lock = threading.Lock()
        self._shown = False

    def advance(self, amount: int = 1) -> None:
        """So much more is done."""
        self._progress.advance(self._task, amount)
        self._show()

    def move_to(self, amount: int) -> None:
        """So much is done in all."""
        self._progress.update(self._task, completed=amount)
        self._show()

    def say(self, text: str) -> None:
        """Change the words beside it."""
        self._progress.update(self._task, description=Text(clean(text)).plain)
        self._show()

    def stop(self) -> None:
        """Take it away."""
        with self._lock:
            if self._shown:
                self._progress.stop()

    def _show(self) -> None:
        with self._lock:
            if not self._shown and time.monotonic() > self._draw_at:
                self._shown = True
                self._progress.start()
