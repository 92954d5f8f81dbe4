"""People in a CSV file, read as a stream. One bad row says what is wrong with it, and stops no other."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from drip.core.moments import parse_moment
from drip.core.variables import check_name
from drip.errors import Invalid, nearest

LONGEST_FIELD = 10_000
"""Characters."""
MOST_LINES = 200
"""Of one record; a quote that is never closed must not swallow the file."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNUSUAL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What one of these patterns may find, looked for in all fields at once."""
_OWN = ("email", "name", "started_at")
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, slots=True)
class Row:
    """One person."""

    line: int
    """Where the row begins, from 1."""
    email: str
    name: str = ""
    started_at: datetime | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be used."""

    line: int
    email: str
    """As far as it could be read; may be anything."""
    message: str


def read_people(file: BinaryIO, *, headless: bool = False) -> Iterator[Row | BadRow]:
    """Each row as a person, or what is wrong with it. Empty lines are left out.

    Args:
        headless: a file whose first line has an @ is a list of addresses, without a header.

    Raises:
        Invalid: the file has no usable header.
    """
    lines = _Lines(_text(file))
    head = lines.peek()
    delimiter = max(",;\t", key=head.count)
    rows = _records(lines, delimiter)
    columns = ["email"] if headless and "@" in head else _columns(next(rows, None), headless=headless)
    for line, record in rows:
        if isinstance(record, str):
            yield BadRow(line, "", record)
        elif any(record):
            yield _row(line, columns, record)


def _text(file: BinaryIO) -> Iterator[str]:
    head = file.read(2)
    if head in _WIDE:
        raise Invalid(f"the file is {_WIDE[head]}", "save it as UTF-8")
    whole = io.BufferedReader(_Behind(head, file))
    # What is no UTF-8 becomes surrogates, which only their own row is refused for.
    return io.TextIOWrapper(whole, encoding="utf-8-sig", errors="surrogateescape", newline="")


class _Behind(io.RawIOBase):
    """A stream with the octets that were read from it put back."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What was put back, then the rest."""
        data = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Lines:
    """Lines, counted, that can be read again from the start of the record."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._ahead: list[str] = []
        self._taken: list[str] = []
        self.number = 1
        """Of the line that the record begins on."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._taken) >= MOST_LINES:
            raise csv.Error(f"a quote is not closed within {MOST_LINES} lines")
        line = self._ahead.pop() if self._ahead else next(self._source)
        self._taken.append(line)
        return line

    def peek(self) -> str:
        """The next line; empty at the end."""
        if not self._ahead:
            self._ahead += [line for line in [next(self._source, "")] if line]
        return self._ahead[-1] if self._ahead else ""

    def next_record(self) -> None:
        """The lines taken are done with."""
        self.number += len(self._taken)
        self._taken = []

    def skip_line(self) -> None:
        """Give up the first line of the record; what came behind it is read again."""
        self._ahead += reversed(self._taken[1:])
        self._taken = self._taken[:1]
        self.next_record()


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """The line and fields of each record, or what is wrong with it."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start = lines.number
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.skip_line()
            yield start, f"this is not CSV: {_words(error)}"
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        lines.next_record()
        yield start, record


def _words(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a quote is not closed"
    return f"there is something behind a closing quote ({text})" if "expected after" in text else text


def _columns(head: tuple[int, list[str] | str] | None, *, headless: bool) -> list[str]:
    if head is None:
        wanted = "its first line names the columns: email, name, started_at, variables"
        raise Invalid("the file is empty", "an address a line is enough" if headless else wanted)
    if isinstance(head[1], str):
        raise Invalid(f"line 1: {head[1]}")
    columns = [_column(name.strip()) for name in head[1]]
    named = [name for name in columns if name]
    double = next((name for name in named if named.count(name) > 1), None)
    if double is not None:
        raise Invalid(f"the column {double!r} is there twice")
    if "email" not in columns:
        near = nearest("email", [name.lower() for name in named])
        hint = f"is it {near!r}? rename it to email" if near else "its first line names the columns, one of them email"
        raise Invalid("the file has no column `email`", hint)
    return columns


def _column(name: str) -> str:
    if name.lower() in _OWN:
        return name.lower()
    if _SURROGATE.search(name):
        raise Invalid("the file is not UTF-8", "save it as UTF-8")
    try:
        return check_name(name) if name else ""
    except ValueError as error:
        if name.lower() in ("e-mail", "mail", "e-mail address", "email address"):
            return name
        raise Invalid(
            f"column {error}", f"rename it to {re.sub(r'[^A-Za-z0-9_]+', '_', name).strip('_') or 'x'}"
        ) from None


def _row(line: int, columns: list[str], record: list[str]) -> Row | BadRow:
    given = dict(zip(columns, record, strict=False))
    given.pop("", None)
    email = given.pop("email", "").strip()
    wrong = _wrong(columns, record)
    if wrong is not None:
        return BadRow(line, email, wrong)
    try:
        started = given.pop("started_at", "").strip()
        started_at = parse_moment(started) if started else None
    except ValueError as error:
        return BadRow(line, email, f"started_at: {error}")
    name = given.pop("name", "").strip()
    return Row(line, email, name, started_at, {key: value for key, value in given.items() if value})


def _wrong(columns: list[str], record: list[str]) -> str | None:
    whole = "".join(record)
    usual = len(record) == len(columns) and len(whole) <= LONGEST_FIELD and not _UNUSUAL.search(whole)
    if usual and record[columns.index("email")].strip():
        return None
    if len(record) > len(columns):
        return f"it has {len(record)} fields, the header {len(columns)}"
    for column, text in zip(columns, record, strict=False):
        if len(text) > LONGEST_FIELD:
            return f"{column or 'a field'} is longer than {LONGEST_FIELD} characters"
        if _SURROGATE.search(text):
            return f"{column or 'a field'} is not UTF-8"
        pattern = _LINE_CONTROL if column in _OWN else _CONTROL
        if found := pattern.search(text):
            return f"{column or 'a field'} has a control character, U+{ord(found[0]):04X}"
    return None if record[columns.index("email") :] and record[columns.index("email")].strip() else "it has no email"
