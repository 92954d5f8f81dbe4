"""How far the database has got, in a small file beside it: a database that went back in time is behind its file.

Backups are restored, files copied, logs thrown away; the messages that were sent meanwhile stay sent. The file knows
the database's own id, so that a new database in the same place is no cause for alarm, and the last number of every
table whose ids are never used twice, so that they are not used twice after a restore either. It is written before a
worker sends anything, so that it is ahead also of a database that has lost all that a killed worker did.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from drip.core.moments import format_moment, from_milliseconds, parse_moment
from drip.engine.points import Point, reached
from drip.errors import DatabaseRestored, DatabaseUnavailable
from drip.store.store import Store

if TYPE_CHECKING:
    from drip.engine import ports

AHEAD = timedelta(minutes=1)
"""By how much the file is ahead of what is sent, so that it is seldom written."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the file says."""

    database: str
    """The database's own id."""
    at: datetime
    """By the worker's clock: what was due later was not sent."""
    numbers: Mapping[str, int]
    """The last id given out, by table."""
    event_at: datetime | None = None
    """When the last event was; None when it can't be told. A copy that went on by itself has another by that number."""

    @property
    def event(self) -> int:
        """The number of the last event."""
        return self.numbers.get("event", 0)

    @property
    def worker(self) -> int:
        """The number of the last worker."""
        return self.numbers.get("worker", 0)


class HighWaterMark:
    """The file of one database; of one in memory there is none."""

    def __init__(self, store: Store, folder: Path | None = None) -> None:
        """
        Args:
            folder: where the file is kept when the database is on a server: the project's, by the name it has beside a
                new project's database. So a file that the project has moved away from is known to be behind.
        """
        self._store = store
        path = store.database.path or (folder / "drip.db" if folder is not None else None)
        self.path = None if path is None else path.with_name(path.name + ".mark")
        self._begun: datetime | None = None
        self._noted: int | None = None

    def ahead(self) -> Mark | None:
        """The file's mark when the database is behind it or has gone another way, else None.

        Raises:
            DatabaseUnavailable: the file can't be read.
        """
        mark = self._standing()
        if mark is None:
            return None
        behind = mark.event > self._store.events.last() or mark.worker > self._last_worker()
        return mark if behind or self._went_another_way(mark) else None

    def _went_another_way(self, mark: Mark) -> bool:
        """Whether what the mark speaks of happened in another copy; not where that has been accepted."""
        at = self._event_at(mark.event)
        if at is None or mark.event_at is None or at == mark.event_at:
            return False
        accepted = self._store.restored_until()
        return accepted is None or accepted < mark.at

    def require(self) -> None:
        """Raise DatabaseRestored when the database is behind its file."""
        mark = self.ahead()
        if mark is not None:
            raise DatabaseRestored(
                f"the database has gone back in time: {self._difference(mark)} until {format_moment(mark.at)}",
                "what was sent since then would be sent again: `drip resolve --restored --hold` holds what was due,"
                " `--go-on` sends it",
            )

    def _difference(self, mark: Mark) -> str:
        last, worker = self._store.events.last(), self._last_worker()
        if mark.event > last:
            return f"its last event is {last}, but {mark.event} were written"
        if mark.worker > worker:
            return f"its last worker is number {worker}, but there were {mark.worker}"
        here, there = self._event_at(mark.event), mark.event_at
        assert here is not None
        assert there is not None
        moments = f"is of {format_moment(here)}, but that of {format_moment(there)} was written"
        return f"it is a copy that went on by itself: event {mark.event} {moments}"

    def begin(self, now: datetime) -> None:
        """Before anything is sent that is due until `now`: write so, and a bit ahead.

        Raises:
            DatabaseUnavailable: the file can't be written.
        """
        if self._begun is None or self._begun < now + AHEAD / 2:
            self._begun = now + AHEAD
            self._move(self._begun)

    def note(self, now: datetime) -> None:
        """Write how far the database is, if it has moved.

        Raises:
            DatabaseUnavailable: the file can't be written.
        """
        last = self._store.events.last()
        if last == self._noted:
            return
        standing = self._standing()
        if standing is None or standing.event < last:
            self._move(now)
        self._noted = last

    def _move(self, until: datetime) -> None:
        """Write how far the database is; never less than another worker wrote."""
        if self.path is None:
            return
        standing, numbers = self._standing(), self._store.database.numbers()
        if standing is not None:
            until = max(until, standing.at)
            numbers = {table: max(last, standing.numbers.get(table, 0)) for table, last in numbers.items()}
        at = self._event_at(numbers.get("event", 0))
        _write(self.path, Mark(self._store.identity(), until, numbers, at))

    def _standing(self) -> Mark | None:
        """What the file says of this database."""
        mark = self._read()
        return mark if mark is not None and mark.database == self._store.identity() else None

    def accept(self, mark: ports.Mark) -> None:
        """Take the database as it is; its next events come after the lost ones."""
        self._skip(mark.numbers)
        self._store.set_restored_until(mark.at)

    def protect_ids(self) -> None:
        """Where the database is behind, give nobody the id that somebody else had in what is lost.

        Links and Message-IDs with it are in other people's mailboxes. Events and workers stay behind, for `require` to
        see.
        """
        mark = self.ahead()
        if mark is not None:
            with self._store.transaction():
                self._skip(
                    {table: number for table, number in mark.numbers.items() if table not in ("event", "worker")}
                )

    def _last_worker(self) -> int:
        return self._store.database.last_number("worker")

    def _event_at(self, number: int) -> datetime | None:
        """When an event was; None when there is none of that number, or it was forgotten."""
        at = self._store.database.value("SELECT at FROM event WHERE id = ?", number)
        return None if at is None else from_milliseconds(int(at))

    def _skip(self, numbers: Mapping[str, int]) -> None:
        for table, number in numbers.items():
            self._store.database.skip_to(table, number)

    def _read(self) -> Mark | None:
        if self.path is None:
            return None
        try:
            said = json.loads(self.path.read_text("utf-8"))
            database, at, numbers = str(said["database"]), parse_moment(said["at"]), {**said["numbers"]}
            return Mark(database, at, numbers, parse_moment(said["event_at"]) if "event_at" in said else None)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatabaseUnavailable(
                f"{self.path} can't be read", "remove it, unless the database was restored from a backup"
            ) from error


def _write(path: Path, mark: Mark) -> None:
    said = {"database": mark.database, "at": format_moment(mark.at), "numbers": dict(mark.numbers)}
    text = json.dumps(said if mark.event_at is None else {**said, "event_at": format_moment(mark.event_at)})
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with fresh.open("w", encoding="utf-8") as handle:
            handle.write(text + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        reached(Point.HIGH_WATER_WRITTEN)
        fresh.replace(path)
        reached(Point.HIGH_WATER_REPLACED)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise DatabaseUnavailable(
            f"{path} can't be written", "look at the disk and the folder's permissions"
        ) from error
