"""The steps of a sequence as a funnel."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.reactive import var
from textual.widgets import DataTable

from drip.core.difference import in_words
from drip.core.sequence import Step
from drip.store.overview import StepCounts
from drip.tui.marks import bar, number, safe
from drip.tui.messages import StepMoved
from drip.tui.queries import Funnel
from drip.tui.widgets.table import Table


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
        words, bars = (["after", "at", "window"], ["sent to"]) if wide else (["after"], [])
        names = ["step", *words, "waiting", "sent", "skipped", "failed", "left", *bars]
        sequence, top = self.funnel.stored.sequence, self._top()
        rows = []
        for step in sequence.steps:
            counts = self._counts(step)
            found = self._times(step, wide) + self._numbers(step, counts)
            if wide:
                found.append(bar(counts.sent, top, max(self.size.width - 84, 8), "green"))
            rows.append((step.key, [safe(step.key, 24 if wide else 18), *found]))
        self.show_rows(names, rows)

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
            return [Text(in_words(step.delay)), Text(in_words(step.at)), Text(window, "dim")]
        return [Text(" ".join(part for part in (in_words(step.delay), in_words(step.at)) if part))]

    def _numbers(self, step: Step, counts: StepCounts) -> list[Text]:
        assert self.funnel is not None
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
        if event.row_key is not None and event.row_key.value is not None:
            self.post_message(StepMoved(event.row_key.value))


def _cell(value: int, colour: str = "") -> Text:
    return Text(number(value), (colour if value else "dim") or "", justify="right")
