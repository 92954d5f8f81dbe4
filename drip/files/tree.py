"""YAML text as a tree of nodes that know their place; the only module that imports yaml.

No key, type or rule of drip is known here. PyYAML only splits the text into events: it makes no objects, so nothing
can be constructed, shared or nested without end. Scalars are typed by YAML 1.2's core schema (section 10.3.2), where
`10:30` and `no` are text and `010` is 10.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import yaml

LARGEST = 1024 * 1024
"""Octets of one file."""
DEEPEST = 50
"""Lists and mappings inside each other."""
MOST_VALUES = 100_000
"""Values in one file; keeps the time and the memory that a file can cost in bounds."""
MOST_PROBLEMS = 100
"""Problems told about one file."""

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG_DIRECTIVE = re.compile(r"^%TAG\b", re.MULTILINE)
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelling: value
    for word, value in (("true", True), ("false", False))
    for spelling in (word, word.capitalize(), word.upper())
}


class Style(StrEnum):
    """How a scalar was written."""

    PLAIN = "plain"  # without quotes: its type depends on its look
    QUOTED = "quoted"  # 'text' or "text"
    LITERAL = "literal"  # | and lines
    FOLDED = "folded"  # > and lines
    FILLED = "filled"  # from the environment: typed as the key wants
    BROKEN = "broken"  # a problem was already reported; asked for, it is as if left out


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, or a key."""

    text: str
    style: Style
    line: int
    """From 1."""
    column: int
    """From 1."""
    end_line: int
    """From 1; where the value ends."""


@dataclass(frozen=True, slots=True)
class ListNode:
    """`- a` or `[a]`."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MappingNode:
    """`a: b` or `{a: b}`; its keys are told apart by their text."""

    line: int
    column: int
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)


Node = Scalar | ListNode | MappingNode


WHOLE_FILE = (1, 1)
"""Line and column of a problem with a file as a whole: editors and scripts want a place to jump to."""


class TreeProblem(Exception):
    """The text can't be read further; where and why."""

    def __init__(self, line: int, column: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.message = message
        self.hint = hint


class NotANumber(ValueError):
    """A scalar that looks like a number no program can use."""


def decode(raw: bytes) -> str:
    """The text of a file, without its byte order mark and with `\\n` line ends.

    Raises:
        TreeProblem: it is too large, or not UTF-8.
    """
    if len(raw) > LARGEST:
        raise TreeProblem(*WHOLE_FILE, "the file is larger than 1 MiB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        line, column = place_of(before, len(before))
        raise TreeProblem(line, column, "the file is not UTF-8", "save it as UTF-8") from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a character."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def read_tree(text: str) -> tuple[Node | None, list[TreeProblem]]:
    """The tree of one YAML document, None when it can't be built, and everything wrong with its form.

    Never raises for what a text says.
    """
    builder = _Builder()
    try:
        _refuse_characters(text)
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except TreeProblem as problem:
        return None, [*builder.problems, problem]
    except yaml.YAMLError as error:
        return None, [*builder.problems, _translate(error, text)]
    except (RecursionError, ValueError) as error:
        return None, [*builder.problems, TreeProblem(*WHOLE_FILE, f"the file can't be read: {type(error).__name__}")]
    return builder.root, builder.problems


def resolve(scalar: Scalar) -> bool | int | float | str | None:
    """The value by the core schema; everything but a plain scalar is text.

    Raises:
        NotANumber: a number beyond 64 bits, infinite, or not a number.
    """
    text = scalar.text
    if scalar.style is not Style.PLAIN:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _NOT_FINITE.fullmatch(text):
        raise NotANumber(f"{text} is no number that can be used")
    return text


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text[2:] if base != 10 else text, base) if len(text) <= 100 else 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise NotANumber("the number is too large: it does not fit into 64 bits")
    return number


def _finite(text: str) -> float:
    number = float(text) if len(text) <= 400 else math.inf
    if not math.isfinite(number):
        raise NotANumber("the number is too large")
    return number


def _refuse_characters(text: str) -> None:
    if (found := _UNPRINTABLE.search(text)) is not None:
        line, column = place_of(text, found.start())
        raise TreeProblem(line, column, f"the control character U+{ord(found[0]):04X} is not allowed in YAML")
    if (found := _TAG_DIRECTIVE.search(text)) is not None:
        line, column = place_of(text, found.start())
        raise TreeProblem(line, column, "%TAG directives are not supported")


class _Builder:
    """Takes events one by one and grows the tree, without recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[TreeProblem] = []
        self._open: list[ListNode | MappingNode] = []
        self._keys: list[Scalar | None] = []
        self._values = 0
        self._documents = 0
        self._refused: set[str] = set()

    def take(self, event: yaml.Event) -> None:
        """Add what one event says."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._problem(event, "a second document begins here", "keep one document per file")
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"aliases (*{_short(str(event.anchor))}) are not supported", "write the value out")
            self._add(_scalar(event, "", Style.BROKEN))
        elif isinstance(event, yaml.ScalarEvent):
            self._check_node(event)
            self._add(self._typed(event))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._check_node(event)
            self._open_collection(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()

    def _open_collection(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self._open) >= DEEPEST:
            raise self._problem(event, f"more than {DEEPEST} lists and mappings inside each other")
        wanted = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{wanted}"):
            self._refuse_tag(event)
        kind = MappingNode if wanted == "map" else ListNode
        node = kind(*_place(event))
        self._add(node)
        self._open.append(node)
        self._keys.append(None)

    def _add(self, node: Node) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise TreeProblem(node.line, node.column, f"the file has more than {MOST_VALUES:,} values")
        if not self._open:
            self.root = node
        elif isinstance(parent := self._open[-1], ListNode):
            parent.items.append(node)
        elif (key := self._keys[-1]) is None:
            self._keys[-1] = self._key(node)
        else:
            self._keys[-1] = None
            self._add_entry(parent, key, node)

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        raise TreeProblem(node.line, node.column, "a key must be text, not a list or a mapping")

    def _add_entry(self, parent: MappingNode, key: Scalar, value: Node) -> None:
        if key.text in parent.entries:
            if len(self.problems) >= MOST_PROBLEMS:
                return
            first = parent.entries[key.text][0].line
            message = f"the key {_short(key.text)!r} is there twice, first on line {first}"
            self.problems.append(TreeProblem(key.line, key.column, message, "keep one of them"))
            return
        parent.entries[key.text] = (key, value)

    def _check_node(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, f"anchors (&{_short(event.anchor)}) are not supported", "remove it")

    def _typed(self, event: yaml.ScalarEvent) -> Scalar:
        style = {"|": Style.LITERAL, ">": Style.FOLDED, '"': Style.QUOTED, "'": Style.QUOTED}.get(event.style or "")
        scalar = _scalar(event, event.value, style or Style.PLAIN)
        tag = event.tag
        if tag is None:
            return scalar
        if tag in ("!", "tag:yaml.org,2002:str"):
            return scalar if style else _scalar(event, event.value, Style.QUOTED)
        if tag.removeprefix("tag:yaml.org,2002:") in _core_tags(scalar):
            return scalar
        self._refuse_tag(event)
        return _scalar(event, "", Style.BROKEN)

    def _refuse_tag(self, event: Any) -> None:
        shown = _short(event.tag.replace("tag:yaml.org,2002:", "!!"))
        self._refuse(event, f"the tag {shown} is not supported here", "remove it: values are typed by their look")

    def _refuse(self, event: yaml.Event, message: str, hint: str) -> None:
        """Once per message: a file may hold thousands."""
        if message not in self._refused and len(self._refused) < MOST_PROBLEMS:
            self._refused.add(message)
            self.problems.append(self._problem(event, message, hint))

    def _problem(self, event: yaml.Event, message: str, hint: str | None = None) -> TreeProblem:
        return TreeProblem(*_place(event), message, hint)


def _core_tags(scalar: Scalar) -> Iterator[str]:
    try:
        value = resolve(scalar)
    except NotANumber:
        value = 0
    names = {type(None): "null", bool: "bool", int: "int", float: "float"}
    if type(value) in names:
        yield names[type(value)]
    if type(value) is int:
        yield "float"


def _scalar(event: yaml.Event, text: str, style: Style) -> Scalar:
    line, column = _place(event)
    end = event.end_mark
    return Scalar(text, style, line, column, line if end is None else end.line + 1)


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return WHOLE_FILE if mark is None else (mark.line + 1, mark.column + 1)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


_PLAIN_WORDS = (
    ("mapping values are not allowed", "there is a second ': ' here, or the line is indented wrongly",
     "text that contains ': ' needs quotes around it"),
    ("could not find expected ':'", "the line before has no ': ' after its key",
     "write `key: value`; text over several lines needs `|` behind the colon"),
    ("did not find expected key", "the mapping does not go on here as it began",
     "keys of one mapping stand in one column; text with quotes in it needs quotes around it"),
    ("did not find expected '-' indicator", "the list does not go on here as it began",
     "items of one list begin with `- ` in one column"),
    ("found unexpected end of stream", "a quote that opens here is never closed", None),
    ("did not find expected ',' or ']'", "the list in [ ] that begins before is not closed", None),
    ("did not find expected ',' or '}'", "the mapping in { } that begins before is not closed", None),
    ("found unknown escape character", 'a backslash in "…" begins an escape that does not exist',
     "write \\\\ for a backslash, or use single quotes"),
    ("block sequence entries are not allowed", "a list can't begin on this line", "put `- ` on a line of its own"),
    ("did not find expected <document start>", "something follows after the end of the document", None),
    ("found undefined tag handle", "the tag is not supported here", "remove it"),
)  # fmt: skip


def _translate(error: yaml.YAMLError, text: str) -> TreeProblem:
    """PyYAML's error in words that say what to do."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else WHOLE_FILE
    problem = str(getattr(error, "problem", None) or "it is not YAML")
    if "found unexpected end of stream" in problem and (opened := getattr(error, "context_mark", None)) is not None:
        line, column = opened.line + 1, opened.column + 1
    if "tab character" in problem or ("cannot start any token" in problem and _character(text, line, column) == "\t"):
        return TreeProblem(line, column, "a tab stands where YAML wants spaces", "indent with spaces")
    if "cannot start any token" in problem:
        message = f"a value can't begin with {_character(text, line, column)!r}"
        return TreeProblem(line, column, message, "put the value in quotes")
    if "did not find expected ','" in problem and "${" in _row(text, line):
        return TreeProblem(
            line, column, "the braces here are read as YAML's", "put ${NAME} in quotes inside of { } or [ ]"
        )
    for known, message, hint in _PLAIN_WORDS:
        if known in problem:
            return TreeProblem(line, column, message, hint)
    context = getattr(error, "context", None)
    return TreeProblem(line, column, f"this is not YAML: {problem}" + (f" {context}" if context else ""))


def _character(text: str, line: int, column: int) -> str:
    return _row(text, line)[column - 1 : column]


def _row(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line - 1] if 0 < line <= len(lines) else ""
