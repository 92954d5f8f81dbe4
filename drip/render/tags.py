"""Jinja2 source cut into its tags and the text between them.

What Jinja2 itself does with a tag does not enter here: only where one starts and ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_SURROGATE = re.compile("[\ud800-\udfff]")
_OPENER = re.compile(r"\{[{%#]")
_BLOCK = re.compile(r"\{%[-+]?\s*(\w*)")
_RAW_END = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_LEXEME = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[{(\[]|%\}|\}\}|[})\]]", re.DOTALL)


class TagKind(Enum):
    """What a tag does to the text around it."""

    EXPRESSION = "expression"  # {{ … }}: writes a value
    BLOCK = "block"  # {% … %}: decides about what follows
    SILENT = "silent"  # {# … #}, and the ends of a raw block: writes nothing


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of a template."""

    source: str
    """As written, with its delimiters."""
    kind: TagKind
    word: str
    """The keyword of a block: `if`, `endfor`, …; empty for the others."""
    template: str
    """The template it stands in, as errors name it."""
    line: int
    """Where it starts, from 1."""
    start: int
    """Where it starts in the source, in characters."""

    @property
    def end(self) -> int:
        """The position behind it."""
        return self.start + len(self.source)


def normalize(source: str) -> str:
    """The source with `\\n` alone as its line break, without a byte order mark; a lone surrogate is U+FFFD."""
    return _SURROGATE.sub("\ufffd", source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def split_tags(source: str, template: str) -> list[str | Tag]:
    """Cut a source that Jinja2 can parse into tags and texts, in order; together they are the source.

    The inside of `{% raw %}` is text, whatever it looks like.

    Args:
        source: normalized.
        template: what errors call it.
    """
    pieces: list[str | Tag] = []
    position, line = 0, 1
    for start, end, kind, word in _spans(source):
        if start > position:
            pieces.append(source[position:start])
        line += source.count("\n", position, start)
        pieces.append(Tag(source[start:end], kind, word, template, line, start))
        line += source.count("\n", start, end)
        position = end
    if position < len(source):
        pieces.append(source[position:])
    return pieces


def _spans(source: str) -> list[tuple[int, int, TagKind, str]]:
    spans = []
    position = 0
    while opener := _OPENER.search(source, position):
        start = opener.start()
        if opener[0] == "{#":
            close = source.find("#}", start + 2)
            position = len(source) if close < 0 else close + 2
            spans.append((start, position, TagKind.SILENT, ""))
            continue
        position = _end_of_tag(source, opener)
        word = _BLOCK.match(source, start)
        if word is None:
            spans.append((start, position, TagKind.EXPRESSION, ""))
        elif word[1] != "raw":
            spans.append((start, position, TagKind.BLOCK, word[1]))
        else:
            spans.append((start, position, TagKind.SILENT, "raw"))
            if close_tag := _RAW_END.search(source, position):
                spans.append((*close_tag.span(), TagKind.SILENT, "endraw"))
                position = close_tag.end()
    return spans


def _end_of_tag(source: str, opener: re.Match[str]) -> int:
    """The position behind the tag's end: the first closing delimiter outside of strings and brackets."""
    closer = "}}" if opener[0] == "{{" else "%}"
    position, depth = opener.end(), 0
    while lexeme := _LEXEME.search(source, position):
        position = lexeme.end()
        if lexeme[0] == closer and depth == 0:
            return position
        if lexeme[0] in "{([":
            depth += 1
        elif lexeme[0] in "})]":
            depth -= 1
        elif lexeme[0] == "}}":
            # Inside of a dict's braces: the first one closes a dict, the second may be half of the delimiter.
            depth -= 1
            position -= 1
    return len(source)
