"""What spam filters, mail programs and people will not like about a mail, seen in its source. Only ever warnings."""

from __future__ import annotations

import re
from collections.abc import Iterator

CLIPPED = 102 * 1024
"""Octets of HTML beyond which Gmail hides the rest of a message, its unsubscribe link with it."""
LONG_SUBJECT = 78
"""Characters that fit into one header line (RFC 5322, section 2.1.1)."""
FEW_WORDS = 10
"""Words beside images below which a mail counts as one of images alone."""
SHOUTED = 8
"""Letters of a subject from which capitals alone are a shout, not an abbreviation."""

TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
"""A tag of Jinja2's."""

Warned = tuple[int, str, str | None]
"""Offset in the source, message, hint."""

_ALT = re.compile(r"""\balt\s*=\s*["']?\s*[^\s"'>]""", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b|!\[[^\]]{0,1000}\]\(", re.IGNORECASE)
_MARKDOWN_IMAGE = re.compile(r"!\[[^\]]{0,1000}\]\([^)]{0,2000}\)|\]\([^)]{0,2000}\)")
_WORD = re.compile(r"\w+")
_SHORTENERS = (
    "bit.ly", "bitly.com", "buff.ly", "cutt.ly", "dlvr.it", "goo.gl", "is.gd", "lnkd.in", "ow.ly", "rb.gy",
    "rebrand.ly", "shorturl.at", "t.co", "t.ly", "tiny.cc", "tinyurl.com", "v.gd",
)  # fmt: skip
_SHORTENED = re.compile(rf"https?://(?:www\.)?({'|'.join(map(re.escape, _SHORTENERS))})(?![\w.-])", re.IGNORECASE)


def mail_warnings(source: str, kind: str) -> list[Warned]:
    """What there is to warn about one source.

    Args:
        kind: `html`, `markdown`, `text`, `subject` or `layout`.
    """
    if kind == "subject":
        return list(_of_subject(source))
    found: list[Warned] = [
        (link.start(), f"the link goes through {link[1].lower()}", "name the page itself: filters distrust shorteners")
        for link in _SHORTENED.finditer(source)
    ]
    if kind in ("html", "markdown"):
        found += _of_body(source, html=kind == "html")
    return sorted(found, key=lambda warned: warned[:2])


def _of_subject(source: str) -> Iterator[Warned]:
    words = TAG.sub("", source).strip()
    if len(words) > LONG_SUBJECT:
        yield 0, f"the subject has {len(words)} characters, more than {LONG_SUBJECT}", "mail programs cut it"
    letters = [character for character in words if character.isalpha()]
    if len(letters) >= SHOUTED and words == words.upper() != words.lower():
        yield 0, "the subject is all in capitals", "write it as a sentence: filters take it for a shout"
    if (marks := re.search(r"[!¡]\s*[!¡]|(?:![^!]*){3}", words)) is not None:
        place = source.find("!", marks.start())
        yield max(place, 0), "the subject has too many exclamation marks", "one is enough: filters count them"


def _of_body(source: str, *, html: bool) -> Iterator[Warned]:
    if (size := len(source.encode())) > CLIPPED:
        hint = "Gmail clips what is over 102 KB, and hides the unsubscribe link"
        yield 0, f"the body has {size // 1024} KB, more than 102", hint
    if html and not has_text(source):
        hint = "add words, an alt text, or a text part of its own"
        yield 0, "the HTML has no words, so the text part would be empty", hint
    elif (image := _IMAGE.search(source)) is not None and _words(source, html=html) < FEW_WORDS:
        hint = "say it in words too: filters distrust it, and many see no images"
        yield image.start(), "it has images and hardly any words", hint


def _words(source: str, *, html: bool) -> int:
    """How many words are read beside images; a tag may be anything, and counts as plenty."""
    bare = re.sub(r"\{#.*?#\}|\{\{\s*(?:un)?subscribe_url.*?\}\}", " ", source, flags=re.DOTALL)
    text = _text_of(bare) if html else _MARKDOWN_IMAGE.sub(" ", _text_of(bare))
    tags = len(TAG.findall(text))
    return tags * FEW_WORDS + len(_WORD.findall(TAG.sub(" ", text)))


def _text_of(html: str) -> str:
    """What stands between the tags of HTML, without what shows nothing."""
    parts, position = [], 0
    while (opened := html.find("<", position)) >= 0:
        parts.append(html[position:opened])
        position = _behind(html, opened)
        if position == 0:
            return " ".join(parts)
    return " ".join([*parts, html[position:]])


def has_text(html: str) -> bool:
    """Whether anything in an HTML source can be read as text: words, a `{{ … }}`, or the alt of an image."""
    return _ALT.search(html) is not None or bool(_text_of(html).strip())


def _behind(html: str, opened: int) -> int:
    """The position behind a tag, or behind all of an element that shows nothing; 0 when it never ends."""
    start = html[opened : opened + 8].lower()
    if start.startswith("<!--"):
        end = html.find("-->", opened)
        return end + 3 if end >= 0 else 0
    hidden = next((name for name in ("style", "script", "title") if start.startswith(f"<{name}")), None)
    ends = html.find(f"</{hidden}", opened) if hidden else opened
    return html.find(">", ends) + 1 if ends >= 0 else 0
