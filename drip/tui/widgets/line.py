"""A text that is often said anew and seldom changes: drawn only when it does, without a new layout of the screen."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static


class Line(Static):
    """Shows the last that was said."""

    _said: Text | None = None

    def say(self, text: Text, *, layout: bool = False) -> None:
        """Show a text; with `layout` where the size depends on it."""
        if text != self._said:
            self._said = text
            self.update(text, layout=layout)
