"""The steps of a sequence as a funnel."""

from __future__ import annotations

from datetime import timedelta

from rich.text import Text
from textual import on
from textual.content import Content
from textual.reactive import var
from textual.widgets import DataTable

from drip.core.difference import in_words
from drip.core.durations import format_duration
from drip.core.plain import count
from drip.core.sequence import DelayFrom, Sequence, Step
from drip.store.overview import StepCounts
from drip.tui.marks import bar, number, safe
from drip.tui.messages import StepMoved
from drip.tui.queries import Funnel
from drip.tui.widgets.table import Table

_UNITS = {"d": "day", "h": "hour", "m": "minute", "s": "second"}

SHORTEST_BAR = 8
"""Cells."""


class FunnelTable(Table):
    """A line per step: what it waits for, and what became of it."""

    funnel: var[Funnel | None] = var(None)

    def watch_funnel(self) -> None:
        """Draw."""
        self.show()

    def on_resize(self) -> None:
        """More or less fits."""
        self.show()

    def show(self) -> None:
        """Draw what changed."""
        if not self.is_mounted or not self.size.width or self.funnel is None:
            return
        wide = self.size.width >= 84
        words = ["after", "at", "window"] if wide else ["after"]
        names = ["step", *words, "waiting", "sent", "skipped", "failed", "left"]
        sequence, top = self.funnel.stored.sequence, self._top()
        rows = []
        for step in sequence.steps:
            counts = self._counts(step)
            found = self._times(step, wide) + self._numbers(step, counts)
            rows.append((step.key, [safe(step.key, 24 if wide else 18), *found]))
        if (room := self.room_beside(names, rows)) >= SHORTEST_BAR:
            names.append("sent to")
            for step, (_, cells) in zip(sequence.steps, rows, strict=True):
                cells.append(bar(self._counts(step).sent, top, room, "green"))
        self.show_rows(names, rows)
        self._say_when()

    def _say_when(self) -> None:
        """What the step under the cursor waits for, in words, on the lower border."""
        sequence = self.funnel.stored.sequence if self.funnel is not None else None
        step = sequence.step(self.cursor_key) if sequence is not None and self.cursor_key is not None else None
        if sequence is not None and step is not None:
            self.border_subtitle = Content(safe(f"{step.key}: {when_in_words(sequence, step)}").plain)

    def _counts(self, step: Step) -> StepCounts:
        assert self.funnel is not None
        return self.funnel.steps.get(self.funnel.stored.ids[step.key], StepCounts())

    def _top(self) -> int:
        assert self.funnel is not None
        return max((self._counts(step).sent for step in self.funnel.stored.sequence.steps), default=0)

    def _times(self, step: Step, wide: bool) -> list[Text]:
        assert self.funnel is not None
        window = in_words(self.funnel.stored.sequence.window_of(step))
        if wide:
            return [Text(_delay(step)), Text(in_words(step.at)), Text(window, "dim")]
        return [Text(" ".join(part for part in (_delay(step), in_words(step.at)) if part))]

    def _numbers(self, step: Step, counts: StepCounts) -> list[Text]:
        assert self.funnel is not None
        if not self.funnel.counted:
            return [Text("…", "dim", justify="right")] * 5
        left = self.funnel.left.get(self.funnel.stored.ids[step.key], 0)
        unknown = f" ?{counts.unknown}" if counts.unknown else ""
        return [
            _cell(counts.waiting),
            Text(number(counts.sent) + unknown, "" if counts.sent or unknown else "dim", justify="right"),
            _cell(counts.skipped),
            _cell(counts.failed, "red"),
            _cell(left),
        ]

    @on(DataTable.RowHighlighted)
    def _moved(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self._say_when()
        if event.row_key is not None and event.row_key.value is not None:
            self.post_message(StepMoved(event.row_key.value))


def when_in_words(sequence: Sequence, step: Step) -> str:
    """`3 days after welcome, at 10:00, within mon-fri 09:00-17:00, if plan == 'free'`."""
    keys = [one.key for one in sequence.steps]
    before = keys[keys.index(step.key) - 1] if keys[0] != step.key else None
    base = before if before is not None and sequence.delay_from is DelayFrom.PREVIOUS else "the start"
    parts = [f"{_length(step.delay)} after {base}" if step.delay else f"right after {base}"]
    if step.at is not None:
        parts.append(f"at {in_words(step.at)}")
    if window := sequence.window_of(step):
        parts.append(f"within {in_words(window)}")
    if step.when is not None:
        parts.append(f"if {step.when}")
    return ", ".join(parts)


def _length(length: timedelta) -> str:
    terms = format_duration(length).split()
    return " ".join(count(int(term[:-1]), _UNITS[term[-1]]) for term in terms)


def _delay(step: Step) -> str:
    return in_words(step.delay) if step.delay else "at once"


def _cell(value: int, colour: str = "") -> Text:
    return Text(number(value), (colour if value else "dim") or "", justify="right")
