"""People as a table that grows as one goes down."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo

from rich.text import Text
from textual import on
from textual.reactive import var
from textual.widgets import DataTable

from drip.core.delivery import DeliveryState
from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.store.board import Face
from drip.tui.marks import due, mark, safe, short_moment
from drip.tui.messages import MorePeopleWanted
from drip.tui.widgets.table import Table

NEAR = 30
"""Rows before the end at which more are wanted."""

STALE = 10
"""Seconds after which the words about time are made anew."""


class PeopleTable(Table):
    """A line per person; Enter opens them."""

    faces: var[tuple[Face, ...]] = var(())
    now: var[datetime | None] = var(None)

    def __init__(self, zone: tzinfo, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._zone = zone
        self._made: dict[Face, list[Text]] = {}
        """The cells of each, as long as they stay the same."""
        self._made_for: tuple[object, ...] = ()

    def watch_faces(self) -> None:
        """Draw."""
        self.show()

    def on_resize(self) -> None:
        """More or less fits."""
        self.show()

    def show(self) -> None:
        """Draw what changed."""
        if not self.is_mounted or not self.size.width:
            return
        everything = ["status", "email", "name", "next", "due", "last sent"]
        rows = [(str(face.id), dict(zip(everything, cells, strict=True))) for face, cells in self._all_cells()]
        names = self._that_fit(everything, [cells for _, cells in rows])
        shown = [(key, [cells[name] for name in names]) for key, cells in rows]
        self.show_rows(names, self.fitted(names, shown, {"next": 8, "email": 16, "status": 8}))

    def _that_fit(self, names: list[str], rows: list[dict[str, Text]]) -> list[str]:
        """The columns there is room for; who it is, what is next and when are always shown."""
        for spare in ("last sent", "name"):
            widths = [max([len(name), *(row[name].cell_len for row in rows)]) for name in names]
            if sum(widths) + 2 * self.cell_padding * len(names) <= self.scrollable_content_region.width:
                break
            names = [name for name in names if name != spare]
        return names

    @property
    def face(self) -> Face | None:
        """Who is under the cursor."""
        key = self.cursor_key
        return next((face for face in self.faces if str(face.id) == key), None)

    def _all_cells(self) -> Iterable[tuple[Face, list[Text]]]:
        if not self.faces:
            return ()
        look = (self._now.timestamp() // STALE, self.size.width)
        kept = self._made if look == self._made_for else {}
        self._made = {face: kept.get(face) or self._cells(face) for face in self.faces}
        self._made_for = look
        return self._made.items()

    def _cells(self, face: Face) -> list[Text]:
        sent = Text(short_moment(face.last_sent_at, self._zone, self._now))
        address = safe(face.email, 44 if self.size.width >= 100 else 30)
        return [_status(face), address, safe(face.name, 24), safe(face.next_step or "", 20), self._due(face), sent]

    def _due(self, face: Face) -> Text:
        if face.status is SubscriptionStatus.ACTIVE and face.state is DeliveryState.UNKNOWN:
            return mark("unknown")
        if face.status is not SubscriptionStatus.ACTIVE or face.next_send_at is None:
            return Text("")
        words = due(face.next_send_at, self._now)
        return mark("deferred", words) if face.state is DeliveryState.DEFERRED else Text(words)

    @property
    def _now(self) -> datetime:
        assert self.now is not None  # it is set before any face is
        return self.now

    @on(DataTable.RowHighlighted)
    def _near_the_end(self, event: DataTable.RowHighlighted) -> None:
        if event.cursor_row >= len(self.faces) - NEAR:
            self.post_message(MorePeopleWanted())


def _status(face: Face) -> Text:
    by_hand = face.cancel_reason in (None, CancelReason.MANUAL)
    return mark(face.status.value, None if by_hand else face.cancel_reason)
