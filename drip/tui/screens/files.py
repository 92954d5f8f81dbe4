"""Files: what applying them would do to sequences and people, as they change on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.console import Group
from rich.text import Text
from textual import on
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import DataTable

from drip.core.plain import count
from drip.core.sequence import SEQUENCE_ID
from drip.engine.plan_words import emptied
from drip.errors import DripError
from drip.tui.dialogs.form import Field, Form
from drip.tui.editor import edit
from drip.tui.messages import Done, SequenceWanted
from drip.tui.on_disk import Disk, Stamp, apply_files, read_files, sketch, stamp_of, with_plan, without_database
from drip.tui.queries import Situation
from drip.tui.screens.place import Place
from drip.tui.widgets.empty import Empty
from drip.tui.widgets.files import FileTable, PlanView, plan_view
from drip.tui.widgets.line import Line

if TYPE_CHECKING:
    from drip.store.store import Store

NO_FILES = ("there are no sequence files yet", "n makes one, and opens your editor")


class FilesScreen(Place):
    """The files of the project."""

    HELP = "Every sequence file, and what applying them would do to sequences and people. It follows the files as they"
    HELP += " change on disk. Apply asks, and shows the effect once more."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply", "Apply", tooltip="Bring the database to what the files say (asks)"),
        Binding("e", "edit", "Edit", tooltip="Open the file under the cursor in your editor"),
        Binding("n", "new", "New", tooltip="Make the file of a new sequence, and edit it"),
        Binding("u", "subscribe", "Subscribe", tooltip="Add a person to the sequence under the cursor"),
        Binding("s", "status", "Status", tooltip="Set the status of the sequence under the cursor"),
        Binding("enter", "open", "Open", show=False, tooltip="Open the sequence under the cursor"),
    ]

    disk: var[Disk | None] = var(None)
    empty: var[tuple[str, str] | None] = var(None)

    def __init__(self) -> None:
        super().__init__()
        self._stamp: Stamp | None = None
        self._statuses: dict[str, str] = {}

    def content(self) -> Iterable[Widget]:
        """Files, plan."""
        yield Line(id="summary")
        yield Empty().data_bind(words=FilesScreen.empty)
        table = FileTable(id="files").data_bind(FilesScreen.disk)
        plan = VerticalScroll(PlanView(id="plan-text").data_bind(FilesScreen.disk), id="plan")
        table.border_title, plan.border_title = "files", "what apply would do"
        yield Horizontal(table, plan, id="files-and-plan")

    def load(self) -> None:
        """Look whether the files have changed; the plan is made anew also where people have moved."""
        self.work("stamp", lambda: stamp_of(self.desk.project.settings), self._take_stamp)

    def look_anew(self) -> None:
        """The files too: what was read of them before a change may still be on its way, and would come after it."""
        self._stamp = None
        super().look_anew()

    def _take_stamp(self, stamp: Stamp) -> None:
        if stamp != self._stamp:
            self._stamp = stamp
            self.query_one("#summary", Line).say(Text("reading…", "dim"))
            self.work("files", lambda: without_database(self.desk, read_files(self.desk)), self._take_files)
        elif self.disk is not None and not self.disk.errors:
            self._make_plan(self.disk, gently=True)

    def _take_files(self, disk: Disk) -> None:
        self.empty = None if disk.files.paths else NO_FILES
        if disk.plan is not None or disk.errors or self.desk.situation is Situation.MISSING:
            self._take_plan((disk, {}))
            return
        if self.disk is None:
            self.disk = disk
        self._make_plan(disk)

    def _make_plan(self, disk: Disk, *, gently: bool = False) -> None:
        if self.desk.situation is Situation.MISSING:
            return

        def question(store: Store) -> tuple[Disk, dict[str, str]]:
            statuses = {row.slug: row.status for row in self.desk.sequences(store)}
            return with_plan(self.desk, store, disk), statuses

        self.ask("plan", question, self._take_plan, gently=gently)

    def _take_plan(self, answer: tuple[Disk, dict[str, str]]) -> None:
        disk, statuses = answer
        self._statuses = statuses
        if disk != self.disk:
            self.disk = disk
        self._say()

    def refused(self, error: DripError, about: str) -> None:
        """Without a database there is no plan, but files."""
        if about == "plan" and self.disk is not None:
            self.disk = Disk(self.disk.files, self.disk.incoming, None, error.message)
        super().refused(error, about)

    def _say(self) -> None:
        disk = self.disk
        if disk is None:
            return
        words = Text()
        errors, warnings = len(disk.errors), len(disk.files.problems) - len(disk.errors)
        if errors:
            words.append(f"! {count(errors, 'error')}", "red").append("   ")
        if warnings:
            words.append(f"▲ {count(warnings, 'warning')}", "yellow").append("   ")
        if disk.plan is not None and disk.plan.changes:
            affected = count(disk.plan.affected, "person", "people")
            words.append(f"~ {count(disk.plan.changes, 'sequence')} to apply, {affected} affected: a applies", "bold")
        elif disk.plan is not None:
            words.append("✓ the database is what the files say", "green")
        self.query_one("#summary", Line).say(words)
        self.refresh_bindings()

    def watch_empty(self) -> None:
        """Where there are no files, only the words are shown."""
        self.query("#files-and-plan").set(display=self.empty is None)

    def watch_disk(self) -> None:
        """The keys depend on it."""
        self.refresh_bindings()

    @property
    def slug(self) -> str | None:
        """The sequence under the cursor."""
        return self.query_one(FileTable).slug

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done has a key."""
        if action == "back":
            return False
        if action == "apply":
            plan = self.disk.plan if self.disk else None
            return plan is not None and plan.changes > 0
        if action in ("subscribe", "status", "open"):
            return self.is_mounted and self.slug in self._statuses
        return self.is_mounted and self.slug is not None if action == "edit" else True

    @on(DataTable.RowHighlighted)
    def _other_file(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self.refresh_bindings()

    @on(DataTable.RowSelected)
    def _open(self, event: DataTable.RowSelected) -> None:
        event.stop()
        if self.slug in self._statuses:
            self.action_open()

    def action_open(self) -> None:
        """Open the sequence."""
        if self.slug is not None:
            self.post_message(SequenceWanted(self.slug))

    def action_apply(self) -> None:
        """Ask with the effect, then apply."""
        disk = self.disk
        if disk is None or disk.plan is None:
            return
        effect = plan_view(disk.plan)
        if gone := emptied(disk.plan, disk.incoming):
            warning = Text.assemble(("! ", "red"), f"{', '.join(gone)} would have no steps left.\n")
            effect = Group(warning, effect)
        people = count(disk.plan.affected, "person is", "people are")
        origin = self.host.doing.origin

        def job(store: Store) -> str:
            return apply_files(self.desk, store, disk, origin())

        self._stamp = None
        self.host.doing.confirmed(self, f"Apply? {people} affected.", effect, "Apply", job)

    def action_edit(self) -> None:
        """Open the editor on the file under the cursor, at its first problem."""
        if self.disk is None or self.slug is None:
            return
        path = self.disk.files.paths.get(self.slug)
        if path is None:
            return
        problem = next((one for one in self.disk.files.problems if one.path == path), None)
        self.edit(self.desk.project.settings.folder / path, problem.line if problem else 0)

    def edit(self, path: Path, line: int = 0) -> None:
        """Leave the terminal to the editor; back again, read what it wrote."""
        open_editor(self, path, line)
        self._stamp = None
        self.look()

    def action_new(self) -> None:
        """Make a file, and edit it."""
        fields = [Field("slug", "Id: the file's name, for ever", "nurture"), Field("name", "Name", "Nurture")]
        make = partial(_make, self)
        words = "It begins as a draft with one step. Nothing is sent before it is active and applied."
        self.app.push_screen(
            Form("A new sequence", words, fields, "Make it", make), lambda path: self.edit(path) if path else None
        )

    def action_subscribe(self) -> None:
        """Add a person."""
        if self.slug is not None:
            self.host.doing.subscribe(self, self.slug)

    def action_status(self) -> None:
        """Set the status."""
        if self.slug is not None:
            self.host.doing.set_status(self, self.slug, self._statuses[self.slug])


def open_editor(place: Place, path: Path, line: int) -> None:
    """Leave the terminal to the editor."""
    try:
        with place.app.suspend():
            wrong = edit(path, line)
    except SuspendNotSupported:
        wrong = "this terminal can't be left to an editor"
    if wrong:
        place.app.notify(wrong, severity="warning", markup=False)
    else:
        place.post_message(Done(""))


def _make(place: Place, given: Mapping[str, str]) -> Path:
    slug = given["slug"]
    if not SEQUENCE_ID.fullmatch(slug):
        raise ValueError("an id has lower-case letters, digits and hyphens, as `spring-sale`")
    return sketch(place.desk.project.settings, slug, given["name"] or slug)
