"""What every command starts from: the global options, and the project they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drip.errors import Invalid

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from drip.core.settings import Settings
    from drip.files.sequences import ProjectFiles
    from drip.project import Project
    from drip.store.store import Store


@dataclass(frozen=True)
class Invocation:
    """One call of drip."""

    folder: Path | None
    """`-C`; None is the working directory."""
    config: Path | None
    """`--config`; None looks for a drip.yaml."""
    verbose: bool
    """`-v`."""

    @cached_property
    def project(self) -> Project:
        """The project of these options.

        Raises:
            Invalid: there is none, or its drip.yaml has problems.
        """
        from drip.project import open_project

        return open_project(*self._place())

    def everything(self) -> tuple[ProjectFiles, bool]:
        """What all files say, also where drip.yaml has problems, and whether it has none.

        Raises:
            Invalid: there is no project.
        """
        from drip.project import read_everything

        return read_everything(*self._place())

    def _place(self) -> tuple[Path | None, Path | None]:
        if self.folder is not None and self.folder.is_file():
            raise Invalid(f"-C: {str(self.folder)!r} is a file, not a folder", "--config FILE takes a drip.yaml")
        if self.folder is not None and not self.folder.is_dir():
            raise Invalid(
                f"-C: there is no folder {str(self.folder)!r}", f"`drip init {self.folder}` makes a project there"
            )
        return self.folder, None if self.config is None else self.path(str(self.config))

    @property
    def settings(self) -> Settings:
        """What drip.yaml says."""
        return self.project.settings

    @property
    def zone(self) -> ZoneInfo:
        """The zone that times are shown in."""
        return self.project.settings.timezone

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """The project's database, open and with today's schema.

        Raises:
            DatabaseUnavailable: it can't be opened or brought up to date.
        """
        from drip.cli.output import note

        with self.project.store.opened() as backup:
            if backup is not None:
                note(f"the database was migrated; as it was before: {backup}")
            yield self.project.store

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """The same for a command that only looks: also where the permissions forbid more, or there is no database yet.

        Raises:
            DatabaseUnavailable: it can't be opened, or has another schema and can't be changed.
        """
        from drip.store.reading import is_not_there_yet, may_only_be_read, opened_for_reading, opened_without_file

        database = self.project.store.database
        if is_not_there_yet(database):
            opened = opened_without_file()
        else:
            opened = opened_for_reading(database) if may_only_be_read(database) else self.opened()
        with opened as store:
            yield store

    def now(self) -> datetime:
        """Now, UTC, in whole milliseconds."""
        from drip.project import system_clock

        return system_clock()

    def program(self) -> list[str]:
        """How another process is started on the same project; a command and its options follow."""
        import sys

        command = [sys.executable, "-m", "drip"]
        if self.folder is not None:
            command += ["-C", str(self.folder)]
        return command if self.config is None else [*command, "--config", str(self.config)]

    def path(self, text: str) -> Path:
        """A path as given on the command line: relative ones start in the folder of `-C`, as with git and make."""
        return (self.folder or Path()) / Path(text).expanduser()


pass_invocation: Callable[..., Callable[..., None]] = click.make_pass_decorator(Invocation)
