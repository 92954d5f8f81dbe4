"""From octets to a parsed message, within bounds; what can't be bounded is not parsed.

The parser is `compat32`: the newer policies raise AttributeError and IndexError on hostile headers, and are ten times
slower. What matters of a bounce stands at its beginning, so no more than that is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser, HeaderParser
from email.policy import compat32

LARGEST = 10 * 1024 * 1024
"""Octets of a message that is looked at."""
PARSED = 1024 * 1024
"""Octets of it that are parsed, from its beginning."""
MOST_LEVELS = 20
MOST_PARTS = 100
LARGEST_HEADER = 128 * 1024
"""Octets of a block of header fields."""
VALUE_LIMIT = 10_000
"""Characters of a header's value that are looked at."""

_BOUNDARY = re.compile(rb"\bboundary\*?\d*\*?\s*=", re.IGNORECASE)
_NESTED = re.compile(rb"^content-type:[ \t]*message/", re.IGNORECASE | re.MULTILINE)
_DASHES = re.compile(rb"^--", re.MULTILINE)
_HEADER_END = re.compile(rb"\r?\n\r?\n|\r\r")


class Unreadable(ValueError):
    """The message is beyond the bounds; its text says which."""


def parse(raw: bytes) -> Message:
    """The message.

    Raises:
        Unreadable: too large, too deep, or of too many parts.
    """
    if len(raw) > LARGEST:
        raise Unreadable("it is larger than 10 MiB")
    head = raw[:PARSED]
    end = _HEADER_END.search(head)
    if (end.start() if end else len(head)) > LARGEST_HEADER:
        raise Unreadable("its header is larger than 128 KiB")
    levels = sum(1 for _ in _BOUNDARY.finditer(head)) + sum(1 for _ in _NESTED.finditer(head))
    if levels > MOST_LEVELS:
        raise Unreadable("its parts are nested too deep")
    if sum(1 for _ in _DASHES.finditer(head)) > 10 * MOST_PARTS:
        raise Unreadable("it has too many parts")
    message = BytesParser(policy=compat32).parsebytes(head)
    if sum(1 for _ in message.walk()) > 2 * MOST_PARTS:
        raise Unreadable("it has too many parts")
    return message


def fields_of(text: str) -> Message:
    """A block of header fields by itself."""
    return HeaderParser(policy=compat32).parsestr(text[:LARGEST_HEADER], headersonly=True)


def value(message: Message, name: str) -> str:
    """The first value of a header, decoded, on one line; empty when there is none."""
    return next(values(message, name), "")


def values(message: Message, *names: str) -> Iterator[str]:
    """The values of these headers, decoded, each on one line."""
    for name in names:
        for raw in message.get_all(name, ()):
            yield _decoded(str(raw)[:VALUE_LIMIT])


def first_inside(part: Message) -> Message | None:
    """The message that a part consists of, or the first of several; None when it has none."""
    payload = part.get_payload()
    inside = payload[0] if isinstance(payload, list) and payload else None
    return inside if isinstance(inside, Message) else None


def body_text(part: Message, limit: int = LARGEST_HEADER) -> str:
    """What a part says, its transfer encoding undone; empty for one that has parts itself."""
    if part.is_multipart():
        return ""
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    return raw[:limit].decode("utf-8", "replace")


def content_type(part: Message) -> str:
    """`text/plain`, in lower case."""
    return part.get_content_type()


def _decoded(text: str) -> str:
    """RFC 2047 undone; what can't be is left as it is."""
    try:
        pieces = decode_header(text) if "=?" in text else [(text, None)]
        words = [
            piece.decode(charset or "ascii", "replace") if isinstance(piece, bytes) else str(piece)
            for piece, charset in pieces
        ]
    except (MessageError, ValueError, LookupError):
        words = [text]
    return " ".join("".join(words).split())
