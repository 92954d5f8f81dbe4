"""What the engine knows of the machine: its processes, and how far the database had got."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from drip.engine.records import Worker


class Processes(Protocol):
    """Which processes of this machine are alive."""

    def identity(self) -> tuple[str, int, str]:
        """This process: machine, pid, birth."""
        ...

    def is_gone(self, worker: Worker) -> bool:
        """Whether a worker is a process of this machine that has ended; False when that can't be known."""
        ...


class Mark(Protocol):
    """How far the database had got."""

    @property
    def at(self) -> datetime: ...
    @property
    def event(self) -> int:
        """The number of the last event."""
        ...

    @property
    def numbers(self) -> Mapping[str, int]:
        """The last id given out, by table."""
        ...


class HighWater(Protocol):
    """How far the database has got, remembered outside of it: a copy from yesterday is behind."""

    def require(self) -> None:
        """Raise DatabaseUnavailable when the database has gone back in time."""
        ...

    def begin(self, now: datetime) -> None:
        """Remember, before anything is sent that is due until `now`, that it may have been."""
        ...

    def note(self, now: datetime) -> None:
        """Remember how far it is now; call it after a commit."""
        ...

    def ahead(self) -> Mark | None:
        """What is remembered, when the database is behind it; else None."""
        ...

    def accept(self, mark: Mark) -> None:
        """Take the database as it is; call it in a transaction."""
        ...
