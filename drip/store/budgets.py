"""What has left and what may leave, for all processes on one database."""

from __future__ import annotations

from datetime import date

from drip.core.limits import Bucket
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.store.database import Database


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

    def used(self, day: date) -> int:
        """How many have left, or are about to, on a day."""
        self._database.take_turns()
        return int(self._database.value("SELECT used FROM day WHERE day = ?", day.isoformat()) or 0)

    def use(self, day: date, count: int) -> None:
        """Count so many more on a day; a negative count gives back."""
        self._database.take_turns()
        self._database.run(
            "INSERT INTO day (day, used) VALUES (?, ?) ON CONFLICT (day) DO UPDATE"
            " SET used = CASE WHEN day.used + ? > 0 THEN day.used + ? ELSE 0 END",
            *(day.isoformat(), max(count, 0), count, count),
        )

    def first_day(self) -> date | None:
        """The first day on which anything was counted; None before it."""
        found = self._database.value("SELECT MIN(day) FROM day")
        return None if found is None else date.fromisoformat(found)
