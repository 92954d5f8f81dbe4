"""Typed access to a YAML file that collects every problem in it, each with its place.

No key of drip is known here: callers say which keys there are and what they want to find. Nothing raises for what a
file says; a value that is wrong is reported once and is then as if it were left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar

from drip.core.durations import parse_duration
from drip.files.document import Document
from drip.files.tree import LARGEST, ListNode, MappingNode, Node, NotANumber, Scalar, Style, resolve
from drip.files.wording import BadValue, describe, either, quote, safe_value, suggest

LONGEST_VALUE = 4096
"""Characters of a value that is not content."""

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


def section_of(document: Document, node: Node | None, where: str, keys: Collection[str]) -> Section | None:
    """The mapping that a node must be; None when it is none, which is reported."""
    if isinstance(node, MappingNode):
        return Section(document, node, where, keys)
    if node is not None and not _broken(node):
        document.report(node, where, f"found {describe(node)}, wanted keys and values", _keys_hint(keys))
    return None


class Section:
    """A mapping whose keys are asked for one by one. Unknown keys are reported when it is made."""

    __slots__ = ("document", "node", "where")

    def __init__(self, document: Document, node: MappingNode, where: str, keys: Collection[str]) -> None:
        self.document = document
        self.node = node
        self.where = where
        for name, (key, _) in node.entries.items():
            if document.full:
                break
            if name not in keys and key.style is not Style.BROKEN:
                document.report(key, self.path(name), "there is no such key", suggest(name, keys))

    def path(self, key: str) -> str:
        """The key path of one of its keys."""
        shown = key if len(key) <= 60 else key[:59] + "…"
        return f"{self.where}.{shown}" if self.where else shown

    def has(self, key: str) -> bool:
        """Whether the key is there with a value; null counts as none."""
        node = self.get(key)
        return node is not None and not _is_null(node)

    def is_null(self, key: str) -> bool:
        """Whether the key is there, and its value is null."""
        node = self.get(key)
        return node is not None and _is_null(node)

    def get(self, key: str) -> Node | None:
        """The node of a key; None when it is left out or its problem was already reported."""
        entry = self.node.entries.get(key)
        return None if entry is None or _broken(entry[1]) else entry[1]

    def mentions(self, key: str) -> bool:
        """Whether the key is written, whatever its value."""
        return key in self.node.entries

    def error(self, key: str, message: str, hint: str | None = None) -> None:
        """Report a problem at a key's value, or at the mapping when the key is not there."""
        self.document.report(self.place(key), self.path(key), message, hint)

    def warn(self, key: str, message: str, hint: str | None = None) -> None:
        """As `error`, as a warning."""
        self.document.warn(self.place(key), self.path(key), message, hint)

    def place(self, key: str) -> Node:
        """The node that stands for a key in a problem: its value, its key when the value is empty, or the mapping."""
        entry = self.node.entries.get(key)
        if entry is None:
            return self.node
        key_node, value = entry
        return key_node if isinstance(value, Scalar) and not value.text else value

    def require(self, key: str, hint: str | None = None) -> bool:
        """Report a key that is left out; tells whether it is there."""
        if self.has(key):
            return True
        if self.is_null(key):
            self.error(key, "it has no value", hint)
        elif not self.mentions(key):
            self.document.report(self.node, self.path(key), "it is missing", hint)
        return False

    def text(self, key: str) -> str | None:
        """Text; numbers and truth values must be quoted."""
        return self.parsed(key, str, longest=LARGEST)

    def parsed(
        self,
        key: str,
        parse: Callable[[str], T],
        *,
        wanted: str = "text",
        numbers: bool = False,
        secret: bool = False,
        longest: int = LONGEST_VALUE,
    ) -> T | None:
        """What `parse` makes of a text; its ValueError becomes a problem.

        Args:
            wanted: what the key wants, in words.
            numbers: whether a plain number is taken as it is written.
            secret: whether the value must not be repeated in a problem.
            longest: characters.
        """
        node = self.get(key)
        if node is None or _is_null(node):
            return None
        text = self._text_of(key, node, wanted, numbers=numbers, secret=secret)
        if text is None:
            return None
        if len(text) > longest:
            self.error(key, f"it is longer than {longest:,} characters")
            return None
        try:
            return parse(text)
        except ValueError as error:
            message = f"it is not {wanted}" if secret else str(error)
            self.error(key, message, getattr(error, "hint", None))
            return None

    def _text_of(self, key: str, node: Node, wanted: str, *, numbers: bool, secret: bool) -> str | None:
        if isinstance(node, Scalar):
            if node.style is not Style.PLAIN:
                return node.text
            try:
                value = resolve(node)
            except NotANumber:
                value = 0
            if isinstance(value, str) or (numbers and not isinstance(value, bool)):
                return node.text
        found = "something else" if secret else describe(node)
        hint = "put it in quotes" if isinstance(node, Scalar) and not numbers else None
        self.error(key, f"found {found}, wanted {wanted}", hint)
        return None

    def duration(self, key: str, *, positive: bool = False) -> timedelta | None:
        """A length of time.

        Args:
            positive: whether 0 is refused.
        """
        length = self.parsed(key, parse_duration, wanted="a duration like 3d", numbers=True)
        if positive and length == timedelta(0):
            self.error(key, "it must be longer than 0")
            return None
        return length

    def choice(self, key: str, kind: type[E]) -> E | None:
        """One of an enumeration's values."""
        words = [str(member.value) for member in kind]

        def parse(text: str) -> E:
            if text not in words:
                raise BadValue(f"found {quote(text)}, wanted {either(words)}", suggest(text, words, listing=False))
            return kind(text)

        return self.parsed(key, parse, wanted=either(words))

    def integer(self, key: str, low: int, high: int) -> int | None:
        """A whole number within bounds."""
        number = self._value(key, (int,), "a whole number")
        if isinstance(number, int) and not low <= number <= high:
            self.error(key, f"found {number}, wanted a whole number from {low} to {high}")
            return None
        return number if isinstance(number, int) else None

    def number(self, key: str, low: float, high: float) -> float | None:
        """A number within bounds."""
        number = self._value(key, (int, float), "a number")
        if isinstance(number, (int, float)) and not low <= number <= high:
            self.error(key, f"found {number}, wanted a number from {low:g} to {high:g}")
            return None
        return float(number) if isinstance(number, (int, float)) else None

    def flag(self, key: str) -> bool | None:
        """`true` or `false`."""
        value = self._value(key, (bool,), "true or false")
        return value if isinstance(value, bool) else None

    def _value(self, key: str, types: tuple[type, ...], wanted: str) -> object:
        node = self.get(key)
        if node is None or _is_null(node):
            return None
        value: object = node
        if isinstance(node, Scalar):
            plain = node if node.style is not Style.FILLED else _as_plain(node)
            try:
                value = resolve(plain)
            except NotANumber as error:
                self.error(key, str(error))
                return None
        if type(value) in types:
            return value
        self.error(key, f"found {describe(node)}, wanted {wanted}")
        return None

    def section(self, key: str, keys: Collection[str]) -> Section | None:
        """The mapping under a key; None when it is left out or no mapping."""
        return section_of(self.document, self.get(key), self.path(key), keys) if self.has(key) else None

    def entries(self, key: str, wanted: str) -> Iterator[tuple[Scalar, Node]]:
        """Keys and values of a mapping whose keys are free."""
        node = self.get(key)
        if isinstance(node, MappingNode):
            for entry in node.entries.values():
                if not self.document.full:
                    yield entry
        elif node is not None and not _is_null(node):
            self.error(key, f"found {describe(node)}, wanted {wanted}")

    def items(self, key: str, wanted: str) -> Iterator[tuple[str, Node]]:
        """Key path and node of each item of a list; broken ones are left out."""
        node = self.get(key)
        if isinstance(node, ListNode):
            for index, item in enumerate(node.items):
                if not _broken(item) and not self.document.full:
                    yield f"{self.path(key)}[{index}]", item
        elif node is not None and not _is_null(node):
            self.error(key, f"found {describe(node)}, wanted {wanted}", "write it as a list: [ … ], or lines with `- `")

    def texts(self, key: str, parse: Callable[[str], T], wanted: str) -> list[T]:
        """A list of texts, each read by `parse`."""
        found = []
        for where, item in self.items(key, wanted):
            try:
                found.append(parse(text_of(item)))
            except ValueError as error:
                self.document.report(item, where, str(error), getattr(error, "hint", None))
        return found


def text_of(node: Node) -> str:
    """The text of a node that must be text.

    Raises:
        BadValue: it is something else.
    """
    if isinstance(node, Scalar) and (node.style is not Style.PLAIN or isinstance(safe_value(node), str)):
        return node.text
    raise BadValue(f"found {describe(node)}, wanted text", "put it in quotes" if isinstance(node, Scalar) else None)


def plain_value(document: Document, node: Node, where: str) -> Any:
    """A node as JSON has it: None, bool, int, float, str, list or dict; problems are reported and read as None."""
    if isinstance(node, MappingNode):
        return {name: plain_value(document, value, f"{where}.{name}") for name, (_, value) in node.entries.items()}
    if isinstance(node, ListNode):
        return [plain_value(document, item, f"{where}[{index}]") for index, item in enumerate(node.items)]
    try:
        return resolve(node)
    except NotANumber as error:
        document.report(node, where, str(error), "put it in quotes if it is text")
        return None


def _as_plain(node: Scalar) -> Scalar:
    return Scalar(node.text, Style.PLAIN, node.line, node.column, node.end_line)


def _is_null(node: Node) -> bool:
    if not isinstance(node, Scalar):
        return False
    if node.style is Style.FILLED:
        return not node.text
    return node.style is Style.PLAIN and safe_value(node) is None


def _broken(node: Node) -> bool:
    return isinstance(node, Scalar) and node.style is Style.BROKEN


def _keys_hint(keys: Collection[str]) -> str | None:
    return "its keys are " + ", ".join(keys) if 0 < len(keys) <= 8 else None
