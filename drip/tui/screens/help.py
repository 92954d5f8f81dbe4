"""Help, made from the keys that work: it can't say what is not so."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from drip.tui.bindings import keys_of
from drip.tui.dialogs.leaving import Closable
from drip.tui.marks import mark
from drip.tui.screens.place import Place

_MOVING = (("↑ ↓ j k", "up and down"), ("g G", "first and last"), ("tab", "the next part"), ("click", "all of it"))
_SHOWN = ("active", "draft", "archived", "paused", "completed", "cancelled", "failed", "sending", "sent", "unknown",
          "deferred", "skipped")  # fmt: skip

PER_LINE = 4
"""Signs."""


class HelpScreen(Closable[None]):
    """The keys of one place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "close", "Close"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def compose(self) -> ComposeResult:
        """What the place is, its keys, the signs."""
        with Vertical(classes="dialog -help") as box:
            box.border_subtitle = "esc close"
            yield Static(Text(f"Help: {self._place.place}", "bold"), classes="question")
            with VerticalScroll(can_focus=False):
                yield Static(Text(self._place.HELP))
                yield Static(self._keys())
                yield Static(
                    Text.assemble(
                        ("\nsigns   ", "bold"),
                        _signs(),
                    )
                )

    def action_close(self) -> None:
        """Back."""
        self.dismiss(None)

    def action_scroll(self, way: int) -> None:
        """Up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=way, animate=False)

    def _keys(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_row("", "", "")
        for active in keys_of(self._place):
            binding = active.binding
            same = [one.binding for one in self._place.active_bindings.values() if one.binding.action == binding.action]
            shown = " ".join(self.app.get_key_display(one) for one in same)
            table.add_row(Text(shown, "bold"), Text(binding.description), Text(binding.tooltip, "dim"))
        for keys_words, what in _MOVING:
            table.add_row(Text(keys_words, "bold"), Text("Move"), Text(what, "dim"))
        return table


def _signs() -> Text:
    rows = [_SHOWN[start : start + PER_LINE] for start in range(0, len(_SHOWN), PER_LINE)]
    return Text("\n        ").join(Text("   ").join(mark(state) for state in row) for row in rows)
