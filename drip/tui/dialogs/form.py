"""A few fields: who is to be subscribed, what a new sequence is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Static

from drip.tui.dialogs.leaving import LeftOnce
from drip.tui.marks import safe

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """One line to fill in."""

    key: str
    label: str
    placeholder: str = ""
    value: str = ""


class Form(LeftOnce[T | None], Generic[T]):
    """Gives what `read` makes of the fields; what it refuses is said in the dialog."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave it"), Binding("ctrl+s", "take", "Done")]

    def __init__(
        self, question: str, words: str, fields: Sequence[Field], verb: str, read: Callable[[Mapping[str, str]], T]
    ) -> None:
        """`read` raises ValueError with what is wrong."""
        super().__init__()
        self._question, self._words, self._fields, self._verb, self._read = question, words, fields, verb, read

    def compose(self) -> ComposeResult:
        """The fields, and two buttons."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._question, "bold"), classes="question")
            yield Static(Text(self._words, "dim"), classes="words")
            for field in self._fields:
                yield Label(Text(field.label))
                yield Input(field.value, field.placeholder, id=field.key, compact=True, classes="field")
            yield Static(id="wrong")
            with Horizontal(classes="buttons"):
                yield Button(Text(self._verb), variant="primary", id="yes", compact=True)
                yield Button(Text("Leave it (esc)"), id="no", compact=True)

    @on(Input.Submitted)
    def _submit(self) -> None:
        self.action_take()

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self.action_take()
        else:
            self.dismiss(None)

    def action_take(self) -> None:
        """Read the fields."""
        given = {field.key: self.query_one(f"#{field.key}", Input).value.strip() for field in self._fields}
        try:
            answer = self._read(given)
        except ValueError as error:
            self.query_one("#wrong", Static).update(Text("! ", "red").append(safe(error)))
            return
        self.dismiss(answer)

    def action_leave(self) -> None:
        """Change nothing."""
        self.dismiss(None)
