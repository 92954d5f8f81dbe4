"""A body in its layout, with the CSS moved into the elements; tags stay hidden throughout. Nothing is ever fetched."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache
from importlib.resources import files

import css_inline

from drip.render.markup import Attribute, Element, Opaque, Quote, scan
from drip.render.placeholders import WORD, Placeholders
from drip.render.tags import Tag, TagKind

# Atomic: where a comment ends is not looked for again when no `<html>` follows; that doubled with each comment.
_DOCUMENT = re.compile(r"(?>\s*(?:<!--(?:-?>|.*?--!?>)\s*)*)<(?:!doctype|html)\b", re.IGNORECASE | re.DOTALL)
_ROWS = re.compile(
    rf"(<table\b[^>]*>|</(?:thead|caption|colgroup)\s*>)(\s*(?:<!--:{WORD}:-->\s*)+)(?=<tr\b)", re.IGNORECASE
)
"""Where a parser would open a `<tbody>` behind the tag of a loop over rows, within the loop."""
_BODY_END = re.compile(r"</body\s*>(?!.*</body\s*>)", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=1)
def built_in_layout() -> str:
    """The layout for sequences that have none."""
    return files("drip.render").joinpath("layout.html").read_text(encoding="utf-8")


def is_document(body: str) -> bool:
    """Whether a body is a whole page already and wants no layout."""
    return _DOCUMENT.match(body) is not None


def before_body_end(page: str, addition: str) -> str:
    """A page with something more at the end of its body."""
    end = _BODY_END.search(page)
    return page + addition if end is None else page[: end.start()] + addition + page[end.start() :]


def with_body(page: str) -> str:
    """A page that has its `<body>` written out.

    A parser would open it at the first element, behind the comments that hidden blocks become.
    """
    places: dict[str, int] = {}
    for part in scan(page):
        if isinstance(part, Element) and part.name in ("html", "head", "body"):
            places.setdefault(f"/{part.name}" if part.closing else part.name, part.end)
    if "body" in places:
        return page
    if "html" not in places and "head" not in places:
        return f"<!doctype html><html><head></head><body>{page}</body></html>"
    place = places.get("/head", places.get("html", 0))
    return f"{page[:place]}<body>{page[place:]}"


def settle(page: str, placeholders: Placeholders) -> str:
    """Write hidden tags so that an HTML parser leaves them where they are.

    A block between elements becomes a comment (text within a table would be moved out of it), and all that lies from
    the first to the last tag among the attributes of an element becomes one attribute.
    """
    parts: list[str] = []
    position = 0
    for part in scan(page):
        parts.append(_comments(page[position : part.start], placeholders))
        source = page[part.start : part.end]
        parts.append(source if isinstance(part, Opaque) else _attributes(part, page, placeholders))
        position = part.end
    parts.append(_comments(page[position:], placeholders))
    return _ROWS.sub(r"\1<tbody>\2", "".join(parts))


def inline_css(page: str) -> str:
    """Move the rules of `<style>` into the elements; media queries and other at-rules stay in a `<style>`."""
    return str(_inliner().inline(page))


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def _comments(text: str, placeholders: Placeholders) -> str:
    def write(word: re.Match[str]) -> str:
        return word[0] if placeholders.tag(word).kind is TagKind.EXPRESSION else f"<!--:{word[0]}:-->"

    return placeholders.word.sub(write, text)


def _attributes(element: Element, page: str, placeholders: Placeholders) -> str:
    """The element with its loose tags as one attribute."""
    loose = [
        word
        for word in placeholders.word.finditer(page, element.inside, element.end)
        if not _is_value(word, element.attributes)
    ]
    if not loose:
        return page[element.start : element.end]
    start, end = loose[0].start(), loose[-1].end()
    # An attribute that is written against a tag is the tag's.
    for attribute in element.attributes:
        if attribute.start < start < attribute.end:
            start = attribute.start
        if attribute.start < end < attribute.end:
            end = attribute.end
    first = placeholders.tag(loose[0])
    span = Tag(
        placeholders.reveal(page[start:end]), TagKind.BLOCK, "attributes", first.template, first.line, first.start
    )
    return f"{page[element.start : start]} {placeholders.add(span)} {page[end : element.end]}"


def _is_value(word: re.Match[str], attributes: tuple[Attribute, ...]) -> bool:
    """Whether a tag stands within the value of an attribute."""
    place = bisect_left(attributes, word.start(), key=lambda attribute: attribute.start) - 1
    if place < 0:
        return False
    attribute = attributes[place]
    return (
        attribute.quote is not Quote.NONE
        and word.end() <= attribute.end
        and not attribute.name[: word.end() - attribute.start].startswith(word[0])
    )
