"""The public ids of events: `evt_`, then a moment and a number in Crockford's base32, so that they sort. Pure."""

from __future__ import annotations

from datetime import datetime

from drip.core.moments import to_milliseconds

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def event_id(number: int, at: datetime) -> str:
    """`evt_` and 26 characters as a ULID has: 10 of time, 16 of the row's number."""
    return "evt_" + _base32(to_milliseconds(at), 10) + _base32(number, 16)


def event_number(public_id: str) -> int | None:
    """The row's number in a public id, or None when it is none."""
    body = public_id.removeprefix("evt_")
    if len(body) != 26 or any(character not in _ALPHABET for character in body):
        return None
    number = 0
    for character in body[10:]:
        number = number * 32 + _ALPHABET.index(character)
    return number if number < 1 << 63 else None


def _base32(number: int, width: int) -> str:
    characters = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
