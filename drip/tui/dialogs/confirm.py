"""Yes or no, with what yes would do."""

from __future__ import annotations

from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from drip.tui.dialogs.leaving import LeftOnce


class Confirm(LeftOnce[bool]):
    """The focus is on no; y says yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,right", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, question: str, effect: RenderableType, verb: str) -> None:
        super().__init__()
        self._question, self._effect, self._verb = question, effect, verb

    def compose(self) -> ComposeResult:
        """The question, the effect, two buttons."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._question, "bold"), classes="question")
            effect = Text(self._effect) if isinstance(self._effect, str) else self._effect
            with VerticalScroll(classes="effect", can_focus=False):
                yield Static(effect)
            with Horizontal(classes="buttons"):
                yield Button(Text(f"{self._verb} (y)"), variant="warning", id="yes", compact=True)
                yield Button(Text("No (n)"), id="no", compact=True)

    def on_mount(self) -> None:
        """No is the way that Enter goes."""
        self.query_one("#no", Button).focus()

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer."""
        self.dismiss(yes)
