"""How values and names are spoken of in problems: short, quoted, with the nearest name that exists."""

from __future__ import annotations

from collections.abc import Iterable

from drip.errors import did_you_mean, nearest
from drip.files.tree import ListNode, MappingNode, Node, NotANumber, Scalar, resolve


class BadValue(ValueError):
    """A value that is not what its key wants, with what to write instead."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def describe(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, MappingNode):
        return "keys and values"
    if isinstance(node, ListNode):
        return "a list"
    value = safe_value(node)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {node.text}"
    if isinstance(value, (int, float)):
        return f"the number {_shorten(node.text)}"
    return f"the text {quote(node.text)}"


def quote(text: str) -> str:
    """A text within a message: in quotes, and not longer than forty characters."""
    return repr(_shorten(text))


def suggest(name: str, known: Iterable[str], *, listing: bool = True) -> str | None:
    """A hint with the nearest known name; None where there is none, or looking for it would take long.

    Args:
        listing: whether a few known names are listed when none is near.
    """
    names = list(known)
    if len(name) > 100 or len(names) > 1000:
        return None
    if listing:
        return did_you_mean(name, names)
    best = nearest(name, names)
    return None if best is None else f"did you mean {best!r}?"


def either(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def safe_value(node: Scalar) -> object:
    """The value by the core schema; 0 for a number that can't be used."""
    try:
        return resolve(node)
    except NotANumber:
        return 0
