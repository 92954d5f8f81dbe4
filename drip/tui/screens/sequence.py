"""A sequence: its steps as a funnel, the step under the cursor as it would be sent, and the people in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import DataTable, Input

from drip.core.plain import count
from drip.core.subscription import SubscriptionStatus
from drip.errors import DripError
from drip.store.board import Face, Looked, Narrowed
from drip.tui.marks import due, mark, number, safe
from drip.tui.messages import MorePeopleWanted, PersonWanted, StepMoved
from drip.tui.previewing import Views, views_of
from drip.tui.queries import Funnel
from drip.tui.screens.place import Place
from drip.tui.widgets.funnel import FunnelTable
from drip.tui.widgets.line import Line
from drip.tui.widgets.people import PeopleTable
from drip.tui.widgets.preview import Preview

if TYPE_CHECKING:
    from drip.store.store import Store

PAGE = 100
"""People asked for at once."""
_FILTERS = (None, *SubscriptionStatus)


class SequenceScreen(Place):
    """One sequence."""

    HELP = (
        "The steps with what became of each, the message of the step under the cursor, and everybody in it. Type into"
    )
    HELP += " the search to find people by address or name; it looks through all of them."
    BINDINGS: ClassVar[list[BindingType]] = [
        # At once, before any key that follows: what is typed after it belongs to the search.
        Binding("slash", "search", "Search", tooltip="Find people by a part of their address or name", priority=True),
        Binding("f", "filter", "Filter", tooltip="Only people of one status: the next of all, active, paused, …"),
        Binding(
            "w", "waiting", "Waiting here", show=False, tooltip="Only people who wait for the step under the cursor"
        ),
        Binding("o", "order", "Order", show=False, tooltip="The newest first, or the oldest"),
        Binding("v", "view", "View", tooltip="The message to read, as HTML, its headers"),
        Binding("p", "preview", "Preview", show=False, tooltip="Show or hide the message"),
        Binding("u", "subscribe", "Subscribe", tooltip="Add a person to this sequence"),
        Binding("s", "status", "Status", tooltip="Set the status of this sequence"),
    ]

    funnel: var[Funnel | None] = var(None)
    faces: var[tuple[Face, ...]] = var(())
    views: var[Views | None] = var(None)
    now: var[datetime | None] = var(None)
    text: var[str] = var("")
    """What is searched for."""
    status: var[SubscriptionStatus | None] = var(None)
    """Only people of that status."""
    waiting: var[str | None] = var(None)
    """Only people who wait for that step."""
    oldest_first: var[bool] = var(False)

    def __init__(self, slug: str) -> None:
        super().__init__()
        self.slug = slug
        self._step: str | None = None
        self._more: int | None = None
        """Where the next page begins; None: there is none."""
        self._looking = False

    def content(self) -> Iterable[Widget]:
        """Funnel, people, preview."""
        yield Line(id="title")
        funnel = FunnelTable(id="funnel").data_bind(SequenceScreen.funnel)
        people = PeopleTable(self.desk.zone, id="people").data_bind(SequenceScreen.now, SequenceScreen.faces)
        search = Input(placeholder="search people: / and type", id="search", compact=True)
        preview = Preview(id="preview").data_bind(SequenceScreen.views)
        preview.border_title = "message"
        search.tooltip = "Any part of an address or a name"
        funnel.border_title = "steps"
        box = Vertical(Horizontal(search, Line(id="found"), id="searching"), people, id="people-box")
        box.border_title = "people"
        yield Horizontal(Vertical(funnel, box, id="left"), preview, id="sequence")

    def load(self) -> None:
        """Ask for the funnel, and for the people that are shown."""
        if self.funnel is None:
            self.ask("funnel", self._steps, self._take_steps)
            return
        self.ask("funnel", self._funnel, self._take_funnel, gently=True)
        if not self.text:
            self._ask_people(gently=True)

    def refused(self, error: DripError, about: str) -> None:
        """A sequence that is gone is left."""
        super().refused(error, about)
        if about == "funnel" and self.funnel is None:
            self.host.back()

    def _funnel(self, store: Store) -> tuple[Funnel, datetime]:
        return self.desk.funnel(store, self.slug), self.desk.clock()

    def _steps(self, store: Store) -> tuple[Funnel, datetime]:
        return self.desk.funnel(store, self.slug, count=False), self.desk.clock()

    def _take_steps(self, answer: tuple[Funnel, datetime]) -> None:
        """The first time, steps and people come before numbers."""
        self._take_funnel(answer)
        self._ask_people()
        self.set_focus(self.focused or self.query_one(FunnelTable))
        self.ask("funnel", self._funnel, self._take_funnel)

    def _take_funnel(self, answer: tuple[Funnel, datetime]) -> None:
        known = self.funnel is not None and self.funnel.counted
        self.funnel, self.now = answer
        self._show_title()
        if not known and self.funnel.counted and self.faces and not self.text:
            self._say_found()

    def _show_title(self) -> None:
        assert self.funnel is not None
        stored, counts = self.funnel.stored, self.funnel.counts
        words = mark(stored.status.value).append("  ").append(safe(stored.slug, 40).plain, "bold")
        if stored.sequence.name != stored.slug:
            words.append(f"  {safe(stored.sequence.name, 60).plain}")
        if counts is not None:
            if counts.next_due_at is not None and self.now is not None:
                held = "" if stored.sends else "held; "
                words.append(f"   {held}next due {due(counts.next_due_at, self.now)}")
            shown = [f"{number(value)} {status}" for status, value in counts.by_status.items() if value]
            words.append("   " + ", ".join(shown), "dim")
        self.query_one("#title", Line).say(words)

    # people

    @property
    def _wanted(self) -> Narrowed | None:
        if self.funnel is None:
            return None
        stored = self.funnel.stored
        step_id = stored.ids.get(self.waiting) if self.waiting else None
        return Narrowed(stored.id, self.status, step_id)

    def _ask_people(self, *, gently: bool = False) -> None:
        wanted = self._wanted
        if wanted is None:
            return
        # What is shown is read again, up to a screen or two; further pages are read when one goes there.
        oldest_first = self.oldest_first
        self.ask(
            "people",
            lambda store: self.desk.people(store, wanted, None, oldest_first),
            self._take_people,
            gently=gently,
        )

    def _take_people(self, faces: list[Face]) -> None:
        shown = {face.id: face for face in faces}
        if len(self.faces) > PAGE and faces and faces[0].id == self.faces[0].id:
            self.faces = tuple(shown.get(face.id, face) for face in self.faces)
            return
        self._more = faces[-1].id if len(faces) == PAGE else None
        self.faces = tuple(faces)
        self._say_found()

    @on(MorePeopleWanted)
    def _read_more(self, message: MorePeopleWanted) -> None:
        message.stop()
        wanted, beyond = self._wanted, self._more
        if wanted is None or beyond is None or self._looking:
            return
        if self.text:
            self._look(self.text, beyond)
            return
        oldest_first = self.oldest_first

        def take(faces: list[Face]) -> None:
            # Meanwhile another filter may have been chosen, or the same page may have come twice.
            if (wanted, oldest_first, beyond) == (self._wanted, self.oldest_first, self._more):
                self._take_more(faces)

        self.ask("more", lambda store: self.desk.people(store, wanted, beyond, oldest_first), take)

    def _take_more(self, faces: list[Face]) -> None:
        self._more = faces[-1].id if len(faces) == PAGE else None
        self.faces = (*self.faces, *faces)
        self._say_found()

    # searching

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.text = event.value.strip()
        self._begin()

    @on(Input.Submitted, "#search")
    def _searched(self, event: Input.Submitted) -> None:
        event.stop()
        self.set_focus(self.query_one(PeopleTable))

    def _begin(self) -> None:
        """Show people anew, after another search or filter."""
        self._more, self._looking = None, False
        if not self.text:
            self._ask_people()
            return
        wanted, text = self._wanted, self.text
        if wanted is None:
            return
        self._looking = True
        self._say_found()
        self.ask("people", lambda store: self.desk.starting_with(store, wanted, text), self._take_first)

    def _take_first(self, faces: list[Face]) -> None:
        self.faces = tuple(faces)
        self._look(self.text, None)

    def _look(self, text: str, below: int | None) -> None:
        """One span of a search through everybody; each is asked for when the one before was shown."""
        wanted = self._wanted
        if wanted is None:
            return
        self._looking = True
        self.ask("people", lambda store: self.desk.look_for(store, wanted, text, below), self._take_look)

    def _take_look(self, looked: Looked) -> None:
        known = {face.id for face in self.faces}
        fresh = tuple(face for face in looked.found if face.id not in known)
        if fresh:
            self.faces = (*self.faces, *fresh)
        self._more = looked.below
        if looked.below is not None and len(self.faces) < PAGE * max(1, self._pages_wanted):
            self._look(self.text, looked.below)
            return
        self._looking = False
        self._say_found()

    @property
    def _pages_wanted(self) -> int:
        """How far one has gone down."""
        return self.query_one(PeopleTable).cursor_row // PAGE + 1

    def _say_found(self) -> None:
        narrowed = [str(self.status)] if self.status else []
        narrowed += [f"waiting for {self.waiting}"] if self.waiting else []
        narrowed += ["oldest first"] if self.oldest_first else []
        if self.text:
            more = "+" if self._more is not None else ""
            found = "searching…" if self._looking else f"{count(len(self.faces), 'match', 'matches')}{more}"
        elif self.faces:
            found = self._how_many()
        else:
            found = "nobody" if narrowed else "nobody yet: u subscribes a person"
        # How many comes first: where there is no room for all, that is not what is cut.
        self.query_one("#found", Line).say(safe(", ".join((found, *narrowed))), layout=True)

    def _how_many(self) -> str:
        counts = self.funnel.counts if self.funnel is not None else None
        if self.waiting or counts is None:
            return f"{number(len(self.faces))}{'+' if self._more is not None else ''}"
        total = counts.by_status[self.status] if self.status else sum(counts.by_status.values())
        return count(total, "person", "people") if total < 1000 else f"{number(total)} people"

    # the step

    @on(StepMoved)
    def _preview_step(self, message: StepMoved) -> None:
        message.stop()
        self._step = message.key
        if self.waiting is not None and self.waiting != message.key:
            self.waiting = message.key
            self._begin()
        if self.funnel is None:
            return
        definition = self.funnel.stored.definition
        step = definition.sequence.step(message.key)
        if step is not None:
            settings, now = self.desk.project.settings, self.desk.clock()
            self.work("preview", lambda: views_of(definition, step, settings, now), self._take_views)

    def _take_views(self, views: Views) -> None:
        self.views = views
        self.query_one(Preview).border_title = Content(f"{safe(self._step or '', 40).plain}, to an example of a person")

    # keys

    @on(DataTable.RowSelected, "#people")
    def _open_person(self, event: DataTable.RowSelected) -> None:
        event.stop()
        face = self.query_one(PeopleTable).face
        if face is not None:
            self.post_message(PersonWanted(self.slug, face.email))

    @on(DataTable.RowSelected, "#funnel")
    def _select_step(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_waiting()

    def action_back(self) -> None:
        """Out of the search first, then to where one came from."""
        search = self.query_one("#search", Input)
        if self.text or self.focused is search:
            search.value = ""
            self.set_focus(self.query_one(PeopleTable))
            return
        super().action_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the search, a slash is a slash."""
        return action != "search" or not isinstance(self.focused, Input)

    def action_search(self) -> None:
        """Into the search."""
        self.set_focus(self.query_one("#search", Input))

    def action_filter(self) -> None:
        """The next status."""
        self.status = _FILTERS[(_FILTERS.index(self.status) + 1) % len(_FILTERS)]
        self._begin()

    def action_waiting(self) -> None:
        """People who wait for this step, or all again."""
        self.waiting = None if self.waiting else self._step
        self._begin()

    def action_order(self) -> None:
        """The other end first."""
        self.oldest_first = not self.oldest_first
        self._begin()

    def action_view(self) -> None:
        """The next view of the message."""
        self.add_class("-preview")
        self.query_one(Preview).next_view()

    def action_preview(self) -> None:
        """Show or hide the message where there is no room for all."""
        self.toggle_class("-preview")

    def action_subscribe(self) -> None:
        """Add a person."""
        self.host.doing.subscribe(self, self.slug)

    def action_status(self) -> None:
        """Set the status."""
        if self.funnel is not None:
            self.host.doing.set_status(self, self.slug, self.funnel.stored.status.value)
