"""How far the database has got, in a small file beside it: a database that went back in time is behind its file.

Backups are restored and files copied; the messages that were sent meanwhile stay sent. The file knows the database's
own id, so that a new database in the same place is no cause for alarm, and the last number of every table whose ids
are never used twice, so that they are not used twice after a restore either.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from drip.core.moments import format_moment, parse_moment
from drip.engine.points import Point, reached
from drip.errors import DatabaseRestored, DatabaseUnavailable
from drip.store.store import Store

if TYPE_CHECKING:
    from drip.engine import ports


@dataclass(frozen=True, slots=True)
class Mark:
    """What the file says."""

    database: str
    """The database's own id."""
    at: datetime
    """The worker's clock when it was written."""
    numbers: Mapping[str, int]
    """The last id given out, by table."""

    @property
    def event(self) -> int:
        """The number of the last event."""
        return self.numbers.get("event", 0)


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
        self._written: Mark | None = None

    def ahead(self) -> Mark | None:
        """The file's mark when the database is behind it, else None.

        Raises:
            DatabaseUnavailable: the file can't be read.
        """
        mark = self._read()
        if mark is None or mark.database != self._store.identity() or mark.event <= self._store.events.last():
            return None
        return mark

    def require(self) -> None:
        """Raise DatabaseRestored when the database is behind its file."""
        mark = self.ahead()
        if mark is not None:
            last = self._store.events.last()
            raise DatabaseRestored(
                f"the database has gone back in time: its last event is {last}, but {mark.event} were written"
                f" until {format_moment(mark.at)}",
                "what was sent since then would be sent again: `drip resolve --restored --hold` holds what was due,"
                " `--go-on` sends it",
            )

    def note(self, now: datetime) -> None:
        """Write how far the database is, if it has moved; never less than another worker wrote.

        Raises:
            DatabaseUnavailable: the file can't be written.
        """
        if self.path is None or (self._written is not None and self._store.events.last() == self._written.event):
            return
        mark = Mark(self._store.identity(), now, self._store.database.numbers())
        standing = self._read()
        if standing is None or standing.database != mark.database or standing.event < mark.event:
            _write(self.path, mark)
        self._written = mark

    def accept(self, mark: ports.Mark) -> None:
        """Take the database as it is; its next events come after the lost ones."""
        self._skip(mark.numbers)
        self._store.set_restored_until(mark.at)

    def protect_ids(self) -> None:
        """Where the database is behind, give nobody the id that somebody else had in what is lost.

        Links and Message-IDs with it are in other people's mailboxes. The events stay behind, for `require` to see.
        """
        mark = self.ahead()
        if mark is not None:
            with self._store.transaction():
                self._skip({table: number for table, number in mark.numbers.items() if table != "event"})

    def _skip(self, numbers: Mapping[str, int]) -> None:
        for table, number in numbers.items():
            self._store.database.skip_to(table, number)

    def _read(self) -> Mark | None:
        if self.path is None:
            return None
        try:
            said = json.loads(self.path.read_text("utf-8"))
            return Mark(str(said["database"]), parse_moment(said["at"]), {**said["numbers"]})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatabaseUnavailable(
                f"{self.path} can't be read", "remove it, unless the database was restored from a backup"
            ) from error


def _write(path: Path, mark: Mark) -> None:
    text = json.dumps({"database": mark.database, "at": format_moment(mark.at), "numbers": dict(mark.numbers)})
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
        raise DatabaseUnavailable(
            f"{path} can't be written", "look at the disk and the folder's permissions"
        ) from error
