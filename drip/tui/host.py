"""What places need of the app. Knows none of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from textual.app import App

from drip.core.plain import clean
from drip.errors import DripError
from drip.tui.queries import Desk, Glance

if TYPE_CHECKING:
    from drip.engine.apply import Origin
    from drip.tui.doing import Doing


LEGIBLE = 8.0
"""Seconds that a complaint is shown."""


class Host(App[None]):
    """The app, as its places see it."""

    def __init__(self, desk: Desk, *, origin: Callable[[], Origin], cadence: float | None) -> None:
        """
        Args:
            origin: asked for the commit of the files when they are applied.
            cadence: seconds between two looks; None: only when asked to.
        """
        super().__init__()
        self.desk = desk
        self.cadence = cadence
        self.glance: Glance | None = None
        """The state of the whole, as it was last seen by any place; None before."""
        self._origin = origin
        self._complained: dict[str, float] = {}
        """The last complaint, and until when it is shown, by the monotonic clock."""

    @cached_property
    def doing(self) -> Doing:
        """What can be done."""
        from drip.tui.doing import Doing

        return Doing(self.desk, self._origin)

    def tell(self, words: str) -> None:
        """Say that something was done."""
        self.notify(clean(words), markup=False, timeout=4)

    def complain(self, error: DripError) -> None:
        """Say that something was not done."""
        words = clean(error.message) + (f"\n{clean(error.hint)}" if error.hint else "")
        now = time.monotonic()
        if self._complained.get(words, 0.0) < now:  # else it still stands there: many would hide what is below
            self._complained = {words: now + LEGIBLE}
            self.notify(words, severity="error", markup=False, timeout=LEGIBLE)

    def back(self) -> None:
        """One screen back."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
