"""Home: the sequences, the state of the whole, and what happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import var
from textual.widget import Widget

from drip.errors import DripError
from drip.store.events import LogEntry
from drip.tui.messages import SequenceWanted
from drip.tui.queries import SequenceRow, Situation, Traffic
from drip.tui.screens.place import Place
from drip.tui.widgets.charts import Charts
from drip.tui.widgets.empty import Empty
from drip.tui.widgets.figures import Figures
from drip.tui.widgets.log import LiveLog
from drip.tui.widgets.sequences import SequenceTable

if TYPE_CHECKING:
    from drip.store.store import Store

PREPARED = ("there is no database yet", "press 3: Files shows what applying your sequence files would do, and does it")
NOTHING = ("no sequence is applied yet", "press 3: Files shows your sequence files; n there makes a new one")


@dataclass(frozen=True, slots=True)
class _Whole:
    rows: tuple[SequenceRow, ...]
    at: datetime


class HomeScreen(Place):
    """Where one arrives."""

    HELP = (
        "Every sequence with its people, what went out in the last day, what is due in the week to come, and the log."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", tooltip="Open the sequence under the cursor"),
        Binding("u", "subscribe", "Subscribe", tooltip="Add a person to the sequence under the cursor"),
        Binding("s", "status", "Status", tooltip="Set the status of the sequence under the cursor"),
        Binding("l", "log", "Log", show=False, tooltip="Go to the log, to scroll in it"),
    ]

    rows: var[tuple[SequenceRow, ...]] = var(())
    traffic: var[Traffic | None] = var(None)
    news: var[tuple[LogEntry, ...]] = var((), always_update=True)
    empty: var[tuple[str, str] | None] = var(None)
    now: var[datetime | None] = var(None)

    def __init__(self) -> None:
        super().__init__()
        self._last: int | None = None

    def content(self) -> Iterable[Widget]:
        """Figures, sequences, log."""
        yield Figures().data_bind(Place.glance)
        yield Empty().data_bind(words=HomeScreen.empty)
        table = SequenceTable(id="sequences")
        table.border_title = "sequences"
        yield table.data_bind(rows_=HomeScreen.rows, traffic=HomeScreen.traffic, now=HomeScreen.now)
        log = LiveLog(self.desk.zone, id="log")
        log.border_title = "log"
        charts = Charts(self.desk.zone, id="charts").data_bind(HomeScreen.traffic, HomeScreen.now)
        yield Horizontal(Vertical(log.data_bind(HomeScreen.news)), charts, id="below")

    def load(self) -> None:
        """Ask for sequences, traffic and log."""
        if self.desk.situation is Situation.MISSING:
            self.empty = PREPARED
            return
        if self.rows:
            self.ask("sequences", self._sequences, self._take_sequences, gently=True)
        else:
            self.ask("sequences", lambda store: self.desk.sequences(store, count=False), self._take_names)
        self.ask("log", lambda store: self.desk.log(store, self._last), self._take_log, gently=True)

    def refused(self, error: DripError, about: str) -> None:
        """A database that can't be used leaves the place empty."""
        if about in ("sequences", "traffic", "log") and not self.rows:
            self.empty = (error.message, error.hint or "")
        else:
            super().refused(error, about)

    def _sequences(self, store: Store) -> _Whole:
        return _Whole(self.desk.sequences(store), self.desk.clock())

    def _take_names(self, rows: tuple[SequenceRow, ...]) -> None:
        """The first time, names come before numbers."""
        self.rows = rows
        self.empty = None if rows else NOTHING
        if rows:
            # Not before they are painted: counting a million takes a core that the first picture needs.
            self.call_after_refresh(self.ask, "sequences", self._sequences, self._take_sequences)

    def _take_sequences(self, whole: _Whole) -> None:
        self.now = whole.at
        self.rows = whole.rows
        self.ask("traffic", self.desk.traffic, self._take_traffic, gently=True)

    def _take_traffic(self, traffic: Traffic) -> None:
        self.traffic = traffic

    def _take_log(self, entries: list[LogEntry]) -> None:
        fresh = tuple(entry for entry in entries if self._last is None or entry.number > self._last)
        if fresh:
            self._last = fresh[-1].number
            self.news = fresh

    @property
    def slug(self) -> str | None:
        """The sequence under the cursor."""
        return self.query_one(SequenceTable).slug

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys for a sequence need one; there is nowhere to go back to."""
        if action == "back":
            return False
        if action == "log":
            return self.empty is None
        return bool(self.rows) if action in ("open", "subscribe", "status") else True

    def watch_empty(self) -> None:
        """Where there is nothing, only the words are shown."""
        for widget in (Figures, SequenceTable, "#below"):
            self.query(widget).set(display=self.empty is None or (self.empty == NOTHING and widget is Figures))
        self.refresh_bindings()

    def watch_rows(self, before: tuple[SequenceRow, ...], now: tuple[SequenceRow, ...]) -> None:
        """The keys depend on whether there are any."""
        if bool(before) != bool(now):
            self.refresh_bindings()

    def action_open(self) -> None:
        """Open the sequence under the cursor."""
        if self.slug is not None:
            self.post_message(SequenceWanted(self.slug))

    def action_subscribe(self) -> None:
        """Add a person to the sequence under the cursor."""
        if self.slug is not None:
            self.host.doing.subscribe(self, self.slug)

    def action_status(self) -> None:
        """Set the status of the sequence under the cursor."""
        if self.slug is not None:
            status = next(row.status for row in self.rows if row.slug == self.slug)
            self.host.doing.set_status(self, self.slug, status)

    def action_log(self) -> None:
        """Go to the log."""
        self.set_focus(self.query_one(LiveLog))
