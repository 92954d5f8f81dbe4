"""`import`: the people of a CSV file, in batches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from drip.cli.arguments import complete_files, json_option, sequence_argument
from drip.cli.invocation import Invocation, pass_invocation
from drip.errors import Invalid

if TYPE_CHECKING:
    from drip.cli.output import Bar
    from drip.cli.people.csv_file import BadRow, Row
    from drip.engine.subscribe import Answered, Request
    from drip.store.store import Store

BATCH = 1000
"""People per transaction."""
SHOWN = 20
"""Refused rows shown per reason."""


@click.command("import")
@sequence_argument
@click.argument("file", metavar="FILE.csv", shell_complete=complete_files)
@click.option("--dry-run", is_flag=True, help="Say what would become of each row; change nothing.")
@json_option
@click.pass_context
@pass_invocation
def import_command(
    invocation: Invocation, context: click.Context, sequence: str, file: str, dry_run: bool, as_json: bool
) -> None:
    """Add the people of a CSV file.

    The columns are email, name and started_at; all others are variables. Commas, semicolons or tabs separate them.
    `-` reads stdin. One bad row stops nothing: the report says which were refused and why, and the exit code is 1.

    \b
    Example:
      drip import welcome people.csv --dry-run
      drip import welcome people.csv
      psql -c "copy (select email, plan from users) to stdout csv header" | drip import welcome -
    """
    from drip.cli.output import note, progress, write_json
    from drip.cli.people.csv_file import read_people
    from drip.engine.subscribe import find_sequence

    tally = Tally()
    with invocation.opened() as store:
        find_sequence(store, sequence)
        with opened_file(invocation, file) as (stream, size), progress(f"importing {file}", size) as bar:
            importer = _Importer(invocation, store, sequence, tally, dry_run)
            try:
                for batch in _batches(read_people(stream)):
                    importer.take(batch)
                    _show_progress(bar, stream, tally, size)
            except KeyboardInterrupt:
                note(
                    f"\n{tally.line()} before it was interrupted; those who are in are left alone when it is run again"
                )
                raise
    if as_json:
        write_json({"created": tally.created, "existing": tally.existing, "refused": tally.by_line()})
    else:
        tally.show(dry_run)
    if tally.refused:
        context.exit(1)


@dataclass(slots=True)
class Tally:
    """What became of the rows."""

    created: int = 0
    existing: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Line, email, code and message of each."""

    def line(self) -> str:
        """`created 3, existing 1, refused 0`."""
        return f"created {self.created}, existing {self.existing}, refused {len(self.refused)}"

    def refuse(self, line: int, email: str, code: str, message: str) -> None:
        """A row that was not taken."""
        self.refused.append({"line": line, "email": email, "code": code, "message": message})

    def by_line(self) -> list[dict[str, Any]]:
        """What was refused, in the order of the file."""
        return sorted(self.refused, key=lambda row: int(row["line"]))

    def show(self, dry_run: bool) -> None:
        """The report, by reason."""
        from drip.cli.output import clean, line, note

        line(self.line())
        by_code: dict[str, list[dict[str, Any]]] = {}
        for row in self.by_line():
            by_code.setdefault(row["code"], []).append(row)
        for code, rows in sorted(by_code.items()):
            line(f"{code}: {len(rows)}")
            for row in rows[:SHOWN]:
                line(clean(f"  line {row['line']}: {row['message']}"))
            if len(rows) > SHOWN:
                line(f"  and {len(rows) - SHOWN} more; --json lists all")
        if dry_run:
            note("nothing was changed: this was a dry run")


class _Importer:
    """Takes batches to the sequence."""

    def __init__(self, invocation: Invocation, store: Store, sequence: str, tally: Tally, dry_run: bool) -> None:
        self._invocation = invocation
        self._store = store
        self._sequence = sequence
        self._tally = tally
        self._dry_run = dry_run
        self._seen: set[str] = set()

    def take(self, rows: list[Row | BadRow]) -> None:
        from drip.cli.people.csv_file import Row
        from drip.engine.subscribe import Answer, Request

        good = []
        for row in rows:
            if isinstance(row, Row):
                good.append((row.line, Request(row.email, row.name, row.variables, row.started_at)))
            else:
                self._tally.refuse(row.line, row.email, "invalid_field", row.message)
        answers = self._subscribe([request for _, request in good])
        for (line, _), answered in zip(good, answers, strict=True):
            if answered.answer is Answer.REFUSED:
                self._tally.refuse(line, answered.email, answered.code or "refused", answered.message)
            elif answered.answer is Answer.EXISTING or (self._dry_run and self._was_seen(answered.email)):
                self._tally.existing += 1
            else:
                self._tally.created += 1

    def _was_seen(self, email: str) -> bool:
        """Whether an earlier row had that address: what a dry run undoes, the next batch does not see."""
        from drip.core.address import email_key

        known, key = len(self._seen), email_key(email)
        self._seen.add(key)
        return len(self._seen) == known

    def _subscribe(self, requests: list[Request]) -> list[Answered]:
        from drip.engine.subscribe import subscribe_many

        now, settings = self._invocation.now(), self._invocation.settings
        if not self._dry_run:
            return subscribe_many(self._store, settings, self._sequence, requests, now)
        try:
            with self._store.transaction():
                raise _Undone(subscribe_many(self._store, settings, self._sequence, requests, now))
        except _Undone as undone:
            return undone.answers


class _Undone(Exception):
    """Rolls a transaction back, and brings its answers out of it."""

    def __init__(self, answers: list[Answered]) -> None:
        super().__init__()
        self.answers = answers


def _batches(rows: Iterable[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def opened_file(invocation: Invocation, file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """A file, and its size in octets; None for a stream."""
    if file == "-":
        yield sys.stdin.buffer, None
        return
    path: Path = invocation.path(file)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise Invalid(f"{file} can't be read: {(error.strerror or str(error)).lower()}") from None
    with stream:
        yield stream, path.stat().st_size if path.is_file() else None


def _show_progress(bar: Bar, stream: BinaryIO, tally: Tally, size: int | None) -> None:
    bar.say(tally.line())
    if size is not None:
        bar.move_to(stream.tell())
