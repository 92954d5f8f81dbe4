"""All of stdout and stderr. stdout is data, stderr is talk. What is foreign goes through `clean` first."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any, Protocol

import click

from drip.core.plain import clean as clean
from drip.core.plain import clean_prose as clean_prose
from drip.core.plain import count as count
from drip.core.plain import distance as distance
from drip.core.plain import encodable
from drip.core.plain import moment as moment

BAR_AFTER = 0.5
"""Seconds after which work counts as long, and gets a bar."""
LONGEST_WORD = 20
"""Columns of a terminal that are kept for one word of a table; a longer one may be broken."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What the system says of a file that takes no more."""


def line(text: str = "", *, err: bool = False) -> None:
    """Write lines; what is in them must be safe: see `clean`. Talk that nobody can take is left out: work goes on."""
    try:
        click.echo(text, err=err, color=None if colours(sys.stderr if err else sys.stdout) else False)
    except OSError:
        if not err:
            raise


@contextmanager
def where_there_is_room() -> Iterator[None]:
    """What is written in this block is left out when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise


def note(text: str) -> None:
    """Talk: one line on stderr."""
    line(clean_prose(text), err=True)


def note_more(number: int) -> None:
    """Say how many rows a table has left out, if any."""
    if number > 0:
        note(f"{number} more: --limit N shows them")


def complain(message: str, hint: str | None = None) -> None:
    """What went wrong, and what to do: on stderr."""
    line(paint("drip:", "red", err=True) + " " + clean_prose(message), err=True)
    if hint:
        line("  " + clean_prose(hint), err=True)


def is_terminal(stream: Any) -> bool:
    """Whether a person reads it as it is written."""
    return bool(stream.isatty())


def colours(stream: Any) -> bool:
    """Whether colours are wanted: a terminal, and no NO_COLOR (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, *, err: bool = False) -> str:
    """The text in a colour, where colours are wanted."""
    return click.style(text, fg=colour) if colours(sys.stderr if err else sys.stdout) else text


def can_ask() -> bool:
    """Whether somebody is there to answer a question."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def confirm(question: str) -> bool:
    """Ask on the terminal; no answer is no."""
    try:
        return click.confirm(clean(question), default=False, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
        line(err=True)
        return False


def write_document(content: str | bytes) -> None:
    """A part of a message: as it is for a file or program, safe for a terminal."""
    raw = encodable(content).encode() if isinstance(content, str) else content
    if is_terminal(sys.stdout):
        line(clean_prose(raw.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")))
    else:
        sys.stdout.buffer.write(raw)


def write_json(document: Any) -> None:
    """One JSON document: in one line, or readable on a terminal."""
    indent = 2 if is_terminal(sys.stdout) else None
    line(encodable(json.dumps(_plain(document), ensure_ascii=False, indent=indent)))


def write_json_line(document: Any) -> None:
    """One JSON document in one line, at once."""
    line(encodable(json.dumps(_plain(document), ensure_ascii=False)))
    sys.stdout.flush()


def write_json_array(documents: Iterable[Any]) -> None:
    """A JSON array, written as it is read: one element per line."""
    opened = "["
    for document in documents:
        line(opened + encodable(json.dumps(_plain(document), ensure_ascii=False)))
        opened = ","
    line("]" if opened == "," else "[]")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table: fitted to a terminal, or plain text with nothing cut off.

    On a terminal too narrow for the words in it, each row is a paragraph of names and values.

    A column whose name begins with `>` is aligned to the right. None is an empty cell.
    """
    cells = [["" if cell is None else clean(str(cell)) for cell in row] for row in rows]
    if colours(sys.stdout):
        _show_rich_table(columns, cells)
    else:
        _show_plain_table(columns, cells)


def show_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; those without a value are left out."""
    kept = [(name, clean(str(value))) for name, value in fields if value not in (None, "")]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        line(f"{paint(name.ljust(width), 'cyan')}  {value}")


def moment_to_second(at: datetime, zone: tzinfo) -> str:
    """`2026-03-27 09:30:05`."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


class Bar(Protocol):
    """A progress bar."""

    def advance(self, amount: int = 1) -> None:
        """So much more is done."""
        ...

    def move_to(self, amount: int) -> None:
        """So much is done in all."""
        ...

    def say(self, text: str) -> None:
        """Change the words beside it."""
        ...


@contextmanager
def progress(text: str, total: int | None) -> Iterator[Bar]:
    """A bar on stderr for work that turns out to be long; nothing where nobody watches.

    Args:
        total: None is not known; then only what `say` says is shown.
    """
    if not colours(sys.stderr):
        yield _NoBar()
        return
    from drip.cli.bar import RichBar

    bar = RichBar(text, total, after=BAR_AFTER)
    try:
        yield bar
    finally:
        bar.stop()


class _NoBar:
    def advance(self, amount: int = 1) -> None:
        """Nobody watches."""

    def move_to(self, amount: int) -> None:
        """Nobody watches."""

    def say(self, text: str) -> None:
        """Nobody watches."""


def _show_rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    names = [column.lstrip(">") for column in columns]
    if _narrowest(names, rows) > console.width:
        for index, row in enumerate(rows):
            if index:
                line()
            show_fields(zip(names, row, strict=True))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _narrowest(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The width below which words of a table would be broken; of one too long for any column, a part is enough."""
    from rich.cells import cell_len

    longest = [
        max((cell_len(word) for cell in column for word in cell.split()), default=0)
        for column in zip(names, *rows, strict=True)
    ]
    return sum(min(width, LONGEST_WORD) for width in longest) + 2 * (len(longest) - 1)


def _show_plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    head = [column.lstrip(">") for column in columns]
    widths = [max([cell_len(name), *(cell_len(row[index]) for row in rows)]) for index, name in enumerate(head)]
    for row in [head, *rows]:
        padded = []
        for column, cell, width in zip(columns, row, widths, strict=True):
            space = " " * (width - cell_len(cell))
            padded.append(space + cell if column.startswith(">") else cell + space)
        line("  ".join(padded).rstrip())


def _plain(value: Any) -> Any:
    """JSON values of what the engine gives."""
    from drip.core.moments import format_moment

    match value:
        case datetime():
            return format_moment(value)
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(name): _plain(content) for name, content in value.items()}
        case list() | tuple():
            return [_plain(content) for content in value]
        case _:
            return value
