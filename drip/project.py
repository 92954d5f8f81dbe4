"""The one place where real objects are wired: settings, store, transport."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from drip.core.moments import floor_to_millisecond, to_milliseconds
from drip.core.settings import Settings, TransportKind
from drip.files.config import find_config, load_settings, read_settings

if TYPE_CHECKING:
    from drip.engine.plan import Incoming
    from drip.engine.ports import Transport
    from drip.engine.rehearsal import Answer, Rehearsal
    from drip.engine.reports import Taken
    from drip.engine.results import Fact
    from drip.engine.worker import Worker
    from drip.files.sequences import ProjectFiles
    from drip.inbound.collector import Collector
    from drip.inbound.sources import Source
    from drip.inbound.taking import Taker
    from drip.notify.courier import Courier, Poster
    from drip.store.glance import Quiet
    from drip.store.highwater import HighWaterMark
    from drip.store.store import Store


def system_clock() -> datetime:
    """Now, UTC, in whole milliseconds."""
    return floor_to_millisecond(datetime.now(UTC))


@dataclass(frozen=True)
class Project:
    """A folder with a drip.yaml, and everything that belongs to it. Parts are made when they are first asked for."""

    settings: Settings

    @cached_property
    def store(self) -> Store:
        """The database; not opened yet, see `opened`."""
        from drip.store.opening import open_url
        from drip.store.store import Store

        return Store(open_url(self.settings.database), self.settings)

    def quiet(self, now: datetime) -> Quiet | None:
        """That a pass would find nothing to do; None when it might."""
        from drip.store.glance import quiet

        if self.settings.webhooks:
            return None
        noted = self.settings.transport is TransportKind.SMTP
        return quiet(self.settings.database, to_milliseconds(now), noted=noted)

    def count_due_to(self, most: int, now: datetime) -> int | None:
        """How many are due, counted no further than to `most`; None where the database has to be opened to know."""
        from drip.store.glance import count_due_to

        return count_due_to(self.settings.database, most, to_milliseconds(now))

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """The database, open for this thread and with today's schema.

        Raises:
            DatabaseUnavailable: it can't be opened or brought up to date.
        """
        with self.store.opened():
            self.high_water.protect_ids()
            yield self.store

    @cached_property
    def transport(self) -> Transport:
        """How messages leave, as drip.yaml says."""
        if self.settings.transport is TransportKind.OUTBOX:
            from drip.transport.outbox import OutboxTransport

            return OutboxTransport(self.settings.outbox)
        from drip.transport.smtp import SmtpTransport

        assert self.settings.smtp is not None  # the reader has looked
        return SmtpTransport(self.settings.smtp)

    @property
    def connections(self) -> int:
        """How many connections this process may use."""
        return self.settings.smtp.connections if self.settings.smtp else 1

    def connecting(self, connections: int) -> Project:
        """The same project with the same store, and so many connections."""
        if self.settings.smtp is None:
            return self
        other = Project(replace(self.settings, smtp=replace(self.settings.smtp, connections=connections)))
        other.__dict__["store"] = self.store
        return other

    def share(self, processes: int) -> int:
        """Connections for each of so many processes that share those of drip.yaml."""
        return max(1, self.connections // processes)

    @cached_property
    def high_water(self) -> HighWaterMark:
        """How far the database has got, as the file beside it remembers."""
        from drip.store.highwater import HighWaterMark

        return HighWaterMark(self.store, self.settings.folder)

    def files(self, *, compiled: bool = False) -> ProjectFiles:
        """What the sequence files say now, with every problem in them.

        Args:
            compiled: also those that show only when a step is made into what is sent; before an apply.
        """
        from drip.files.sequences import load_project_files

        return load_project_files(self.settings, compiled=compiled)

    def incoming(self, files: ProjectFiles) -> list[Incoming]:
        """The sequences of the files, as plan and apply take them."""
        from drip.engine.plan import Incoming

        return [Incoming(definition, files.paths[definition.sequence.id]) for definition in files.definitions]

    @contextmanager
    def rehearsal(self, now: datetime, answer: Answer | None = None) -> Iterator[Rehearsal]:
        """The engine on a database in memory and a clock that is moved by hand; nothing real is read or written.

        Args:
            answer: what the server would say; None is a server that takes everything.
        """
        from drip.engine.rehearsal import Rehearsal, accepted
        from drip.store.opening import open_url
        from drip.store.store import Store

        store = Store(open_url("sqlite:///:memory:"))
        with store.opened():
            yield Rehearsal(store, self.settings, now, answer=answer or accepted)

    def worker(
        self, *, clock: Callable[[], datetime] = system_clock, told: Callable[[Fact], None] = lambda fact: None
    ) -> Worker:
        """A worker on this project's database and transport; use it as a context manager."""
        from drip.engine.worker import Worker
        from drip.store.processes import LocalProcesses

        # Files in an outbox may be written twice; what a server was given is gone.
        high_water = self.high_water if self.settings.transport is TransportKind.SMTP else None
        return Worker(
            *(self.store, self.settings, self.transport, LocalProcesses()),
            clock=clock,
            told=told,
            high_water=high_water,
        )

    def mailbox(self) -> Source | None:
        """Where bounces and complaints arrive, as drip.yaml says; None when it names no mailbox."""
        given = self.settings.inbound
        if given.imap is not None:
            from drip.inbound.imap import ImapSource

            return ImapSource(given.imap)
        if given.maildir is None:
            return None
        from drip.inbound.sources import MaildirSource

        return MaildirSource(given.maildir)

    def taker(self, *, clock: Callable[[], datetime] = system_clock) -> Taker:
        """What takes in bounces and complaints, on this project's database."""
        from drip.inbound.read import reader_for
        from drip.inbound.taking import Taker

        return Taker(self.store, self.settings, reader_for(self.settings), clock)

    def collector(
        self, *, clock: Callable[[], datetime] = system_clock, told: Callable[[Taken], None] = lambda taken: None
    ) -> AbstractContextManager[Collector | None]:
        """What reads the mailbox beside the worker; None in its place when drip.yaml names no mailbox."""
        source = self.mailbox()
        if source is None:
            return nullcontext()
        from drip.inbound.collector import Collector

        return Collector(self.store, source, self.taker(clock=clock), clock=clock, told=told)

    def courier(self, *, clock: Callable[[], datetime] = system_clock) -> Courier:
        """What posts webhooks, on this project's database; use it as a context manager."""
        from drip.notify.courier import Courier

        return Courier(self.store, self.poster, clock=clock)

    def poster(self) -> Poster:
        """What makes one post; close it."""
        from drip.notify.post import HttpPoster

        return HttpPoster(allow_private=self.settings.webhooks_allow_private)


def open_project(folder: Path | None = None, config: Path | None = None) -> Project:
    """The project of a folder, or of the nearest parent that has a drip.yaml.

    Args:
        folder: where to begin to look; None is the working directory.
        config: the drip.yaml itself, instead of looking for one.

    Raises:
        Invalid: there is no drip.yaml.
        FilesInvalid: it has problems.
    """
    path = config if config is not None else find_config(folder or Path.cwd())
    return Project(load_settings(path, os.environ))


def read_everything(folder: Path | None = None, config: Path | None = None) -> tuple[ProjectFiles, bool]:
    """What all files of a project say, and whether its drip.yaml can be used; its problems hide none of the others.

    Args:
        folder: as for `open_project`.
        config: as for `open_project`.

    Raises:
        Invalid: there is no drip.yaml.
    """
    from drip.files.sequences import ProjectFiles, load_project_files

    path = config if config is not None else find_config(folder or Path.cwd())
    settings, problems = read_settings(path, os.environ)
    files = load_project_files(settings, compiled=True) if settings is not None else ProjectFiles()
    if not problems:
        return files, True
    # What is missing in a drip.yaml that could not be read whole is not for sure.
    others = [problem for problem in files.problems if problem.path != path.name]
    return replace(files, problems=(*problems, *others)), False
