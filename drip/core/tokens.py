"""Opaque signed names for a delivery or subscription, for headers, bounces and links. No state, no clock.

A token is base32 in lower case (it survives mail systems that fold case) of the ids and a MAC over purpose and ids.
"""

from __future__ import annotations

import base64
import hmac
from enum import StrEnum
from functools import lru_cache

_MAC_OCTETS = 16


class Purpose(StrEnum):
    """What a token is good for; one made for another purpose does not verify."""

    DELIVERY = "delivery"  # ids: subscription, step
    UNSUBSCRIBE = "unsubscribe"  # ids: subscription


def make_token(secret: bytes, purpose: Purpose, *ids: int) -> str:
    """The token for those ids; the same every time."""
    payload = b"".join(map(_varint, ids))
    return _encode(payload + _mac(secret, purpose, payload))


def read_token(secret: bytes, purpose: Purpose, token: str) -> tuple[int, ...] | None:
    """The ids in a token, or None when it is malformed, altered, or signed for something else."""
    raw = _decode(token)
    if raw is None or len(raw) <= _MAC_OCTETS:
        return None
    payload, mac = raw[:-_MAC_OCTETS], raw[-_MAC_OCTETS:]
    if not hmac.compare_digest(mac, _mac(secret, purpose, payload)):
        return None
    return _read_varints(payload)


def _mac(secret: bytes, purpose: Purpose, payload: bytes) -> bytes:
    mac = _keyed(secret, purpose).copy()
    mac.update(payload)
    return mac.digest()[:_MAC_OCTETS]


@lru_cache(maxsize=64)
def _keyed(secret: bytes, purpose: Purpose) -> hmac.HMAC:
    """A MAC that has read what all tokens of a purpose begin with."""
    return hmac.new(secret, purpose.value.encode() + b"\0", "sha256")


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _decode(token: str) -> bytes | None:
    if not token.isascii() or len(token) > 100:
        return None
    try:
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except ValueError:
        return None
    # Base32 leaves spare bits at the end: only the one canonical spelling is the token.
    return raw if _encode(raw) == token.lower() else None


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _read_varints(payload: bytes) -> tuple[int, ...]:
    numbers, number, shift = [], 0, 0
    for octet in payload:
        number |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            numbers.append(number)
            number, shift = 0, 0
    return tuple(numbers)
