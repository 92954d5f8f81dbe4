"""The top line: where one is, who is at work, what the time is."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import var
from textual.widgets import Static

from drip.core.plain import distance
from drip.tui.marks import safe
from drip.tui.queries import Glance
from drip.tui.widgets.line import Line

PLACES = (("home", "1", "Home"), ("attention", "2", "Attention"), ("files", "3", "Files"))

WIDE = 100
"""Cells from which on the project and the zone are named too."""


class PlaceTab(Line):
    """A place to go to with the mouse; the key is beside it."""

    def __init__(self, place: str, key: str, word: str, here: bool) -> None:
        super().__init__(Text(f" {key} {word} "), classes="-here" if here else "")
        self._place, self._key, self._word = place, key, word

    def count(self, number: int) -> None:
        """Show how many things wait there."""
        self.say(Text(f" {self._key} {self._word}{f' ({number})' if number else ''} "), layout=True)

    def on_click(self) -> None:
        """Go there."""
        # By the app, not by this tab: it may go away with its place, which would wait for the tab to be done.
        self.app.call_later(self.app.run_action, f"app.place('{self._place}')")


class TopLine(Horizontal):
    """One line at the top of every place."""

    glance: var[Glance | None] = var(None)

    def __init__(self, here: str, project: str, zone: ZoneInfo) -> None:
        super().__init__()
        self._here, self._project, self._zone = here, project, zone

    def compose(self) -> ComposeResult:
        """The name, the tabs, and who is at work."""
        yield Static(Text(" drip ", "bold"), id="brand")
        for place, key, word in PLACES:
            yield PlaceTab(place, key, word, place == self._here)
        yield Line(id="at-work")

    def on_mount(self) -> None:
        """Show what is known."""
        self.watch_glance()

    def on_resize(self) -> None:
        """More or less fits."""
        self.watch_glance()

    def watch_glance(self) -> None:
        """Show who is at work."""
        if not self.is_mounted:
            return
        self.query_one("#at-work", Line).say(self._words())
        if self.glance is not None:
            needed = self.glance.state.unknown + self.glance.state.failed + self.glance.backlog.dead
            self.query(PlaceTab)[1].count(needed)

    def _last(self) -> str:
        assert self.glance is not None
        if self.glance.state.last_run_at is None:
            return ", never run"
        seen = distance(self.glance.state.last_run_at, self.glance.at)
        if self.size.width < WIDE and len(units := seen.split()) == 3:
            seen = f"{units[0]} ago"
        return ", ran just now" if seen == "now" else f", ran {seen}"

    def _words(self) -> Text:
        name = safe(self._project, 30)
        if self.glance is None:
            return name.append(" ")
        at = self.glance.at.astimezone(self._zone)
        working = self.glance.at_work
        who = (
            Text.assemble(("● ", "green"), f"{working} at work") if working else Text(f"○ nobody at work{self._last()}")
        )
        if self.size.width < WIDE:
            return Text.assemble(who, f"  {at:%H:%M} ")
        return Text.assemble(who, "   ", name, f"   {at:%a %H:%M} {self._zone.key} ")
