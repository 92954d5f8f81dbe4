"""Attention: what needs a person, each with the key that cures it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import DataTable, Static

from drip.engine.records import Delivery, WebhookDelivery
from drip.errors import DripError, Problem
from drip.tui.messages import PersonWanted
from drip.tui.on_disk import Stamp, stamp_of
from drip.tui.queries import Situation, Troubles
from drip.tui.screens.files import open_editor
from drip.tui.screens.place import Place
from drip.tui.widgets.empty import Empty
from drip.tui.widgets.troubles import Item, TroubleTable, detail, items_of

if TYPE_CHECKING:
    from drip.store.store import Store

FINE = ("✓ nothing needs you", "failed and unknown deliveries, dead webhooks and problems in files would be here")
NONE = Troubles((), (), ())


class AttentionScreen(Place):
    """A list of troubles and their cures."""

    HELP = "Deliveries that failed or whose fate nobody knows, webhooks that were given up, problems in the files."
    HELP += " Unknown deliveries are never sent again by themselves: look into the server's log, then say what became"
    HELP += " of them."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "settle(True)", "Was sent", tooltip="The unknown delivery was sent: they go on (asks)"),
        Binding("n", "settle(False)", "Not sent", tooltip="The unknown delivery was not sent: due again (asks)"),
        Binding("R", "retry", "Retry", tooltip="Try the failed step again (asks)"),
        Binding(
            "A", "retry_all", "Retry all", show=False, tooltip="Try every failed step of that sequence again (asks)"
        ),
        Binding("R", "replay", "Post again", tooltip="Post the dead webhook once more (asks)"),
        Binding("e", "edit", "Edit", tooltip="Open the file with the problem in your editor"),
        Binding("enter", "open", "Open", tooltip="Open the person"),
    ]

    troubles: var[Troubles] = var(NONE)
    problems: var[tuple[Problem, ...]] = var(())
    items: var[tuple[Item, ...]] = var(())
    empty: var[tuple[str, str] | None] = var(None)

    def __init__(self) -> None:
        super().__init__()
        self._stamp: Stamp | None = None
        self._known = False
        """Whether the database has answered: before, problems in files would be the first of a list they end."""

    def content(self) -> Iterable[Widget]:
        """The list, and one of it in full."""
        yield Empty().data_bind(words=AttentionScreen.empty)
        table = TroubleTable(self.desk.zone, self.desk.clock, id="troubles").data_bind(AttentionScreen.items)
        table.border_title = "needs you"
        yield table
        box = VerticalScroll(Static(id="detail"), id="detail-box")
        box.border_title = "in full"
        yield box

    def load(self) -> None:
        """Ask for all four kinds."""
        if self.desk.situation is not Situation.MISSING:
            self.ask("troubles", self._troubles, self._take_troubles, gently=True)
        self.work("stamp", lambda: stamp_of(self.desk.project.settings), self._take_stamp)

    def _troubles(self, store: Store) -> Troubles:
        return self.desk.troubles(store)

    def _take_troubles(self, troubles: Troubles) -> None:
        self.troubles = troubles
        if not self._known:
            self._known = True
            self._show()

    def refused(self, error: DripError, about: str) -> None:
        """Problems in files are shown all the same."""
        self._known = True
        self._show()
        super().refused(error, about)

    def _take_stamp(self, stamp: Stamp) -> None:
        if stamp != self._stamp:
            self._stamp = stamp
            self.work("files", lambda: self.desk.project.files().problems, self._take_problems)

    def _take_problems(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        self._show()

    def watch_troubles(self) -> None:
        """Show them."""
        self._show()

    def _show(self) -> None:
        if not self._known and self.desk.situation is not Situation.MISSING:
            return
        self.items = items_of(self.troubles, self.problems)
        self.empty = None if self.items else FINE
        self.call_after_refresh(self._show_detail)

    @property
    def item(self) -> Item | None:
        """What is under the cursor."""
        if not self.is_mounted:
            return None
        return self.query_one(TroubleTable).item

    @on(DataTable.RowHighlighted)
    def _other(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self._show_detail()

    def _show_detail(self) -> None:
        if self.item is not None:
            self.query_one("#detail", Static).update(detail(self.item, self.desk.zone))
        self.query_one("#detail-box").display = self.item is not None
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the cures of what is under the cursor have keys."""
        if action == "back":
            return False
        cures = self.item.cures if self.item is not None else ()
        cure = "retry" if action == "retry_all" else action
        return cure in cures if cure in ("settle", "retry", "replay", "edit", "open") else True

    @on(DataTable.RowSelected)
    def _select(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_open()

    def action_open(self) -> None:
        """Open the person."""
        if self.item is not None and isinstance(self.item.what, Delivery):
            self.post_message(PersonWanted(self.item.what.sequence, self.item.what.email))

    def action_settle(self, sent: bool) -> None:
        """Say what became of it."""
        if self.item is not None and isinstance(self.item.what, Delivery):
            self.host.doing.settle(self, self.item.what, sent)

    def action_retry(self) -> None:
        """Try again."""
        if self.item is not None and isinstance(self.item.what, Delivery):
            self.host.doing.retry(self, self.item.what.sequence, self.item.what.email)

    def action_retry_all(self) -> None:
        """Try all of a sequence again."""
        if self.item is not None and isinstance(self.item.what, Delivery):
            self.host.doing.retry_all(self, self.item.what.sequence)

    def action_replay(self) -> None:
        """Post again."""
        if self.item is not None and isinstance(self.item.what, WebhookDelivery):
            self.host.doing.replay(self, self.item.what)

    def action_edit(self) -> None:
        """Open the file."""
        if self.item is not None and isinstance(self.item.what, Problem):
            open_editor(self, self.desk.project.settings.folder / self.item.what.path, self.item.what.line)
            self._stamp = None
            self.look()
