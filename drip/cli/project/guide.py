"""`guide`: the manual in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from drip.cli.arguments import json_option
from drip.errors import NotFound

if TYPE_CHECKING:
    from drip.cli.project.manual import Passage

WIDEST = 100
"""Columns; longer lines are hard to read."""


def _complete_topics(context: click.Context, param: click.Parameter, begins: str) -> list[CompletionItem]:
    from drip.cli.project.manual import entries

    return [CompletionItem(entry.topic) for entry in entries() if entry.topic.startswith(begins.lower())]


@click.command("guide")
@click.argument("topics", metavar="[TOPIC]", nargs=-1, shell_complete=_complete_topics)
@click.option("--search", "-s", "words", metavar="WORDS", help="Show where all pages speak of these words.")
@json_option
def guide_command(topics: tuple[str, ...], words: str | None, as_json: bool) -> None:
    """Read the manual in the terminal.

    Without a topic it lists them. On a terminal a page is laid out, and longer ones open in your pager; in a pipe or a
    file it is the Markdown as it was written.

    \b
    Example:
      drip guide
      drip guide first-mail
      drip guide --search "send window"
    """
    from drip.errors import Invalid

    if words is not None:
        wanted = " ".join([words, *topics]).split()
        if not wanted:
            raise Invalid("--search wants the words to look for", 'as in: drip guide --search "send window"')
        _search(wanted, as_json)
    elif not topics:
        _list(as_json)
    elif len(topics) == 1:
        _read(topics[0], as_json)
    else:
        words = " ".join(topics)
        raise Invalid("one topic at a time", f'to look for words: drip guide --search "{words}"')


def _list(as_json: bool) -> None:
    from drip.cli.output import line, note, paint, write_json
    from drip.cli.project.manual import entries

    if as_json:
        write_json([_object(entry.topic) for entry in entries()])
        return
    width = max(len(entry.topic) for entry in entries())
    part = ""
    for entry in entries():
        if entry.part != part:
            line(f"\n{entry.part}" if part else entry.part)
            part = entry.part
        line(f"  {paint(entry.topic.ljust(width), 'cyan')}  {entry.summary}")
    note("\n`drip guide TOPIC` shows a page, `drip guide --search WORDS` where something is said")


def _read(topic: str, as_json: bool) -> None:
    import sys

    from drip.cli.output import colours, line, write_json
    from drip.cli.project.manual import page

    try:
        markdown = page(topic)
    except NotFound as error:
        raise _with_way_out(error) from None
    if as_json:
        write_json({**_object(topic), "markdown": markdown})
    elif colours(sys.stdout):
        _show(markdown)
    else:
        line(markdown.rstrip("\n"))


def _object(topic: str) -> dict[str, Any]:
    from drip.cli.project.manual import entries, page, title

    entry = next(one for one in entries() if one.topic == topic)
    return {"topic": topic, "part": entry.part, "title": title(page(topic)), "summary": entry.summary}


def _with_way_out(error: NotFound) -> NotFound:
    """The same, where no topic is near: a command has its own help, and words can be searched for."""
    from drip.cli.main import COMMANDS

    if error.name in COMMANDS:
        return NotFound(error.kind, error.name, hint=f"the command has its own page: `drip {error.name} -h`")
    near = f"{error.hint}  " if error.hint else ""
    return NotFound(error.kind, error.name, hint=f"{near}`drip guide` lists the topics; --search looks for words")


def _show(markdown: str) -> None:
    """Laid out for the terminal, through the pager when it is longer than the screen."""
    import os
    import shutil

    # As git does: leave at once when it fits the screen, keep colours, and leave the text on the screen.
    os.environ.setdefault("LESS", "-FRX")
    # click knows whether this `less` shows colours; another pager is taken to.
    colour = None if "less" in os.environ.get("PAGER", "less") else True
    click.echo_via_pager(laid_out(markdown, min(shutil.get_terminal_size().columns, WIDEST)), colour)


def laid_out(markdown: str, columns: int) -> str:
    """A page as a terminal shows it, with its colours."""
    import io

    from rich.console import Console
    from rich.markdown import Markdown

    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=columns)
    console.print(Markdown(markdown, code_theme="ansi_dark", hyperlinks=False))
    return written.getvalue()


def _search(words: Sequence[str], as_json: bool) -> None:
    from drip.cli.output import line, write_json
    from drip.cli.project.manual import search

    found = search(words)
    if as_json:
        write_json([_found_object(passage) for passage in found])
        return
    if not found:
        said = " ".join(words)
        raise NotFound("page about", said, hint="try fewer or other words; `drip guide` lists the topics")
    place = ("", "")
    for passage in found:
        if (passage.topic, passage.heading) != place:
            line(("\n" if place[0] else "") + _place(passage))
            place = (passage.topic, passage.heading)
        for text in passage.lines:
            line(f"  {_highlighted(text, words)}")


def _found_object(passage: Passage) -> dict[str, Any]:
    return {
        "topic": passage.topic,
        "heading": passage.heading,
        "line": passage.number,
        "text": "\n".join(passage.lines),
    }


def _place(passage: Passage) -> str:
    from drip.cli.output import clean, paint

    return f"{paint(passage.topic, 'cyan')}: {clean(passage.heading)}"


def _highlighted(text: str, words: Sequence[str]) -> str:
    import re

    from drip.cli.output import clean, paint

    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(pattern, lambda found: paint(found[0], "yellow"), clean(text), flags=re.IGNORECASE)
