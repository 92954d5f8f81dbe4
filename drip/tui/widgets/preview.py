"""One message in three views: to read, as HTML source, its headers."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Static, TabbedContent, TabPane

from drip.tui.previewing import Views

ORDER = ("reading", "html", "headers")


class Preview(Widget):
    """Shows what it is given."""

    views: var[Views | None] = var(None)

    def compose(self) -> ComposeResult:
        """Three tabs."""
        with TabbedContent():
            for name, word in zip(ORDER, ("Read", "HTML", "Headers"), strict=True):
                with TabPane(word, id=name), VerticalScroll():
                    yield Static(id=f"{name}-text")

    def watch_views(self) -> None:
        """Show it."""
        if not self.is_mounted:
            return
        for name in ORDER:
            text = getattr(self.views, name) if self.views else Text("")
            self.query_one(f"#{name}-text", Static).update(text)

    def next_view(self) -> None:
        """The next of the three."""
        tabs = self.query_one(TabbedContent)
        tabs.active = ORDER[(ORDER.index(tabs.active) + 1) % len(ORDER)]
