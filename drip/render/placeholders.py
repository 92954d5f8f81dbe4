"""Tags hidden behind opaque words while Markdown, HTML and CSS tools run, and put back afterwards.

A word is lower case ASCII letters and digits, so no such tool changes, splits or escapes it. Its prefix is a hash of
all the sources, so it stands in none of them. What the tools do does not enter here.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import zip_longest

from drip.render.tags import Tag, TagKind, split_tags

WORD = r"j[0-9a-f]{12}n[0-9]{6}z"
"""The shape of every word, whatever its prefix."""

LIST_EDGE = "list-edge"
"""The word of a tag that drip made around a list's own HTML; it has no business in the text part."""

_WRITERS = frozenset({"include", "call", "filter"})
_BRACE = re.compile(r"\{(?=[{%#]|\Z)")
_OPENER = re.compile(r"\{[{%][-+]?")
_MARKS = re.compile(r"^(\{%)[-+]|[-+](%\})$")


@dataclass(frozen=True, slots=True)
class Lines:
    """Which line of which template each line of a restored source came from."""

    starts: tuple[int, ...] = ()
    """Lines of the restored source on which a tag starts, ascending."""
    tags: tuple[Tag, ...] = ()
    """The tags that start there."""

    def find(self, line: int) -> tuple[Tag, int] | None:
        """The tag on a line of the restored source and the line it was written on; None when there is no tag."""
        index = bisect_left(self.starts, line) - 1
        if index < 0:
            return None
        # A line break is put behind a tag's opener: what is in the tag starts one line below it.
        tag = self.tags[index]
        inside = max(0, line - self.starts[index] - 1)
        return tag, tag.line + min(inside, tag.source.count("\n"))


@dataclass(frozen=True, slots=True)
class Restored:
    """A template ready for Jinja2."""

    source: str
    lines: Lines


class Placeholders:
    """The hidden tags of one part of a message."""

    def __init__(self, *sources: str) -> None:
        digest = hashlib.sha256("\0".join(sources).encode("utf-8", "surrogatepass")).hexdigest()
        self._prefix = f"j{digest[:12]}n"
        while any(self._prefix in source.lower() for source in sources):  # pragma: no cover - a broken SHA-256
            digest = hashlib.sha256(digest.encode()).hexdigest()
            self._prefix = f"j{digest[:12]}n"
        self._tags: list[Tag] = []
        word = self._prefix + r"(\d{6})z"
        self.word = re.compile(word)
        """A hidden tag's word; group 1 is what `tag` takes."""
        self._written = re.compile(rf"<!--:{word}:-->|{word}=\"\"|{word}")
        self._alone = re.compile(
            rf"(^|<pre[^>]*>(?:<code[^>]*>)?)[ \t]*((?:(?:<!--:)?{word}(?::-->)?[ \t]*)+)\n", re.MULTILINE
        )

    def hide(self, source: str, template: str) -> str:
        """The source with a word in place of every tag."""
        return "".join(piece if isinstance(piece, str) else self.add(piece) for piece in split_tags(source, template))

    def add(self, tag: Tag) -> str:
        """The word for one more tag."""
        self._tags.append(tag)
        return f"{self._prefix}{len(self._tags) - 1:06d}z"

    def tag(self, word: re.Match[str]) -> Tag:
        """The tag that a match of `word` hides."""
        return self._tags[int(word[1])]

    def reveal(self, text: str) -> str:
        """The text with every tag as it was written; for places and messages, not for Jinja2."""
        return self.word.sub(lambda word: self.tag(word).source, text)

    def stands_alone(self, line: str) -> bool:
        """Whether a line holds nothing but tags that write no value, at least one."""
        words = list(self.word.finditer(line))
        return (
            bool(words)
            and not self.word.sub("", line).strip()
            and all(self.tag(word).kind is not TagKind.EXPRESSION for word in words)
        )

    def lost(self, before: str, after: str) -> Tag | None:
        """The first tag that a tool dropped, doubled or moved, or None: blocks keep their order, values their place."""
        wanted, found = self._blocks(before), self._blocks(after)
        if wanted != found:
            return next(tag or other for tag, other in zip_longest(wanted, found) if tag != other)
        kept = {word[0] for word in self.word.finditer(after)}
        return next((self.tag(word) for word in self.word.finditer(before) if word[0] not in kept), None)

    def _blocks(self, text: str) -> list[Tag]:
        tags = map(self.tag, self.word.finditer(text))
        return [tag for tag in tags if tag.kind is TagKind.BLOCK]

    def restore(self, text: str, *, keep_marks: bool) -> Restored:
        """Put the tags back; what else looks like a tag is text and stays text.

        A line that holds nothing but blocks and comments goes without leaving an empty line.

        Args:
            text: with words.
            keep_marks: leave `{%-` and `-%}` on such lines; without, their trimming could join two paragraphs.
        """
        text = self._alone.sub(lambda line: self._join(line, keep_marks), text)
        parts: list[str] = []
        starts: list[int] = []
        tags: list[Tag] = []
        line, position = 1, 0
        for match in self._written.finditer(text):
            data = _BRACE.sub("{{ '{' }}", text[position : match.start()])
            line += data.count("\n")
            position = match.end()
            tag = self._tags[int(match[1] or match[2] or match[3])]
            written = "" if tag.kind is TagKind.SILENT else _OPENER.sub(_break_line, tag.source, count=1)
            if written:
                starts.append(line)
                tags.append(tag)
            line += written.count("\n")
            parts += data, written
        parts.append(_BRACE.sub("{{ '{' }}", text[position:]))
        return Restored("".join(parts), Lines(tuple(starts), tuple(tags)))

    def _join(self, line: re.Match[str], keep_marks: bool) -> str:
        words = list(self.word.finditer(line[0]))
        tags = [self.tag(word) for word in words]
        if any(tag.kind is TagKind.EXPRESSION or tag.word in _WRITERS for tag in tags):
            return line[0]
        if keep_marks:
            return line[1] + "".join(word[0] for word in words)
        return line[1] + "".join(self.add(_without_marks(tag)) for tag in tags)


def _without_marks(tag: Tag) -> Tag:
    source = _MARKS.sub(lambda mark: mark[1] or mark[2], tag.source)
    return Tag(source, tag.kind, tag.word, tag.template, tag.line, tag.start)


def _break_line(opener: re.Match[str]) -> str:
    return opener[0] + "\n"
