"""The bottom line: the keys that do something now. Those of all places stay at its right end, whatever the width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Key:
    """One of them."""

    key: str
    display: str
    word: str
    shown: bool
    """Whether it is among those that come first."""
    everywhere: bool
    """Whether it is the app's."""

    @property
    def width(self) -> int:
        """Cells, with a space before and after."""
        return cell_len(self.display) + (cell_len(self.word) + 1 if self.word else 0) + 2


class KeyLine(Widget):
    """Keys and words, for the eye and the mouse."""

    COMPONENT_CLASSES = {"keys--key", "keys--more"}  # noqa: RUF012
    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; background: $panel; color: $foreground; }
    KeyLine > .keys--key { color: $accent; text-style: bold; }
    KeyLine > .keys--more { color: $foreground-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[Key, ...] = ()
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Follow what is enabled."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self._changed(self.screen)

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            keys = tuple(self._now())
            if keys != self._keys:
                self._keys = keys
                self.refresh()

    def _now(self) -> Iterable[Key]:
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.action in seen or not active.enabled or not (binding.show or binding.tooltip):
                continue
            seen.add(binding.action)
            everywhere = isinstance(active.node, App)
            if binding.show or not everywhere:
                yield Key(
                    *(binding.key, self.app.get_key_display(binding), binding.description),
                    *(binding.show, everywhere),
                )

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line."""
        return 1

    def render(self) -> Text:
        """As many as fit, those that are always shown first; `…` says that `?` knows more."""
        right = [key for key in self._keys if key.everywhere]
        own = sorted((key for key in self._keys if not key.everywhere), key=lambda key: not key.shown)
        if _width(right) + _width(key for key in own if key.shown) > self.size.width:
            right = [key if key.key == "question_mark" else replace(key, word="") for key in right]
        room = self.size.width - _width(right)
        fits = [_width(own[: number + 1]) + 2 <= room for number in range(len(own))]
        text, self._spans = Text(end="", no_wrap=True), []
        self._add(text, own[: sum(fits)])
        if not all(fits):
            text.append("…", self.get_component_rich_style("keys--more", partial=True))
        text.append(" " * max(room - text.cell_len, 0))
        self._add(text, right)
        return text

    def _add(self, text: Text, keys: Iterable[Key]) -> None:
        style = self.get_component_rich_style("keys--key", partial=True)
        for key in keys:
            self._spans.append((text.cell_len, text.cell_len + key.width, key.key))
            text.append(f" {key.display} ", style).append(f"{key.word} " if key.word else "")

    def on_click(self, event: events.Click) -> None:
        """The key under the mouse is pressed."""
        for start, end, key in self._spans:
            if start <= event.x < end:
                self.app.simulate_key(key)


def _width(keys: Iterable[Key]) -> int:
    return sum(key.width for key in keys)
