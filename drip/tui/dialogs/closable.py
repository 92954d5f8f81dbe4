"""Dialogs in which nothing is lost by leaving them: a click beside one closes it, as esc does."""

from __future__ import annotations

from typing import TypeVar

from textual import events
from textual.screen import ModalScreen

T = TypeVar("T")


class Closable(ModalScreen[T | None]):
    """Closed without an answer."""

    def on_click(self, event: events.Click) -> None:
        """Nothing of the dialog is there."""
        if self.get_widget_at(event.screen_x, event.screen_y)[0] is self:
            self.dismiss(None)
