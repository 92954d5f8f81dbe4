"""A message in full, over the place it was asked for."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from drip.tui.dialogs.leaving import Closable
from drip.tui.previewing import Views
from drip.tui.widgets.preview import Preview


class Letter(Closable[None]):
    """To read, as HTML, its headers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,m,q", "close", "Close"),
        Binding("v", "view", "The other views"),
    ]

    def __init__(self, title: str, views: Views) -> None:
        super().__init__()
        self._title, self._views = title, views

    def compose(self) -> ComposeResult:
        """The message."""
        with Vertical(classes="dialog -letter") as box:
            box.border_subtitle = "v other views · esc close"
            yield Static(Text(self._title, "bold"))
            yield Preview()

    def on_mount(self) -> None:
        """Show it."""
        self.query_one(Preview).views = self._views

    def action_view(self) -> None:
        """The next of the three."""
        self.query_one(Preview).next_view()

    def action_close(self) -> None:
        """Back."""
        self.dismiss(None)
