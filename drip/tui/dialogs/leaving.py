"""How dialogs are left: once, and those in which nothing is lost also by a click beside them."""

from __future__ import annotations

from typing import TypeVar

from textual import events
from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

T = TypeVar("T")


class LeftOnce(ModalScreen[T]):
    """Answers once: a second key or click that was on its way would close what is below, and end with it the app."""

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Leave, unless it was left before."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Closable(LeftOnce[T | None]):
    """Closed without an answer."""

    def on_click(self, event: events.Click) -> None:
        """Nothing of the dialog is there."""
        if self.get_widget_at(event.screen_x, event.screen_y)[0] is self:
            self.dismiss(None)
