"""What all places share: the top line, questions asked in threads, and reading again as time passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import var
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker, WorkerState, get_current_worker

from drip.errors import DripError
from drip.store.database import GivenUp
from drip.tui.frugal import FrugalCompositor
from drip.tui.host import Host
from drip.tui.messages import Answered, Done, Refused
from drip.tui.queries import Desk, Glance, Situation
from drip.tui.widgets.keys import KeyLine
from drip.tui.widgets.top import TopLine

if TYPE_CHECKING:
    from drip.store.store import Store

T = TypeVar("T")
REST = 19
"""A question is not asked again before so many times its own duration have passed."""


class Place(Screen[None]):
    """A screen that reads from the store."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "reload", "Read again", show=False, tooltip="Ask the database again, at once"),
        Binding("escape,backspace", "back", "Back", tooltip="Back to where you came from"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-normal"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012
    HELP: ClassVar[str] = ""
    """What the place is for, on the help screen."""

    glance: var[Glance | None] = var(None)
    """The state of the whole, set by the app."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = FrugalCompositor()
        self._anew = False
        """Everything is asked, however soon."""
        self._asked: dict[str, tuple[float, float]] = {}
        """When each group was last answered, and how long that took."""

    @property
    def host(self) -> Host:
        """The app."""
        assert isinstance(self.app, Host)
        return self.app

    @property
    def desk(self) -> Desk:
        """Where questions are asked."""
        return self.host.desk

    @property
    def place(self) -> str:
        """The name in the top line."""
        return self.__class__.__name__.removesuffix("Screen").lower()

    def compose(self) -> ComposeResult:
        """The top line, the content, the keys."""
        settings = self.desk.project.settings
        yield TopLine(self.place, settings.project, settings.timezone).data_bind(Place.glance)
        yield from self.content()
        yield KeyLine()

    def content(self) -> Iterable[Widget]:
        """What is between top and bottom."""
        return ()

    def on_mount(self) -> None:
        """Begin to read."""
        self.glance = self.host.glance
        self.look()
        if self.host.cadence is not None:
            self.set_interval(self.host.cadence, self.tick)

    def on_screen_resume(self) -> None:
        """What is shown may be old."""
        self.glance = self.host.glance
        if self.is_mounted:
            self.look_anew()

    def look(self) -> None:
        """Ask for everything that is shown, the top line included."""
        if self.desk.situation is not Situation.MISSING:
            self.ask("glance", self.desk.glance, self._take_glance, gently=True)
        self.load()

    def look_anew(self) -> None:
        """The same, however soon: something was changed."""
        self._anew = True
        self.look()
        self._anew = False

    def load(self) -> None:
        """Ask for the content."""

    def tick(self) -> None:
        """Time has passed: ask again what is cheap, if anybody looks. Under a dialog it waits."""
        if self.app.screen is self:
            self.look()

    def ask(
        self, group: str, question: Callable[[Store], T], take: Callable[[T], None], *, gently: bool = False
    ) -> None:
        """Ask the store in a thread; `take` is called with the answer on this thread. A newer question of the same
        group takes the place of an older one.

        Args:
            gently: not while the last one is on its way, nor soon after an expensive one.
        """
        if gently and not self._anew and self._too_soon(group):
            return
        self.run_worker(
            partial(self._asking, group, question, take),
            *("", group),
            thread=True,
            exclusive=True,
            exit_on_error=False,
        )

    def work(self, group: str, job: Callable[[], T], take: Callable[[T], None]) -> None:
        """Do something else that is slow in a thread, likewise."""
        self.run_worker(
            partial(self._working, group, job, take), *("", group), thread=True, exclusive=True, exit_on_error=False
        )

    def change(self, job: Callable[[Store], str]) -> None:
        """Change something in a thread; it says what was done, and everything is read again."""

        def done() -> str:
            with self.desk.writing() as store:
                return job(store)

        self.work("change", done, self._take_done)

    def _take_done(self, words: str) -> None:
        self.post_message(Done(words))

    def _asking(self, group: str, question: Callable[[Store], Any], take: Callable[[Any], None]) -> None:
        worker, begun = get_current_worker(), time.monotonic()
        try:
            with self.desk.reading(lambda: worker.is_cancelled) as store:
                answer = question(store)
        except GivenUp:
            return
        except DripError as error:
            self.post_message(Refused(error, group))
            return
        self._asked[group] = (time.monotonic(), time.monotonic() - begun)
        if not worker.is_cancelled:
            self.post_message(Answered(take, answer))

    def _working(self, group: str, job: Callable[[], Any], take: Callable[[Any], None]) -> None:
        worker = get_current_worker()
        try:
            answer = job()
        except GivenUp:
            return
        except DripError as error:
            self.post_message(Refused(error, group))
            return
        if not worker.is_cancelled:
            self.post_message(Answered(take, answer))

    def _take_glance(self, glance: Glance) -> None:
        self.glance = self.host.glance = glance

    def _too_soon(self, group: str) -> bool:
        if any(worker.group == group and worker.node is self and not worker.is_finished for worker in self.workers):
            return True
        at, seconds = self._asked.get(group, (0.0, 0.0))
        return time.monotonic() - at < seconds * REST

    @on(Answered)
    def _take(self, message: Answered) -> None:
        message.stop()
        message.take(message.answer)

    @on(Refused)
    def _say_refused(self, message: Refused) -> None:
        message.stop()
        self.refused(message.error, message.about)

    def refused(self, error: DripError, about: str) -> None:
        """Say that something could not be done."""
        self.host.complain(error)

    @on(Done)
    def _say_done(self, message: Done) -> None:
        message.stop()
        if message.words:
            self.host.tell(message.words)
        self._read_again()

    def _read_again(self) -> None:
        """Have the place that is looked at, behind a dialog or not, ask everything anew."""
        for screen in reversed(self.app.screen_stack):
            if isinstance(screen, Place):
                screen.look_anew()
                return

    @on(Worker.StateChanged)
    def _raise_bug(self, event: Worker.StateChanged) -> None:
        # What is not a DripError is a bug, and a bug has a traceback.
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            raise event.worker.error

    def action_reload(self) -> None:
        """Ask the database again."""
        self._read_again()

    def action_back(self) -> None:
        """To where one came from."""
        self.host.back()
