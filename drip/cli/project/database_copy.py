"""`db copy`: from one database to another, where nobody writes to either meanwhile."""

from __future__ import annotations

from pathlib import Path

from drip.cli.invocation import Invocation
from drip.cli.output import progress
from drip.errors import Invalid, Refused
from drip.files.servers import database_url
from drip.files.wording import BadValue
from drip.store.copying import copy_rows, count_rows
from drip.store.database import Database
from drip.store.opening import open_url
from drip.store.processes import LocalProcesses
from drip.store.store import Store


def copy_database(invocation: Invocation, source: str, target: str) -> tuple[dict[str, int], str]:
    """Copy everything; how many rows each table has, and where the copy is.

    Raises:
        Invalid: a database is named wrongly, there is none to copy, or the target is not empty.
        Refused: a worker is at work on the source.
        DatabaseUnavailable: one of them can't be used.
    """
    folder = invocation.path(".")
    origin, copy = Store(_named("FROM", source, folder)), Store(_named("TO", target, folder))
    if not origin.database.exists:
        raise Invalid(f"FROM: there is no database {origin.database.place}")
    if origin.database.place == copy.database.place:
        raise Invalid(f"FROM and TO are the same: {copy.database.place}")
    # Both write alone: nothing is claimed, sent or subscribed on either side meanwhile.
    with origin.opened(), copy.opened(), origin.transaction():
        _require_rest(origin)
        with progress("copying", sum(count_rows(origin.database).values())) as bar:
            copied = copy_rows(origin.database, copy.database, bar.advance)
    return copied, copy.database.place


def _named(which: str, text: str, folder: Path) -> Database:
    try:
        return open_url(database_url(text, folder))
    except BadValue as error:
        raise Invalid(f"{which}: {error}", error.hint) from None


def _require_rest(origin: Store) -> None:
    now, processes = origin.awake(), LocalProcesses()
    for worker in origin.claims.workers():
        if worker.lease_until > now and not processes.is_gone(worker):
            raise Refused(
                "worker_at_work",
                f"a worker is at work on {origin.database.place}",
                "stop it first: what it sends after the copy would be sent again from the copy",
            )
