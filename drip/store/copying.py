"""One database into another, empty one of any kind: every row, with its id, and the ids that were given out before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from drip.errors import DatabaseUnavailable, Invalid
from drip.store.database import Database

TABLES = (
    *("meta", "sequence", "step", "revision", "template", "contact", "suppression", "worker", "subscription"),
    *("report", "inbox", "delivery", "event", "api_key", "webhook_endpoint", "webhook_delivery", "bucket", "day"),
)
"""All that drip remembers; what is referred to comes before what refers to it."""


def count_rows(database: Database) -> dict[str, int]:
    """How many rows each table has."""
    return {table: int(database.value(f"SELECT COUNT(*) FROM {table}")) for table in TABLES}


def copy_rows(
    source: Database, target: Database, progress: Callable[[int], None] = lambda rows: None
) -> dict[str, int]:
    """Copy everything; call it where nobody writes to the source, or in a snapshot of it.

    Args:
        target: connected, with today's schema, and nothing in it but what opening it makes.
        progress: told how many rows were copied since it was last called.

    Returns:
        How many rows each table has, in both.

    Raises:
        Invalid: there is something in the target.
        DatabaseUnavailable: the copy is not the same; nothing was changed.
    """
    with target.transaction():
        _require_empty(target)
        target.run("DELETE FROM meta")
        for table in TABLES:
            columns = source.columns(table)
            rows = source.stream(f"SELECT {', '.join(columns)} FROM {table}")
            target.load(table, columns, _counted(rows, progress))
        for table, number in {**_highest(source), **source.numbers()}.items():
            target.skip_to(table, number)
        copied, wanted = count_rows(target), count_rows(source)
        if copied != wanted:
            table = next(table for table in TABLES if copied[table] != wanted[table])
            raise DatabaseUnavailable(
                f"the copy of {table} has {copied[table]} rows instead of {wanted[table]}",
                "something wrote to one of them meanwhile: stop it, and copy again; the copy was not kept",
            )
    return copied


def _require_empty(target: Database) -> None:
    standing = next((table for table, rows in count_rows(target).items() if rows and table != "meta"), None)
    if standing is not None:
        raise Invalid(
            f"{target.place} is not empty: there are rows in {standing}", "copy into a new database, or empty that one"
        )


def _highest(database: Database) -> Mapping[str, int]:
    """The highest id of each table that has one, where the database itself keeps no count of them."""
    numbered = [table for table in TABLES if database.columns(table)[0] == "id" and table != "api_key"]
    return {table: int(database.value(f"SELECT MAX(id) FROM {table}") or 0) for table in numbered}


def _counted(rows: Iterator[tuple[Any, ...]], progress: Callable[[int], None]) -> Iterator[tuple[Any, ...]]:
    passed = 0
    for row in rows:
        yield row
        passed += 1
        if passed == 1000:
            progress(passed)
            passed = 0
    progress(passed)
