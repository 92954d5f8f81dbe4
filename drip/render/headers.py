"""Header fields as octets: cleaned, encoded (RFC 2047) and folded (RFC 5322). Which headers there are does not enter.

Whatever the text of a value is, one field comes out of it: no second header, no end of the block, no line over 998.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from functools import lru_cache

from drip.core.address import Address
from drip.errors import RenderFailed

_NAME = re.compile(r"[A-Za-z0-9-]{1,76}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?", re.IGNORECASE)
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ATOM = r"[^\x00-\x20\x7f-\xa0()<>@,;:\\\"\[\].\u2028\u2029\ud800-\udfff]+"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_LINE = 76
_LONGEST_LINE = 998
"""Octets (RFC 5322, 2.1.1)."""
_WORD = 75
_Q_FRAME, _B_FRAME = "=?utf-8?q?{}?=", "=?utf-8?b?{}?="
_FRAME = len(_Q_FRAME) - 2
_Q = {
    octet: chr(octet) if (chr(octet).isalnum() and octet < 0x80) or octet in b"!*+-/" else f"={octet:02X}"
    for octet in range(256)
}
_Q[0x20] = "_"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def text_field(name: str, value: str) -> bytes:
    """A field whose value is for people: Subject, or an X- header. Encoded where it is not plain ASCII.

    Raises:
        RenderFailed: the name is not one.
    """
    cleaned = clean_value(value)
    if cleaned.isascii() and "=?" not in cleaned:
        folded = _fold(cleaned, len(name) + 2)
        if _longest_line(folded, len(name) + 2) <= _LINE + 2:
            return _field(name, folded)
    return _field(name, "\r\n ".join(encoded_words(cleaned, _LINE - len(name) - 2)))


def machine_field(name: str, value: str) -> bytes:
    """A field whose value is for programs, as List-Unsubscribe: never encoded unless it could not be written at all.

    Raises:
        RenderFailed: the name is not one.
    """
    cleaned = clean_value(value)
    if cleaned.isascii() and not ("=?" in cleaned and _ENCODED_WORD.search(cleaned)):
        folded = _fold(cleaned, len(name) + 2)
        if _longest_line(folded, len(name) + 2) <= _LONGEST_LINE:
            return _field(name, folded)
    return text_field(name, value)


def address_field(name: str, address: Address) -> bytes:
    """From, To or Reply-To with one address; a local part beyond ASCII stays UTF-8 (RFC 6532).

    Raises:
        RenderFailed: the address can't stand in a header.
    """
    if not _ADDRESS.fullmatch(address.email) or len(address.email.encode()) > 320:
        raise RenderFailed(f"{address.email!r} can't be written as an address in {name}")
    display = clean_value(address.name)
    if not display:
        return _field(name, address.email)
    room = _LINE - len(name) - 2
    phrase = _phrase(display, room)
    used = len(phrase.rpartition("\r\n")[2]) + (0 if "\r\n" in phrase else len(name) + 2)
    gap = " " if used + len(address.email) + 3 <= _LINE else "\r\n "
    return _field(name, f"{phrase}{gap}<{address.email}>")


def date_field(moment: datetime) -> bytes:
    """Date in UTC (RFC 5322, 3.3). The moment is aware."""
    return _date_field(int(moment.timestamp()))


@lru_cache(maxsize=16)
def _date_field(seconds: int) -> bytes:
    """Many messages go out within a second."""
    utc = datetime.fromtimestamp(seconds, UTC)
    text = (
        f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d}"
        f" {utc.hour:02d}:{utc.minute:02d}:{utc.second:02d} +0000"
    )
    return b"Date: " + text.encode("ascii") + b"\r\n"


def clean_value(value: str) -> str:
    """One line: every control and line separator becomes a space, a lone surrogate U+FFFD; the ends are trimmed.

    What comes out in ASCII has nothing but blanks and visible characters.
    """
    if not value.isprintable():  # controls, line separators and surrogates are not
        value = _SURROGATES.sub("\ufffd", _CONTROLS.sub(" ", value))
    return value.strip(" ")


def encoded_words(text: str, first_room: int) -> list[str]:
    """Words of RFC 2047, each of whole characters and at most 75 octets; together they are the text.

    Args:
        text: cleaned.
        first_room: characters that the first word may take.
    """
    quoted = "".join(map(_Q.__getitem__, text.encode()))
    in_base64 = len(quoted) > (len(text.encode()) + 2) // 3 * 4
    if len(text) * 4 + _FRAME <= first_room or len(quoted) + _FRAME <= first_room:
        return [_word(text, in_base64)]
    words: list[str] = []
    room = first_room
    start = size = 0
    for index, character in enumerate(text):
        octets = character.encode()
        more = len(octets) if in_base64 else sum(len(_Q[octet]) for octet in octets)
        capacity = (room - _FRAME) // 4 * 3 if in_base64 else room - _FRAME
        if size + more > capacity and index > start:
            words.append(_word(text[start:index], in_base64))
            start, size, room = index, 0, _WORD
        size += more
    return [*words, _word(text[start:], in_base64)]


def _word(text: str, in_base64: bool) -> str:
    if in_base64:
        return _B_FRAME.format(base64.b64encode(text.encode()).decode("ascii"))
    return _Q_FRAME.format("".join(map(_Q.__getitem__, text.encode())))


def _phrase(display: str, room: int) -> str:
    """A display name as words, a quoted string, or encoded words (RFC 5322, 3.2.5)."""
    if display.isascii() and "=?" not in display and len(display) <= room - 6:
        if _PHRASE.fullmatch(display):
            return display
        quoted = '"' + display.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if len(quoted) <= room:
            return quoted
    return "\r\n ".join(encoded_words(display, room))


def _fold(value: str, used: int) -> str:
    """Break a line at spaces where it gets over 78, never so that a line is blank."""
    if len(value) + used <= _LINE + 2:
        return value
    lines: list[str] = []
    line = ""
    room = _LINE + 2 - used
    for word in re.findall(r" *[^ ]+", value):
        if line and len(line) + len(word) > room:
            lines.append(line)
            line, room = "", _LINE + 2
        line += word
    return "\r\n".join([*lines, line])


def _longest_line(folded: str, used: int) -> int:
    if "\r\n" not in folded:
        return used + len(folded)
    first, *others = folded.split("\r\n")
    return max(used + len(first), *map(len, others))


def _field(name: str, value: str) -> bytes:
    if not _is_name(name):
        raise RenderFailed(f"{name!r} is not the name of a header", "letters, digits and hyphens")
    return f"{name}: {value}\r\n".encode()


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
