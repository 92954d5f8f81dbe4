"""Which of our messages a report is about: by the address it came to, and by what it gives back of the message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message

from drip.inbound.mail import body_text, content_type, fields_of, first_inside, values

_TOKEN = r"[a-z2-7]{29,100}"
_X_DRIP = re.compile(rf"^[ \t>]*X-Drip-Delivery:\s*({_TOKEN})\b", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(rf"<({_TOKEN})@[^<>@\s]{{1,255}}>", re.IGNORECASE)
_CAME_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Failed-Recipients", "To")
_RETURNED = (
    "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers",
)  # fmt: skip
MOST_NAMES = 20
TEXT_LOOKED_AT = 256 * 1024
"""Characters of a text in which names are looked for."""


def find_tokens(message: Message, envelope_from: str | None) -> tuple[str, ...]:
    """What may be delivery tokens: of the address it came to, then of the message it gives back, without repeats.

    Args:
        envelope_from: as in drip.yaml; None or without `{token}`: no address has one.
    """
    found = dict.fromkeys(
        [
            *_in_addresses(message, envelope_from),
            *(token for returned in returned_headers(message) for token in _in_headers(returned)),
            *_in_texts(message, envelope_from),
        ]
    )
    return tuple(list(found)[:MOST_NAMES])


def returned_headers(message: Message) -> Iterator[Message]:
    """The headers of messages that are given back, whole or as headers alone."""
    for part in message.walk():
        kind = content_type(part)
        if kind in _RETURNED:
            yield first_inside(part) or fields_of(body_text(part))


def _in_addresses(message: Message, envelope_from: str | None) -> Iterator[str]:
    pattern = _verp(envelope_from)
    if pattern is not None:
        for text in values(message, *_CAME_TO):
            yield from (found.lower() for found in pattern.findall(text))


def _in_headers(returned: Message) -> Iterator[str]:
    for text in values(returned, "X-Drip-Delivery"):
        if re.fullmatch(_TOKEN, text.strip(), re.IGNORECASE):
            yield text.strip().lower()
    for text in values(returned, "Message-ID"):
        yield from (found.lower() for found in _MESSAGE_ID.findall(text))


def _in_texts(message: Message, envelope_from: str | None) -> Iterator[str]:
    """Where a bounce is prose: the message it gives back is part of the text."""
    pattern, left = _verp(envelope_from), TEXT_LOOKED_AT
    for part in message.walk():
        if part.get_content_maintype() != "text" or left <= 0:
            continue
        text = body_text(part, left)
        left -= len(text)
        yield from (found.lower() for found in _X_DRIP.findall(text))
        yield from (found.lower() for found in _MESSAGE_ID.findall(text))
        if pattern is not None:
            yield from (found.lower() for found in pattern.findall(text))


def _verp(envelope_from: str | None) -> re.Pattern[str] | None:
    if envelope_from is None or "{token}" not in envelope_from:
        return None
    before, _, after = envelope_from.partition("{token}")
    return re.compile(rf"(?<![\w.+-]){re.escape(before)}({_TOKEN}){re.escape(after)}(?![\w-])", re.IGNORECASE)
