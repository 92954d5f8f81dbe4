"""What has left and what may leave, for all processes on one database."""

from __future__ import annotations

from datetime import date, datetime

from drip.core.limits import Bucket
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.store.database import Database
from drip.store.rows import ms

# What is in hand at midnight leaves on the new day; and a limit may be new.
KNOWN = """
    (SELECT COUNT(*) FROM subscription WHERE owner > 0)
    + (SELECT COUNT(*) FROM delivery
        WHERE at >= ? AND at < ? AND state = 'sent' AND state IN ('sent', 'failed'))
    + (SELECT COUNT(*) FROM delivery
        WHERE at >= ? AND at < ? AND state = 'unknown' AND state IN ('sending', 'unknown', 'deferred', 'failed'))
"""


class Budgets:
    """One row per limit. Call everything inside the transaction that claims or records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bucket(self, name: str) -> Bucket | None:
        """A rate's bucket, or None when it was never used."""
        self._database.take_turns()
        row = self._database.row("SELECT tokens, at FROM bucket WHERE name = ?", name)
        return None if row is None else Bucket(row[0], from_milliseconds(row[1]))

    def set_bucket(self, name: str, bucket: Bucket) -> None:
        """Remember a rate's bucket."""
        self._database.run(
            "INSERT INTO bucket (name, tokens, at) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET tokens = excluded.tokens, at = excluded.at",
            *(name, bucket.tokens, to_milliseconds(bucket.at)),
        )

    def begin(self, day: date, since: datetime, until: datetime) -> None:
        """Count on a day, from `since` to `until`, from what is known of it; nothing where that was done."""
        if self._counted(day) is None:
            self._database.take_turns()
            self._database.run(
                f"INSERT INTO day (day, used) VALUES (?, {KNOWN}) ON CONFLICT (day) DO NOTHING",
                *(day.isoformat(), ms(since), ms(until), ms(since), ms(until)),
            )

    def used(self, day: date, since: datetime, until: datetime) -> int:
        """How many have left, or are about to, on a day from `since` to `until`."""
        self._database.take_turns()
        counted = self._counted(day)
        if counted is None:
            counted = int(self._database.value(f"SELECT {KNOWN}", ms(since), ms(until), ms(since), ms(until)))
        return counted

    def use(self, day: date, count: int) -> None:
        """Count so many more on a day that was begun; a negative count gives back."""
        self._database.take_turns()
        self._database.run(
            "UPDATE day SET used = CASE WHEN used + ? > 0 THEN used + ? ELSE 0 END WHERE day = ?",
            *(count, count, day.isoformat()),
        )

    def first_day(self) -> date | None:
        """The first day on which anything left, or is about to; None before it."""
        found = self._database.value("SELECT MIN(day) FROM day WHERE used > 0")
        return None if found is None else date.fromisoformat(found)

    def _counted(self, day: date) -> int | None:
        found: int | None = self._database.value("SELECT used FROM day WHERE day = ?", day.isoformat())
        return found
