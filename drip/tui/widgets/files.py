"""The files as a table, and a plan as text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text
from textual.reactive import var
from textual.widgets import Static

from drip.engine.plan import ChangeKind, Plan, SequencePlan
from drip.engine.plan_words import PlanLine, plan_lines
from drip.errors import Problem, Severity
from drip.tui.marks import SIGNS, mark, safe
from drip.tui.on_disk import Disk
from drip.tui.widgets.table import Table


class FileTable(Table):
    """A line per sequence: its file, and whether it is applied."""

    disk: var[Disk | None] = var(None)

    def watch_disk(self) -> None:
        """Draw."""
        self.show()

    def on_mount(self) -> None:
        """Draw what is known."""
        self.show()

    def show(self) -> None:
        """Draw what changed."""
        if not self.is_mounted or self.disk is None:
            return
        planned = {one.slug: one for one in self.disk.plan.sequences} if self.disk.plan else {}
        slugs = sorted({*self.disk.files.paths, *planned})
        self.show_rows(["state", "sequence", "file"], [(slug, self._cells(slug, planned.get(slug))) for slug in slugs])

    @property
    def slug(self) -> str | None:
        """The sequence under the cursor."""
        return self.cursor_key

    def _cells(self, slug: str, planned: SequencePlan | None) -> list[Text]:
        assert self.disk is not None
        path = self.disk.files.paths.get(slug)
        wrong = [one for one in self.disk.files.problems if one.path == path]
        if any(one.severity is Severity.ERROR for one in wrong):
            state = mark("error")
        elif planned is not None and not planned.empty:
            state = _planned(planned.kind)
        elif planned is not None:
            state = Text("? ", SIGNS["?"]).append(
                "file gone" if planned.kind is ChangeKind.MISSING else "drift", "default"
            )
        else:
            state = mark("sent", "applied") if self.disk.plan else mark("waiting", "no plan")
        if wrong and not any(one.severity is Severity.ERROR for one in wrong):
            state.append(" ▲", "yellow")
        return [state, safe(slug, 30), safe(path or "", 40)]


class PlanView(Static):
    """Problems, then what applying would do."""

    disk: var[Disk | None] = var(None)

    def watch_disk(self) -> None:
        """Draw."""
        if self.disk is None:
            return
        parts: list[RenderableType] = list(_problem_lines(self.disk.files.problems))
        if parts:
            parts.append("")
        parts.append(Text(self.disk.why, "dim") if self.disk.plan is None else plan_view(self.disk.plan))
        self.update(Group(*parts))


def plan_view(plan: Plan) -> Group:
    """A plan as `drip plan` shows it; what is too long for a line goes on under its beginning."""
    return Group(*(_plan_line(line) for line in plan_lines(plan)))


def _plan_line(line: PlanLine) -> Grid:
    grid = Grid.grid()
    grid.add_column(width=min(line.indent, 6) + (2 if line.sign else 0))
    grid.add_column(ratio=1, overflow="fold")
    sign = Text(" " * min(line.indent, 6)).append(line.sign, SIGNS[line.sign]) if line.sign else Text()
    grid.add_row(sign, line.text)
    return grid


def _planned(kind: ChangeKind) -> Text:
    sign, word = {
        ChangeKind.CREATE: ("+", "new"),
        ChangeKind.ARCHIVE: ("-", "archive"),
        ChangeKind.DELETE: ("-", "delete"),
    }.get(kind, ("~", "changed"))
    return Text(f"{sign} ", SIGNS[sign]).append(word, "default")


def _problem_lines(problems: tuple[Problem, ...]) -> Iterator[Text]:
    for one in problems:
        place = f"{one.path}:{one.line}:{one.column}" if one.line else one.path
        text = mark(one.severity.value, safe(place).plain)
        text.append(f" {safe(one.where).plain}" if one.where else "", "dim").append("\n    ").append(safe(one.message))
        yield text.append(f"\n    {safe(one.hint).plain}", "dim") if one.hint else text
