"""Addresses to suppress, from a CSV file or a plain list."""

from __future__ import annotations

from itertools import islice
from typing import Any

from drip.cli.invocation import Invocation
from drip.cli.output import progress
from drip.cli.people.csv_file import BadRow, Row, read_people
from drip.cli.people.importing import opened_file
from drip.core.address import parse_email
from drip.core.subscription import SuppressionReason
from drip.engine.suppress import put_on_list
from drip.store.store import Store

BATCH = 500
"""Addresses per transaction."""


def import_suppressions(invocation: Invocation, file: str, reason: str) -> dict[str, Any]:
    """Suppress each address; one bad row stops nothing.

    Args:
        reason: for rows without one.

    Returns:
        `{"added", "existing", "refused": [{"line", "email", "message"}]}`.
    """
    tally: dict[str, Any] = {"added": 0, "existing": 0, "refused": []}
    with opened_file(invocation, file) as (stream, size), invocation.opened() as store, progress(file, size) as bar:
        rows = read_people(stream, headless=True)
        while batch := list(islice(rows, BATCH)):
            with store.transaction():
                for row in batch:
                    _take(invocation, store, row, reason, tally)
            bar.move_to(stream.tell() if size is not None else 0)
    return tally


def _take(invocation: Invocation, store: Store, row: Row | BadRow, reason: str, tally: dict[str, Any]) -> None:
    try:
        if isinstance(row, BadRow):
            raise ValueError(row.message)
        email = parse_email(row.email)
        wanted = _reason(str(row.variables.get("reason") or reason))
    except ValueError as error:
        tally["refused"].append({"line": row.line, "email": row.email, "message": str(error)})
        return
    code = row.variables.get("note")
    added, _ = put_on_list(store, email, wanted, invocation.now(), code=str(code)[:500] if code else None)
    tally["added" if added else "existing"] += 1


def _reason(text: str) -> SuppressionReason:
    try:
        return SuppressionReason(text)
    except ValueError:
        known = ", ".join(reason.value for reason in SuppressionReason)
        raise ValueError(f"{text!r} is no reason: write one of {known}") from None
