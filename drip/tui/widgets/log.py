"""The live log: what happens, as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from rich.text import Text
from textual.reactive import reactive
from textual.widgets import RichLog

from drip.core.log_words import data_words, short
from drip.store.events import LogEntry
from drip.tui.marks import mark, safe

KEPT = 1000
"""Lines."""


class LiveLog(RichLog):
    """Newest last; follows the end unless it was scrolled away from."""

    news: reactive[tuple[LogEntry, ...]] = reactive((), always_update=True)
    """What has happened since it was last set."""

    def __init__(self, zone: tzinfo, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(max_lines=KEPT, min_width=40, wrap=False, id=id)
        self._zone = zone

    def watch_news(self, news: tuple[LogEntry, ...]) -> None:
        """Write it."""
        at_end = self.is_vertical_scroll_end
        for entry in news:
            self.write(log_line(entry, self._zone), scroll_end=False)
        if news and at_end:
            self.scroll_end(animate=False)


def log_line(entry: LogEntry, zone: tzinfo) -> Text:
    """One event in a line."""
    who = entry.email or entry.data.get("email") or ""
    where = "/".join(word for word in (entry.sequence, entry.step) if word)
    text = Text(f"{entry.at.astimezone(zone):%H:%M:%S}  ", "dim", no_wrap=True, end="")
    text.append(mark(short(entry.type), f"{short(entry.type):<10} "))
    for word, style in ((where, "cyan"), (str(who), ""), (data_words(_told(entry.data)), "dim")):
        if word:
            text.append(safe(word, 200).plain + "  ", style)
    return text


def _told(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in data.items() if name != "message_id"}
