"""HTML cut into tags, comments and text, with the places of attributes. Nothing is repaired and nothing decoded.

This is enough to say where in a page something stands (WHATWG HTML, 13.2.5); it is no tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from drip.render.placeholders import WORD

VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
"""Elements that have no end tag."""

OPTIONAL_END = (
    frozenset({"body", "caption", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p", "rp", "rt"})
    | frozenset({"tbody", "td", "tfoot", "th", "thead", "tr"})
)  # fmt: skip
"""Elements whose end tag may be left out."""

_OPAQUE = frozenset({"script", "style", "title", "textarea"})
_MARK = re.compile(
    rf"<!--(?:-?>|.*?(?:--!?>|\Z))|<![^>]*>?|<\?[^>]*>?|<(/?)([A-Za-z](?:(?!{WORD})[^\s/>])*)", re.DOTALL
)
_ATTRIBUTE = re.compile(r"([^\s\"'<>/=]+)(?:(\s*=\s*)(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?|>|[\s/]+|.", re.DOTALL)


class Quote(Enum):
    """How an attribute's value is written."""

    QUOTED = "quoted"  # in " or '
    BARE = "bare"  # without quotes: a space in it ends it
    NONE = "none"  # a name alone


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a tag; positions are characters from the start of the page."""

    name: str
    """In lower case."""
    value: str
    """As written, not decoded; empty without one."""
    quote: Quote
    start: int
    """Where the name starts."""
    end: int
    """Behind the value and its quote."""


@dataclass(frozen=True, slots=True)
class Element:
    """A start or end tag."""

    name: str
    """In lower case."""
    closing: bool
    """It is `</…>`, or closes itself with `/>`."""
    start: int
    end: int
    inside: int
    """Where its attributes begin: behind the name."""
    attributes: tuple[Attribute, ...] = ()
    self_closed: bool = False


@dataclass(frozen=True, slots=True)
class Opaque:
    """What is neither tag nor text: a comment, a doctype, the content of `script`, `style`, `title`, `textarea`."""

    name: str
    """The element's, or `!` for a comment or declaration."""
    start: int
    end: int


def scan(page: str) -> Iterator[Element | Opaque]:
    """All tags and opaque stretches in order; what lies between them is text."""
    position = 0
    while mark := _MARK.search(page, position):
        if mark[2] is None:
            yield Opaque("!", *mark.span())
            position = mark.end()
            continue
        element = _element(page, mark)
        yield element
        position = element.end
        if element.name in _OPAQUE and not element.closing:
            close = re.compile(rf"</{element.name}(?=[\s/>])", re.IGNORECASE).search(page, position)
            end = close.start() if close else len(page)
            yield Opaque(element.name, position, end)
            position = end


def _element(page: str, mark: re.Match[str]) -> Element:
    attributes = []
    position = mark.end()
    ended = False
    while not ended and (part := _ATTRIBUTE.match(page, position)):
        position = part.end()
        ended = part[0] == ">"
        if part[1]:
            attributes.append(_attribute(part))
    self_closed = ended and page[position - 2] == "/"
    closing = mark[1] == "/"
    return Element(mark[2].lower(), closing, mark.start(), position, mark.end(), tuple(attributes), self_closed)


def _attribute(part: re.Match[str]) -> Attribute:
    if part[2] is None:
        return Attribute(part[1].lower(), "", Quote.NONE, *part.span())
    quote = Quote.BARE if part[5] is not None else Quote.QUOTED
    value = next((group for group in part.group(3, 4, 5) if group is not None), "")
    return Attribute(part[1].lower(), value, quote, *part.span())
