"""A table that is told what to show and redraws only what differs; the cursor stays with its row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import DataTable

Row = tuple[str, list[Text]]
"""Its key, its cells."""
DRAWN = 500
"""Lines that are kept as they were drawn."""


class Table(DataTable[Text]):
    """Rows with keys. Columns are as wide as what was in them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", tooltip="Open what is under the cursor"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "scroll_top", "First", show=False),
        Binding("G", "scroll_bottom", "Last", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(
            id=id, cursor_type="row", zebra_stripes=False, cell_padding=1, cursor_foreground_priority="renderable"
        )
        self._names: list[str] = []
        self._widths: list[int] = []
        self._room = 0
        """Cells that there were for them."""
        self._shown: list[Row] = []
        self._drawn: LRUCache[tuple[object, ...], Strip] = LRUCache(DRAWN)
        self._style: Style | None = None
        """While lines are drawn: that of all of them."""

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor; None without rows."""
        if not 0 <= self.cursor_row < len(self._shown):
            return None
        return self._shown[self.cursor_row][0]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter is a key only where something is under the cursor that the place can open."""
        if action == "select_cursor":
            return bool(self._shown) and self.screen.check_action("open", ()) is not False
        return super().check_action(action, parameters)

    @property
    def rich_style(self) -> Style:
        """Found out once for all lines of a drawing: it asks all that the table lies in."""
        return self._style or super().rich_style

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some of its lines."""
        self._style = super().rich_style
        try:
            return super().render_lines(crop)
        finally:
            self._style = None

    def _render_line(self, y: int, x1: int, x2: int, base_style: Style) -> Strip:
        # Textual draws every row anew where the cursor moves; only the two that it leaves and comes to look different.
        row = y - self.header_height
        marked = (row == self.cursor_row, row == self.hover_row, self._show_hover_cursor, self.show_cursor)
        look = (base_style, self.app.theme, self._update_count, self._pseudo_class_state)
        key = (y, x1, x2, self.size.width, *marked, *look)
        if key not in self._drawn:
            self._drawn[key] = super()._render_line(y, x1, x2, base_style)
        return self._drawn[key]

    def show_rows(self, names: Sequence[str], rows: Iterable[Row]) -> None:
        """Show these rows under these names. Where they go on as those before, only what differs is drawn."""
        rows, names, room = list(rows), list(names), self.scrollable_content_region.width
        anything = bool(self._shown)
        if (names, room) != (self._names, self._room):
            self._names, self._widths, self._room = names, [Text(name).cell_len for name in names], room
            self._rebuild(rows)
        elif any(old[0] != new[0] for old, new in zip(self._shown, rows, strict=False)) or len(rows) < len(self._shown):
            self._replace(rows)
        elif self._grow(rows):
            self._rebuild(rows)
        else:
            self._amend(rows)
        if bool(rows) != anything:
            self.refresh_bindings()

    def room_beside(self, names: Sequence[str], rows: Sequence[Row]) -> int:
        """Cells that are left for one more column."""
        widths = _widths([cell_len(name) for name in names], rows)
        return self.scrollable_content_region.width - sum(widths) - 2 * self.cell_padding * (len(names) + 1)

    def fitted(self, names: Sequence[str], rows: Sequence[Row], least: Mapping[str, int]) -> list[Row]:
        """The rows, with cells cut where there is no room for all.

        Args:
            least: which columns may be cut, in this order, and how many cells stay of each.
        """
        widths = _widths([cell_len(name) for name in names], rows)
        over = sum(widths) + 2 * self.cell_padding * len(names) - self.scrollable_content_region.width
        for name, fewest in least.items():
            at = names.index(name)
            width = max(widths[at] - max(over, 0), min(fewest, widths[at]))
            over -= widths[at] - width
            widths[at] = width
        return [(key, [_cut(cell, width) for cell, width in zip(cells, widths, strict=True)]) for key, cells in rows]

    def _amend(self, rows: list[Row]) -> None:
        for (key, old), (_, new) in zip(self._shown, rows, strict=False):
            for name, was, cell in zip(self._names, old, new, strict=True):
                if was is not cell and (was != cell or was.style != cell.style):
                    self.update_cell(key, name, cell)
        for key, cells in rows[len(self._shown) :]:
            self.add_row(*cells, key=key)
        self._shown = rows

    def _rebuild(self, rows: list[Row]) -> None:
        key, at = self.cursor_key, self.cursor_row
        self._grow(rows)
        self.clear(columns=True)
        for name, width in zip(self._names, self._widths, strict=True):
            self.add_column(Text(name, "bold"), key=name, width=width)
        self._fill(rows, key, at)

    def _replace(self, rows: list[Row]) -> None:
        if self._grow(rows):
            self._rebuild(rows)
            return
        key, at = self.cursor_key, self.cursor_row
        self.clear()
        self._fill(rows, key, at)

    def _fill(self, rows: list[Row], key: str | None, at: int) -> None:
        for row_key, cells in rows:
            self.add_row(*cells, key=row_key)
        self._shown = rows
        keys = [row_key for row_key, _ in rows]
        place = keys.index(key) if key in keys else min(at, len(keys) - 1)
        if place > 0:
            self.move_cursor(row=place, animate=False)

    def _grow(self, rows: list[Row]) -> bool:
        """Widen the columns to what is in them; whether any was too narrow."""
        widths = _widths(self._widths, rows)
        if sum(widths) + 2 * self.cell_padding * len(widths) > self._room:
            widths = _widths([cell_len(name) for name in self._names], rows)
        grown = widths != self._widths
        self._widths = widths
        return grown


def _widths(least: Sequence[int], rows: Sequence[Row]) -> list[int]:
    return [max([width, *(cells[at].cell_len for _, cells in rows)]) for at, width in enumerate(least)]


def _cut(cell: Text, width: int) -> Text:
    if cell.cell_len <= width:
        return cell
    short = cell.copy()
    short.truncate(width, overflow="ellipsis")
    return short
