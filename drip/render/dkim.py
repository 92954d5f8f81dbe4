"""A DKIM signature in front of a message (RFC 6376): octets in, octets out. No key is read, and nothing looked up.

dkimpy canonicalizes and chooses the header fields; its own signing is left out: in Python, RSA takes 10 ms a
message in which no other thread runs.
"""

from __future__ import annotations

import base64
from hashlib import sha256

import dkim
from dkim.canonicalization import Relaxed

from drip.core.dkim_keys import DkimKey

SIGNED = (
    b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"list-unsubscribe", b"list-unsubscribe-post",
    b"list-id", b"feedback-id", b"auto-submitted", b"mime-version", b"content-type", b"content-transfer-encoding",
)  # fmt: skip
"""Fields that are signed where they are there. Those that are not may be added on the way: relays add their own."""
_NAME = b"DKIM-Signature"


def sign(message: bytes, key: DkimKey, domain: str, selector: str, now: float) -> bytes:
    """The message with a signature in front, relaxed/relaxed.

    Args:
        message: whole, with CRLF line ends.
        domain: `d=`, in ASCII.
        selector: `s=`.
        now: seconds since 1970.
    """
    head, _, body = message.partition(b"\r\n\r\n")
    fields, _ = dkim.rfc822_parse(head + b"\r\n\r\n")
    there = {name.lower() for name, _ in fields}
    # Once more than it is there: a second From would break the signature (RFC 6376, section 8.15).
    names = (*(name for name in SIGNED if name in there), b"from")
    value = b" v=1; " + b";\r\n ".join(
        (
            b"a=" + key.algorithm.encode() + b"; c=relaxed/relaxed; t=%d" % now,
            b"d=" + domain.encode(),
            b"s=" + selector.encode(),
            b"h=" + b":\r\n ".join(b":".join(names[start : start + 4]) for start in range(0, len(names), 4)),
            b"bh=" + base64.b64encode(sha256(Relaxed.canonicalize_body(body)).digest()),
            b"b=",
        )
    )
    [(own_name, own_value)] = Relaxed.canonicalize_headers([(_NAME, value)])
    chosen = dkim.select_headers(Relaxed.canonicalize_headers(fields), names)
    signed = b"".join(name + b":" + content for name, content in chosen) + own_name + b":" + own_value.rstrip()
    signature = base64.b64encode(key.sign(signed))
    folded = b"\r\n ".join(signature[start : start + 72] for start in range(0, len(signature), 72))
    return _NAME + b":" + value + b"\r\n " + folded + b"\r\n" + message
