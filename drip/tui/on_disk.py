"""What the files say, what applying them would do, and a cheap look whether they have changed. Called in threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drip.core.settings import Settings
from drip.engine.plan import Incoming, Plan, make_plan
from drip.errors import Problem, Severity
from drip.tui.queries import Desk, Situation

if TYPE_CHECKING:
    from drip.engine.apply import Origin
    from drip.files.sequences import ProjectFiles
    from drip.store.store import Store

Stamp = frozenset[tuple[str, int, int]]
"""Path, time and size of each file."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The files, and what applying them would do."""

    files: ProjectFiles
    incoming: tuple[Incoming, ...]
    plan: Plan | None
    """None: the files have errors, or the database can't be asked."""
    why: str = ""
    """Why there is no plan."""

    @property
    def errors(self) -> list[Problem]:
        """What stops an apply."""
        return [problem for problem in self.files.problems if problem.severity is Severity.ERROR]


def stamp_of(settings: Settings) -> Stamp:
    """Changes when a file does."""
    folders = [settings.sequences, settings.sequences / "templates", settings.sequences / "templates" / "layouts"]
    return frozenset(found for folder in folders for found in _stamps(folder))


def _stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith((".yaml", ".yml", ".md", ".html", ".txt")):
                    stat = entry.stat()
                    yield entry.path, stat.st_mtime_ns, stat.st_size
    except OSError:
        return


def read_files(desk: Desk) -> Disk:
    """Read them; no plan yet."""
    files = desk.project.files(compiled=True)
    return Disk(files, tuple(desk.project.incoming(files)), None)


def with_plan(desk: Desk, store: Store, disk: Disk) -> Disk:
    """What applying would do."""
    if disk.errors:
        return Disk(disk.files, disk.incoming, None, "the files have errors: nothing can be applied before")
    plan = make_plan(store, desk.project.settings, disk.incoming, disk.files.templates, prune=False, now=desk.clock())
    return Disk(disk.files, disk.incoming, plan)


def without_database(desk: Desk, disk: Disk) -> Disk:
    """What applying would do where there is no database: everything is new."""
    if disk.errors or desk.situation is not Situation.MISSING:
        return disk
    with desk.project.rehearsal(desk.clock()) as rehearsal:
        return with_plan(desk, rehearsal.store, disk)  # type: ignore[arg-type]


def apply_files(desk: Desk, store: Store, disk: Disk, origin: Origin) -> str:
    """Do what the plan says, if it still is what would be done; what became of it, in words."""
    from drip.engine.apply import apply
    from drip.errors import Refused

    done = apply(
        *(store, desk.project.settings, disk.incoming, disk.files.templates),
        prune=False,
        now=desk.clock(),
        origin=origin,
        agree=lambda plan: disk.plan is None or plan == disk.plan,
    )
    if done is None:
        raise Refused("not_agreed", "nothing was applied: its effect has changed meanwhile", "look at it again")
    return "applied"


def sketch(settings: Settings, slug: str, name: str) -> Path:
    """Write the file of a new sequence: a draft with one step. Nothing that exists is overwritten.

    Raises:
        ValueError: there is a file of that name.
    """
    path = settings.sequences / f"{slug}.yaml"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    content = (
        f'name: "{quoted}"\nstatus: draft                 # active sends\n\nsteps:\n'
        "  - id: first               # a step's name for ever\n    delay: 0\n    subject: Welcome\n"
        "    body: |\n      Hi{% if name %} {{ name }}{% endif %},\n\n      what you want to say.\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        raise ValueError(f"there is a file {path.name} already") from None
    except OSError as error:
        raise ValueError(f"{path.name} can't be written: {(error.strerror or str(error)).lower()}") from error
    return path
