"""The text part of an HTML body in which tags are hidden. Layouts do not enter: only the body is read as text."""

from __future__ import annotations

import re
from html import unescape
from io import StringIO

from drip.render.markup import Element, scan
from drip.render.placeholders import LIST_EDGE, Placeholders

_TAGS = re.compile(r"<[^>]*>")
_SPACE_AT_END = re.compile(r"[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_RULE = "<p>----------</p>"


def html_to_text(body: str, placeholders: Placeholders) -> str:
    """A page as text for people: links as `label (url)`, lists with bullets, table rows as lines.

    Args:
        body: with hidden tags; the words come out at the same places.
    """
    spelled = _Speller(body, placeholders).spell_out()
    page = placeholders.word.sub(lambda word: "" if placeholders.tag(word).word == LIST_EDGE else word[0], spelled)
    text = _layout(page)
    text = _BLANK_LINES.sub("\n\n", _SPACE_AT_END.sub("", text)).strip("\n")
    return _close_up(text, placeholders) + "\n"


class _Speller:
    """Writes what text can't show otherwise into a page: links, the words for images, rules, room around lists."""

    def __init__(self, body: str, placeholders: Placeholders) -> None:
        self._body = body
        self._placeholders = placeholders
        self._result = StringIO()
        self._position = 0
        self._depth = 0
        self._link: tuple[str, int] | None = None

    def spell_out(self) -> str:
        for part in scan(self._body):
            if not isinstance(part, Element):
                continue
            if part.name == "a":
                self._end_link(part.start)
                target = _attribute(part, "href")
                self._link = None if part.closing or not target else (target, part.end)
            elif part.name in ("img", "hr"):
                self._write(part.start, _RULE if part.name == "hr" else _attribute(part, "alt"))
                self._position = part.end
            elif part.name in ("ul", "ol"):
                self._list(part)
        return self._result.getvalue() + self._body[self._position :]

    def _write(self, until: int, addition: str) -> None:
        self._result.write(self._body[self._position : until] + addition)
        self._position = until

    def _end_link(self, end: int) -> None:
        if self._link is not None:
            target, start = self._link
            self._write(end, _link(target, self._body[start:end]))

    def _list(self, element: Element) -> None:
        """A list within a list follows its item; one on its own is set off like a paragraph."""
        self._depth -= element.closing
        if self._depth == 0 and not self._after_edge(element.start):
            edge = element.end if element.closing else element.start
            self._write(edge, "</figure>" if element.closing else "<figure>")
        self._depth += not element.closing

    def _after_edge(self, position: int) -> bool:
        """Whether a loop makes the list: then its turns follow each other closely."""
        line = self._body[max(0, position - 60) : position].rstrip().rpartition("\n")[2]
        return any(self._placeholders.tag(word).word == LIST_EDGE for word in self._placeholders.word.finditer(line))


def _attribute(element: Element, name: str) -> str:
    return next((attribute.value.strip() for attribute in element.attributes if attribute.name == name), "")


def _link(target: str, label: str) -> str:
    """What is written behind a link's label: nothing when the label says it already."""
    if target.startswith("#"):
        return ""
    words = unescape(_TAGS.sub("", label)).strip()
    bare = unescape(target)
    if words in (bare, bare.removeprefix("mailto:")):
        return ""
    return f" ({target})" if words or "<img" in label else target


def _layout(page: str) -> str:
    import inscriptis
    from inscriptis.css_profiles import STRICT_CSS_PROFILE
    from inscriptis.html_properties import Display, WhiteSpace
    from inscriptis.model.config import ParserConfig
    from inscriptis.model.html_element import HtmlElement
    from inscriptis.model.tag import CustomHtmlTagHandlerMapping

    # Tables are rows of cells and no grid: its columns would be as wide as the words that hide the tags, and most
    # tables in mails are there for the look.
    cell = HtmlElement(display=Display.inline, suffix=" ")
    block = HtmlElement(display=Display.block, margin_before=1, margin_after=1)
    css = {
        **STRICT_CSS_PROFILE,
        **dict.fromkeys(("ul", "ol"), HtmlElement(display=Display.block, padding_inline=2)),
        "table": block,
        "blockquote": HtmlElement(display=Display.block, padding_inline=4, margin_before=1, margin_after=1),
        "pre": HtmlElement(display=Display.block, whitespace=WhiteSpace.pre, margin_before=1, margin_after=1),
        **dict.fromkeys(("tr", "caption"), HtmlElement(display=Display.block)),
        **dict.fromkeys(("td", "th"), cell),
        "code": HtmlElement(whitespace=None),
    }
    nothing = dict.fromkeys(("table", "tr", "td", "th"))
    mapping = CustomHtmlTagHandlerMapping(start_tag_mapping=nothing, end_tag_mapping=nothing)
    return str(
        inscriptis.get_text(
            f"<html><body>{page}</body></html>", ParserConfig(css=css, custom_html_tag_handler_mapping=mapping)
        )
    )


def _close_up(text: str, placeholders: Placeholders) -> str:
    """Lines of tags will be gone: where there is a blank line on both sides, one goes with them."""
    lines: list[str] = []
    blank = True
    tag_before = False
    for line in text.split("\n"):
        if not line and tag_before and blank:
            continue
        tag_before = placeholders.stands_alone(line)
        if not tag_before:
            blank = not line
        lines.append(line)
    return "\n".join(lines)
