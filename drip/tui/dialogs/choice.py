"""One of a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from drip.tui.dialogs.leaving import Closable


class Choice(Closable[str]):
    """Each with what it would do."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave it")]

    def __init__(self, question: str, choices: Sequence[tuple[str, Text, str]], now: str) -> None:
        """`choices` are (answer, its name, what it does); `now` is what it is at present."""
        super().__init__()
        self._question, self._choices, self._now = question, choices, now

    def compose(self) -> ComposeResult:
        """The question and the choices."""
        with Vertical(classes="dialog") as box:
            box.border_subtitle = "⏎ choose · esc leave it"
            yield Static(Text(self._question, "bold"), classes="question")
            yield OptionList(
                *(
                    Option(Text.assemble(name, "  (now)" if key == self._now else "", (f"\n  {words}", "dim")), id=key)
                    for key, name, words in self._choices
                )
            )

    def on_mount(self) -> None:
        """Begin at what is."""
        options = self.query_one(OptionList)
        options.highlighted = next((at for at, one in enumerate(self._choices) if one[0] == self._now), 0)
        options.focus()

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(None if event.option_id == self._now else event.option_id)

    def action_leave(self) -> None:
        """Change nothing."""
        self.dismiss(None)
