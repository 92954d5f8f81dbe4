"""The app: its places and its keys.

Only home is imported before it is painted; the rest follows in a thread.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from drip.core.plain import clean
from drip.project import Project
from drip.tui.engine_room import EngineRoom
from drip.tui.host import Host
from drip.tui.messages import PersonWanted, SequenceWanted
from drip.tui.queries import Desk
from drip.tui.screens.home import HomeScreen
from drip.tui.screens.place import Place
from drip.tui.themes import DARK, DARK_SIGNS, LIGHT, LIGHT_SIGNS

if TYPE_CHECKING:
    from textual.command import Provider

    from drip.engine.apply import Origin

LATER = (
    "screens.attention",
    "screens.files",
    "screens.help",
    "screens.person",
    "screens.sequence",
    "doing",
    "commands",
)
"""Modules of this package that the first paint does without."""
HEAVY = ("drip.render.compile", "rich.syntax", "drip.engine.subscribe", "drip.engine.people", "drip.files.sequences")
"""What the first use of a place would wait for."""
CADENCE = 1.0
"""Seconds between two looks at the database."""


def _attention() -> Screen[None]:
    from drip.tui.screens.attention import AttentionScreen

    return AttentionScreen()


def _files() -> Screen[None]:
    from drip.tui.screens.files import FilesScreen

    return FilesScreen()


def _go_to() -> type[Provider]:
    from drip.tui.commands import GoTo

    return GoTo


def _find_person() -> type[Provider]:
    from drip.tui.commands import FindPerson

    return FindPerson


class Dashboard(Host):
    """`drip dashboard`."""

    TITLE = "drip"
    CSS_PATH = "app.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {
        "home": HomeScreen,
        "attention": _attention,
        "files": _files,
    }
    DEFAULT_MODE = "home"
    COMMANDS = App.COMMANDS | {_go_to, _find_person}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "place('home')", "Home", show=False, tooltip="Sequences, the state of the whole, the log"),
        Binding("2", "place('attention')", "Attention", show=False, tooltip="What needs a person, with its cure"),
        Binding("3", "place('files')", "Files", show=False, tooltip="What the files would change; apply"),
        Binding("ctrl+p,colon", "command_palette", "Commands", tooltip="Every action by its name"),
        Binding("t", "light_or_dark", "Light or dark", show=False, tooltip="The other theme"),
        Binding("question_mark", "help", "Help", tooltip="The keys of this place"),
        Binding("q", "leave", "Quit", tooltip="End the dashboard"),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        project: Project,
        *,
        clock: Callable[[], datetime],
        origin: Callable[[], Origin],
        cadence: float | None = CADENCE,
        run: Sequence[str] | None = None,
    ) -> None:
        """
        Args:
            origin: asked for the commit of the files when they are applied.
            cadence: seconds between two looks; None: only when asked to.
            run: the command of a worker to have inside; None: none.
        """
        super().__init__(Desk(project, clock), origin=origin, cadence=cadence)
        self._is_stopping = False
        self.engine_room = EngineRoom(run, self._trouble) if run else None
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.ansi_theme_dark, self.ansi_theme_light = DARK_SIGNS, LIGHT_SIGNS
        wanted = os.environ.get("TEXTUAL_THEME", DARK.name)
        self.theme = wanted if wanted in self.available_themes else DARK.name

    async def on_mount(self) -> None:
        """End politely when told to; what the first picture does without comes after it."""
        if not self.is_headless:
            import asyncio

            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._stop)
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        self.set_timer(0.3, self._load_the_rest)

    def _stop(self) -> None:
        """End; told so again, at once: whoever asks twice may wait for what does not end."""
        if not self._is_stopping:
            self._is_stopping = True
            self.exit()
            return
        try:
            if self._driver is not None:
                self._driver.stop_application_mode()  # the terminal is theirs again
                self._driver.close()
        finally:
            os._exit(128 + signal.SIGINT)

    def _hang_up(self) -> None:
        # The terminal is gone: whatever waits until something is written to it waits for ever.
        def end() -> None:
            if self.engine_room is not None:
                self.engine_room.stop()
            os._exit(128 + signal.SIGHUP)

        threading.Thread(target=end, name="drip-hang-up").start()

    def _load_the_rest(self) -> None:
        if self.engine_room is not None:
            self.engine_room.start()
        self.run_worker(self._import_the_rest, thread=True, group="imports")

    def _import_the_rest(self) -> None:
        for name in (*(f"drip.tui.{name}" for name in LATER), *HEAVY):
            import_module(name)
        if not self.is_headless:
            # A full collection takes 0.1 s, in which no key is answered: leave these modules out, and make it rare.
            gc.freeze()
            gc.set_threshold(1000, 20, 500)
            gc.enable()

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        # Textual takes the screen below for visible even where the one above hides it: its numbers would be drawn
        # for nobody, and each time all of the one above with them.
        return super()._background_screens if self.screen.styles.background.a < 1 else []

    def _trouble(self, words: str) -> None:
        """Called by the thread that listens to the worker."""
        self.call_from_thread(self.notify, clean(words), severity="warning", markup=False, timeout=10)

    @on(SequenceWanted)
    def _show_sequence(self, message: SequenceWanted) -> None:
        self.show_sequence(message.slug)

    @on(PersonWanted)
    def _show_person(self, message: PersonWanted) -> None:
        self.show_person(message.slug, message.email)

    def show_sequence(self, slug: str) -> None:
        """Open a sequence."""
        from drip.tui.screens.sequence import SequenceScreen

        self.push_screen(SequenceScreen(slug))

    def show_person(self, slug: str, email: str) -> None:
        """Open a person in a sequence."""
        from drip.tui.screens.person import PersonScreen

        self.push_screen(PersonScreen(slug, email))

    async def action_place(self, place: str) -> None:
        """Go to a place, to its front."""
        if isinstance(self.screen, Place):
            while len(self.screen_stack) > 1:
                await self.pop_screen()
            await self.switch_mode(place)

    def action_command_palette(self) -> None:
        """Every action by its name."""
        from drip.tui.commands import Palette

        if isinstance(self.screen, Place):
            self.push_screen(Palette())

    def action_light_or_dark(self) -> None:
        """The other theme."""
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    def action_help(self) -> None:
        """The keys of the place."""
        from drip.tui.screens.help import HelpScreen

        if isinstance(self.screen, Place):
            self.push_screen(HelpScreen(self.screen))

    def action_leave(self) -> None:
        """End; a worker inside is asked about."""
        if self.engine_room is None:
            self.exit()
            return
        from drip.tui.dialogs.confirm import Confirm

        words = "The worker inside finishes the messages in hand and stops. Nothing is sent until another runs."
        self.push_screen(Confirm("Stop sending and quit?", words, "Quit"), lambda yes: self.exit() if yes else None)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every key of the place, by its name."""
        from drip.tui.commands import commands_of

        yield from commands_of(screen)
