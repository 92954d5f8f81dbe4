"""How things look: a glyph and a word for every state, bars, and foreign text made safe. No colour stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from drip.core.plain import clean, distance

MARKS: dict[str, tuple[str, str]] = {
    "active": ("●", "green"),
    "draft": ("○", "yellow"),
    "archived": ("▪", "bright_black"),
    "paused": ("‖", "yellow"),
    "completed": ("✓", "cyan"),
    "cancelled": ("×", "bright_black"),
    "failed": ("!", "red"),
    "sending": ("→", "cyan"),
    "sent": ("✓", "green"),
    "unknown": ("?", "magenta"),
    "deferred": ("~", "yellow"),
    "skipped": ("»", "bright_black"),
    "dead": ("!", "red"),
    "error": ("!", "red"),
    "warning": ("▲", "yellow"),
    "waiting": ("·", "cyan"),
    "subscribed": ("+", "green"),
    "resumed": ("▸", "green"),
    "retried": ("↻", "cyan"),
    "resolved": ("✓", "cyan"),
    "applied": ("⇡", "cyan"),
}
"""State or event -> glyph and colour."""
SIGNS = {"+": "green", "~": "yellow", "-": "red", "?": "cyan"}
"""The colours of a plan's signs."""
_BARS = "▁▂▃▄▅▆▇"
"""None of them is as high as the line: rows under each other stay apart."""
LONGEST = 10_000
"""Characters of one text that are shown at most."""


def mark(state: str, word: str | None = None) -> Text:
    """`● active`; the word is the state's own unless another is given."""
    glyph, colour = MARKS.get(state, ("·", "default"))
    return Text.assemble((glyph, colour), " ", word if word is not None else state)


def safe(text: object, width: int | None = None) -> Text:
    """One line of foreign text: control characters as escapes, no markup, cut to a width in cells."""
    return Text(cut(clean(str(text)[:LONGEST]), width), no_wrap=width is not None)


def cut(text: str, width: int | None) -> str:
    """Text of at most that many cells, with `…` where it was longer."""
    if width is None or cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…"


def spark(values: Sequence[int], width: int, colour: str) -> Text:
    """Bars a row high: as many as the width allows; `·` where nothing was."""
    if not values or not any(values):
        return Text("·" * width, "bright_black")
    found = squeeze(values, width)
    top = max(found)
    text = Text()
    for value in found:
        if value:
            text.append(_BARS[min(value * len(_BARS) // (top + 1), len(_BARS) - 1)], colour)
        else:
            text.append("·", "bright_black")
    return text


def squeeze(values: Sequence[int], width: int) -> list[int]:
    """The same total in at most `width` slots."""
    size = -(-len(values) // max(width, 1))
    return [sum(values[start : start + size]) for start in range(0, len(values), size)]


def bar(part: int, whole: int, width: int, colour: str) -> Text:
    """A horizontal bar, in eighths of a cell."""
    eighths = round(part / whole * width * 8) if whole else 0
    if part and not eighths:
        eighths = 1
    full, rest = divmod(eighths, 8)
    return Text("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else ""), colour)


def number(value: int) -> str:
    """`1,234,567`."""
    return f"{value:,}"


def short_moment(at: datetime | None, zone: tzinfo, now: datetime) -> str:
    """`14:30` today, `Fri 27 Mar 14:30` this year, else with the year; empty for None."""
    if at is None:
        return ""
    shown, today = at.astimezone(zone), now.astimezone(zone)
    if shown.date() == today.date():
        return f"{shown:%H:%M}"
    return f"{shown:%a} {shown.day} {shown:%b %H:%M}" if shown.year == today.year else f"{shown:%Y-%m-%d %H:%M}"


def due(at: datetime | None, now: datetime) -> str:
    """`now`, `in 2h`, `overdue 3m`; empty for None."""
    if at is None:
        return ""
    words = distance(at, now)
    return f"overdue {words.removesuffix(' ago')}" if words.endswith(" ago") else words
