"""The manual: its pages, in order, and what is said where. Nothing is shown here; see `guide`.

Pages are the Markdown files of `drip/guide`, listed in `index.md` with a line on each, and those made from the code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from drip.errors import NotFound

INDEX = "index"
_ENTRY = re.compile(r"- \[?`?(?P<topic>[a-z0-9-]+)`?\]?(?:\(\S+\))?: (?P<summary>.+(?:\n  .+)*)")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_HEADING = re.compile(r"#{1,6} +(.+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """A page as the index lists it."""

    topic: str
    """What `drip guide` is asked for: the file's stem."""
    part: str
    """The heading of the index it stands under."""
    summary: str
    """One line."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines of a page that belong together: a paragraph, an item of a list, a row, a block of code."""

    topic: str
    heading: str
    """The nearest heading above it."""
    number: int
    """Of its first line in the page, from 1."""
    lines: tuple[str, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """All pages, in the order of the index."""
    found: list[Entry] = []
    for section in re.split(r"^## ", _read(INDEX), flags=re.MULTILINE)[1:]:
        part = section.partition("\n")[0].strip()
        found += [Entry(match["topic"], part, " ".join(match["summary"].split())) for match in _ENTRY.finditer(section)]
    return tuple(found)


def page(topic: str) -> str:
    """The Markdown of a page, without what only tests read.

    Raises:
        NotFound: there is none of that name.
    """
    known = [entry.topic for entry in entries()]
    if topic not in known:
        raise NotFound("topic", topic, known)
    made = _generated().get(topic)
    return _COMMENT.sub("", _read(topic)) if made is None else made()


def title(markdown: str) -> str:
    """The first heading of a page."""
    return next((found[1] for found in map(_HEADING.match, markdown.splitlines()) if found), "")


def search(words: Sequence[str]) -> list[Passage]:
    """The passages in which all of these words are, in the order of the index; case does not matter."""
    wanted = [word.casefold() for word in words]
    return [
        passage
        for entry in entries()
        for passage in _passages(entry.topic, page(entry.topic))
        if all(word in " ".join([passage.heading, *passage.lines]).casefold() for word in wanted)
        and any(word in " ".join(passage.lines).casefold() for word in wanted)
    ]


def _read(name: str) -> str:
    return files("drip").joinpath("guide", f"{name}.md").read_text("utf-8")


def _generated() -> dict[str, Callable[[], str]]:
    from drip.cli.project import reference

    return {
        "commands": reference.commands_page,
        "drip-yaml": reference.config_page,
        "sequence-yaml": reference.sequence_page,
    }


def _passages(topic: str, markdown: str) -> Iterator[Passage]:
    heading, begun, fenced = "", 0, False
    lines: list[str] = []

    def whole() -> Iterator[Passage]:
        if lines:
            yield Passage(topic, heading, begun, tuple(lines))
        lines.clear()

    for number, line in enumerate(markdown.splitlines(), 1):
        found = None if fenced else _HEADING.fullmatch(line)
        fence = line.startswith("```")
        fenced ^= fence
        if found or fence or not line.strip() or (not fenced and line.lstrip().startswith(("- ", "|"))):
            yield from whole()
        if found:
            heading = found[1]
        if line.strip() and not fence:
            begun = begun if lines else number
            lines.append(line)
    yield from whole()
