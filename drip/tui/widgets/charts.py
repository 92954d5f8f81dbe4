"""Two charts for wide terminals: what went out by hour, what is due by quarter of a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from rich.text import Text
from textual.reactive import var
from textual.widgets import Static

from drip.tui.marks import number, squeeze
from drip.tui.queries import Traffic

_EIGHTHS = " ▁▂▃▄▅▆▇█"
LEAST, MOST = 6, 14
"""Rows of one chart."""


class Charts(Static):
    """All sequences together."""

    traffic: var[Traffic | None] = var(None)
    now: var[datetime | None] = var(None)

    def __init__(self, zone: tzinfo, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._zone = zone
        self.border_title = "traffic"

    def watch_traffic(self) -> None:
        """Draw."""
        self.refresh()

    def render(self) -> Text:
        """Both, one over the other."""
        if self.traffic is None or self.now is None:
            return Text("…", "dim")
        sent = _sum(list(self.traffic.sent.values()), 24)
        coming = squeeze(_sum(list(self.traffic.coming.values()), 56), 28)
        begun = (self.now - timedelta(hours=24)).astimezone(self._zone)
        text = Text.assemble(("sent in the last 24 hours: ", "bold"), number(sum(sent)), "\n")
        height = min(max((self.size.height - 6) // 2, LEAST), MOST)
        text.append(_chart(sent, height, "green"))
        text.append(f"{begun:%H:%M}".ljust(45) + "now\n\n", "dim")
        text.append(Text.assemble(("due in the next 7 days: ", "bold"), number(sum(coming)), "\n"))
        text.append(_chart(coming, height, "cyan"))
        days = [(self.now + timedelta(days=day)).astimezone(self._zone) for day in range(7)]
        return text.append("".join(f"{day:%a}".ljust(8) for day in days), "dim")


def _sum(rows: Sequence[Sequence[int]], slots: int) -> list[int]:
    return [sum(row[slot] for row in rows) for slot in range(slots)]


def _chart(values: Sequence[int], height: int, colour: str) -> Text:
    top = max([*values, 1])
    text = Text()
    for line in range(height - 1, -1, -1):
        for value in values:
            eighths = min(max(-(-value * height * 8 // top) - line * 8, 0), 8)
            text.append(_EIGHTHS[eighths] + " ", colour)
        text.append("\n")
    return text
