"""A project on disk with a clock that is moved by hand, and its dashboard without a terminal."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from drip.core.durations import parse_duration
from drip.engine.apply import Origin, apply
from drip.engine.subscribe import Answered, Request, subscribe
from drip.project import Project, open_project
from drip.tui.app import Dashboard
from tests.lab import START

CONFIG = """\
from: Ada <ada@example.com>
base_url: https://mail.example.com
postal_address: 1 Example Street
timezone: Europe/Madrid
transport: outbox
"""
WELCOME = """\
name: Welcome aboard
status: active
variables:
  name: {default: "", example: Grace}
  plan: {default: free, example: free}
steps:
  - id: hello
    delay: 0
    subject: "Hello {{ name }}"
    body: |
      Hi {{ name }}, **welcome**.

      [Begin here](https://app.example.com/begin)
  - id: tips
    delay: 3d
    at: "10:00"
    send_window: {days: mon-fri, hours: "09:00-17:00"}
    subject: Three tips
    body: Three tips.
  - id: upgrade
    delay: 5d
    when: plan == 'free'
    subject: More room
    body: More room for your plan {{ plan }}.
"""
NURTURE = """\
name: Nurture
status: draft
steps:
  - id: first
    delay: 1d
    subject: The first
    body: Words.
"""


class Room:
    """Everything a test of the dashboard needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now: datetime = START

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        return path

    @property
    def project(self) -> Project:
        return open_project(self.folder)

    def apply(self) -> None:
        project = self.project
        files = project.files()
        with project.opened() as store:
            assert apply(
                *(store, project.settings, project.incoming(files), files.templates),
                prune=False,
                now=self.now,
                origin=Origin(),
            )

    def subscribe(self, email: str, slug: str = "welcome", **fields: Any) -> Answered:
        project = self.project
        with project.opened() as store:
            return subscribe(store, project.settings, slug, Request(email, **fields), self.now)

    def tick(self) -> None:
        project = self.project
        with project.opened(), project.worker(clock=lambda: self.now) as worker:
            worker.run_once()

    def move(self, length: str) -> None:
        self.now += parse_duration(length)

    def sql(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.project.opened() as store, store.transaction():
            return store.database.rows(statement, *params)

    def status(self, email: str, slug: str = "welcome") -> str:
        found = self.sql(
            "SELECT s.status FROM subscription s JOIN contact c ON c.id = s.contact_id JOIN sequence q"
            " ON q.id = s.sequence_id WHERE c.email = ? AND q.slug = ? AND s.replaced = 0",
            *(email, slug),
        )
        return str(found[0][0])

    @asynccontextmanager
    async def dashboard(self, width: int = 120, height: int = 40) -> AsyncIterator[Driver]:
        """The dashboard, running; it reads only when told to."""
        app = Dashboard(self.project, clock=lambda: self.now, origin=Origin, cadence=None)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            driver = Driver(app, pilot)
            await driver.settle()
            yield driver


class Driver:
    """Presses keys and waits for all that follows from them."""

    def __init__(self, app: Dashboard, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def type(self, text: str) -> None:
        for character in text:
            await self.pilot.press({" ": "space", "@": "at", ".": "full_stop"}.get(character, character))
        await self.settle()

    async def settle(self) -> None:
        """Wait until no thread is at work and every message is handled."""
        quiet = 0
        while quiet < 2:
            await self.pilot._wait_for_screen()
            busy = [worker for worker in self.app.workers if not worker.is_finished]
            for worker in busy:
                with suppress(WorkerCancelled):
                    await worker.wait()
            if not busy and not any(node.message_queue_size for node in (self.app, *self.app._registry)):
                quiet += 1
                await self.pilot.pause()
            else:
                quiet = 0

    async def shows(self, words: str) -> bool:
        """Whether the screen says so before long: what the store answers may come a moment after the key."""
        for _ in range(100):
            if words in self.text:
                return True
            await self.pilot.pause(0.1)
            await self.settle()
        return False

    @property
    def text(self) -> str:
        """What the screen shows."""
        console = Console(width=self.app.size.width, file=io.StringIO(), record=True, legacy_windows=False)
        screens = self.app._background_screens
        console.print(self.app.screen._compositor.render_update(full=True, screen_stack=screens))
        return console.export_text()

    @property
    def place(self) -> str:
        return type(self.app.screen).__name__

    def said(self) -> list[str]:
        """What the notices say."""
        return [notice.message for notice in self.app._notifications]
