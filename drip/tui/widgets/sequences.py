"""The sequences as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from rich.text import Text
from textual import on
from textual.reactive import var
from textual.widgets import DataTable

from drip.core.subscription import SubscriptionStatus
from drip.tui.marks import due, mark, number, safe, spark
from drip.tui.messages import SequenceWanted
from drip.tui.queries import SequenceRow, Traffic
from drip.tui.widgets.table import Table

Cell = Callable[["SequenceTable", SequenceRow], Text]
_STATUSES = tuple(SubscriptionStatus)


class SequenceTable(Table):
    """A line per sequence; Enter opens it."""

    rows_: var[tuple[SequenceRow, ...]] = var(())
    traffic: var[Traffic | None] = var(None)
    now: var[datetime | None] = var(None)

    def watch_rows_(self) -> None:
        """Show them."""
        self.show()

    def watch_traffic(self) -> None:
        """Show it."""
        self.show()

    def on_resize(self) -> None:
        """Other columns may fit."""
        self.show()

    def show(self) -> None:
        """Draw what changed."""
        if not self.is_mounted or not self.size.width:
            return
        columns = self._columns()
        rows = [(row.slug, [cell(row) for _, cell in columns]) for row in self.rows_]
        self.show_rows([name for name, _ in columns], rows)

    @property
    def slug(self) -> str | None:
        """The sequence under the cursor."""
        return self.cursor_key

    def _columns(self) -> Sequence[tuple[str, Callable[[SequenceRow], Text]]]:
        wide, full = self.size.width >= 106, self.size.width >= 150
        found: list[tuple[str, Callable[[SequenceRow], Text]]] = [
            ("status", lambda row: mark(row.status)),
            ("sequence", lambda row: safe(row.slug, 40 if full else 22)),
        ]
        if full:
            found += [("name", lambda row: safe(row.name, 40)), ("steps", lambda row: _right(row.steps))]
        found += [(status.value, _counter(status)) for status in (_STATUSES if wide else _STATUSES[:1])]
        found += [("next due", self._due)]
        hours, slots = (24, 56 if self.size.width >= 190 else 28) if full else (12, 14) if wide else (12, 7)
        found += [
            ("last 24 h", lambda row: self._spark(row, "sent", hours)),
            ("next 7 days", lambda row: self._spark(row, "coming", slots)),
        ]
        return found

    def _due(self, row: SequenceRow) -> Text:
        if row.counts is None or self.now is None:
            return Text("")
        if row.status != "active" and row.counts.next_due_at is not None:
            return Text("held", "yellow")
        return Text(due(row.counts.next_due_at, self.now))

    def _spark(self, row: SequenceRow, kind: str, width: int) -> Text:
        if self.traffic is None:
            return Text(" " * width)
        found = (self.traffic.sent if kind == "sent" else self.traffic.coming).get(row.id, ())
        return spark(found, width, "green" if kind == "sent" else "cyan")

    @on(DataTable.RowSelected)
    def _open(self, event: DataTable.RowSelected) -> None:
        event.stop()
        if event.row_key.value is not None:
            self.post_message(SequenceWanted(event.row_key.value))


def _counter(status: SubscriptionStatus) -> Callable[[SequenceRow], Text]:
    def cell(row: SequenceRow) -> Text:
        if not row.counted:
            return Text("…", "dim", justify="right")
        value = row.counts.by_status[status] if row.counts else 0
        return _right(value, "red" if status is SubscriptionStatus.FAILED and value else "")

    return cell


def _right(value: int, colour: str = "") -> Text:
    return Text(number(value), colour or ("" if value else "dim"), justify="right")
