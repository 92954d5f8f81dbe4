"""What is shown where there is nothing yet: why, and the key that changes it."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import var
from textual.widgets import Static

from drip.tui.marks import safe


class Empty(Static):
    """Words in the middle of a place; hidden while there are none."""

    words: var[tuple[str, str] | None] = var(None)
    """What is so, and what to do."""

    def watch_words(self) -> None:
        """Show or hide."""
        self.display = self.words is not None
        if self.words is not None:
            title, hint = self.words
            self.update(Text.assemble((safe(title).plain, "bold"), "\n\n", safe(hint).plain, justify="center"))
