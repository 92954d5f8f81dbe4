"""The live log: what happens, as it happens. Only the lines on the screen are ever rendered."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from rich.style import Style
from rich.text import Text
from textual.cache import LRUCache
from textual.geometry import Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from drip.core.log_words import data_words, short
from drip.store.events import LogEntry
from drip.tui.marks import mark, safe

KEPT = 1000
"""Lines."""


class LiveLog(ScrollView, can_focus=True):
    """Newest last; follows the end unless it was scrolled away from."""

    news: var[tuple[LogEntry, ...]] = var((), always_update=True)
    """What has happened since it was last set."""

    def __init__(self, zone: tzinfo, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._zone = zone
        self._kept: deque[LogEntry] = deque(maxlen=KEPT)
        self._following = True
        """Whether the end is what is looked at."""
        self._drawn: LRUCache[tuple[int, int, Style], Strip] = LRUCache(KEPT)
        """Lines by event, width and style: each is drawn once, however often the screen is."""

    def watch_news(self, news: tuple[LogEntry, ...]) -> None:
        """Take it in."""
        if not news:
            return
        self._kept.extend(news)
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._kept))
        self._follow()
        self.refresh()

    def on_resize(self) -> None:
        """The end is elsewhere."""
        self._follow()

    def _follow(self) -> None:
        if self._following:
            # By force: whether it can be scrolled is known only after the layout.
            self.scroll_end(animate=False, immediate=True, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever goes up wants to stay there; who comes back to the end follows again."""
        super().watch_scroll_y(old_value, new_value)
        if new_value >= self.max_scroll_y:
            self._following = True
        elif new_value < old_value <= self.max_scroll_y:
            self._following = False

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        at, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        if at >= len(self._kept):
            return Strip.blank(width, self.rich_style)
        entry, style = self._kept[at], self.rich_style
        key = (entry.number, width, style)
        if key not in self._drawn:
            text = log_line(entry, self._zone, width)
            self._drawn[key] = (
                Strip(text.render(self.app.console), text.cell_len).adjust_cell_length(width).apply_style(style)
            )
        return self._drawn[key]


def log_line(entry: LogEntry, zone: tzinfo, width: int) -> Text:
    """One event in a line of so many cells: when, what, who, where, and why."""
    who = entry.email or entry.data.get("email") or ""
    where = "/".join(word for word in (entry.sequence, entry.step) if word)
    at = entry.at.astimezone(zone)
    text = Text(end="").append(f"{at:%H:%M:%S}  " if width < 100 else f"{at:%a %d %b %H:%M:%S}  ", "dim")
    text.append(mark(short(entry.type), f"{short(entry.type):<10} "))
    # So that columns stand under each other as far as there is room; the words, which vary most, come last.
    for word, cells, style in ((str(who), 24 if width < 100 else 32, ""), (where, 18 if width < 100 else 28, "cyan")):
        shown = safe(word, cells)
        text.append(shown.plain + " " * (cells - shown.cell_len + 2), style)
    return text.append(safe(data_words(_told(entry.data)), max(width - text.cell_len, 0)).plain, "dim")


def _told(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in data.items() if name != "message_id"}
