"""The live log: what happens, as it happens. Only the lines on the screen are ever rendered."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from rich.text import Text
from textual.geometry import Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from drip.core.log_words import data_words, short
from drip.store.events import LogEntry
from drip.tui.marks import mark, safe

KEPT = 1000
"""Lines."""
LONGEST = 200
"""Cells of one part of a line."""


class LiveLog(ScrollView, can_focus=True):
    """Newest last; follows the end unless it was scrolled away from."""

    news: var[tuple[LogEntry, ...]] = var((), always_update=True)
    """What has happened since it was last set."""

    def __init__(self, zone: tzinfo, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._zone = zone
        self._kept: deque[LogEntry] = deque(maxlen=KEPT)

    def watch_news(self, news: tuple[LogEntry, ...]) -> None:
        """Take it in."""
        if not news:
            return
        at_end = self.is_vertical_scroll_end
        self._kept.extend(news)
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._kept))
        if at_end:
            self.scroll_end(animate=False, immediate=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        at, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        if at >= len(self._kept):
            return Strip.blank(width, self.rich_style)
        text = log_line(self._kept[at], self._zone)
        strip = Strip(text.render(self.app.console), text.cell_len)
        return strip.adjust_cell_length(width).apply_style(self.rich_style)


def log_line(entry: LogEntry, zone: tzinfo) -> Text:
    """One event in a line."""
    who = entry.email or entry.data.get("email") or ""
    where = "/".join(word for word in (entry.sequence, entry.step) if word)
    text = Text(end="").append(f"{entry.at.astimezone(zone):%H:%M:%S}  ", "dim")
    text.append(mark(short(entry.type), f"{short(entry.type):<10} "))
    for word, style in ((where, "cyan"), (str(who), ""), (data_words(_told(entry.data)), "dim")):
        if word:
            text.append(safe(word, LONGEST).plain + "  ", style)
    return text


def _told(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in data.items() if name != "message_id"}
