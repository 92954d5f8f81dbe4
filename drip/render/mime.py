"""Messages as octets, ready for the wire but for dot-stuffing. Fast: no `email` package.

Nothing is decided here, and nothing in a message's values can add a header, a recipient or a part.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from drip.core.address import Address
from drip.core.mail_data import MailData
from drip.errors import RenderFailed
from drip.render.headers import address_field, date_field, machine_field, text_field
from drip.render.message import Message

_SURROGATES = re.compile("[\ud800-\udfff]")
_MACHINE = frozenset(
    {"list-unsubscribe", "list-unsubscribe-post", "list-id", "auto-submitted", "x-auto-response-suppress"}
    | {"x-drip-delivery", "feedback-id"}
)
_REPEATED = frozenset({"List-Unsubscribe-Post", "List-Id", "Feedback-ID", "Auto-Submitted", "X-Auto-Response-Suppress"})
_OWN = frozenset(
    {"bcc", "cc", "date", "dkim-signature", "from", "message-id", "mime-version", "received", "reply-to", "return-path"}
    | {"sender", "subject", "to"}
)
_FRAGILE = re.compile(rb"^(?:From ([^\r]*)|(\.)(?=\r|\Z)|([^\r]{74,})(=20|=09)(?=\r|\Z))", re.MULTILINE)
"""Lines that mailboxes or mail servers could change (a From line of mbox, a dot alone), and lines that b2a_qp makes
too long: it does not count what a blank at the end of a full line grows by."""
_KEPT = range(200, 20_000)
"""Characters of a piece whose code is kept."""
_LONG = 2_000
"""Characters from which few are kept: a piece with its code may take twenty times as many octets."""
_TEXT = b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
_HTML = b'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'


def write_message(message: Message) -> MailData:
    """The message with CRLF line ends, quoted-printable, text first; text alone where there is no HTML.

    No line is over 998 octets, and none over 78 but for addresses and links that are longer. The same message gives
    the same octets. All is ASCII unless a local part is not (then the transport needs SMTPUTF8).

    Raises:
        RenderFailed: an address, or the name of a header, can't be written.
    """
    head = b"".join(_head(message))
    if message.html_pieces is None:
        return MailData(head + _TEXT + _ended(quoted_printable(message.text_pieces)))
    # "=_" stands in no quoted-printable text (RFC 2045, 6.7), so the boundary stands in no part.
    boundary = b"=_drip_" + sha256(message.message_id.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()
    line = b"\r\n--" + boundary
    return MailData(
        b"".join(
            (
                head,
                b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n',
                *(line, b"\r\n", _TEXT, quoted_printable(message.text_pieces)),
                *(line, b"\r\n", _HTML, quoted_printable(message.html_pieces)),
                *(line, b"--\r\n"),
            )
        )
    )


def quoted_printable(pieces: Sequence[str]) -> bytes:
    """A text, given in pieces, as quoted-printable in UTF-8 (RFC 2045, 6.7), its line breaks as CRLF.

    Lone surrogates become U+FFFD. A last line without a break stays without one.
    """
    whole = "".join(pieces)
    if "\r" in whole:
        pieces = [whole.replace("\r\n", "\n").replace("\r", "\n")]
    encoded: list[bytes] = []
    loose: list[str] = []  # never added up, as adding to `Markup` escapes
    for piece in pieces:
        if len(piece) not in _KEPT or "\n" not in piece:
            loose.append(piece)
            continue
        first, between, last = (_kept_lines if len(piece) < _LONG else _kept_long_lines)(piece)
        encoded += (_code("".join((*loose, first))), between)
        loose = [last]
    encoded.append(_code("".join(loose)))
    return b"".join(encoded)


def _lines(piece: str) -> tuple[str, bytes, str]:
    """The line that it begins in, the code of whole lines, and the beginning of the line that it ends in.

    What a template says itself is the same piece for all people, and long values of several lines are rare.
    """
    first, line_break, rest = piece.partition("\n")
    between, last_break, last = rest.rpartition("\n")
    return first + line_break, _code(between + last_break), last


_kept_lines = lru_cache(maxsize=256)(_lines)
_kept_long_lines = lru_cache(maxsize=32)(_lines)


def _code(text: str) -> bytes:
    """Whole lines, or the end of a text: where a line is broken depends on where it begins, and on whether it ends."""
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        octets = _SURROGATES.sub("\ufffd", text).encode()
    # The break in front tells b2a_qp that lines end with CRLF, also those it breaks itself.
    encoded = b2a_qp(b"\r\n" + octets.replace(b"\n", b"\r\n"))
    return (_FRAGILE.sub(_mend, encoded) if _may_be_fragile(encoded) else encoded)[2:]


def _may_be_fragile(encoded: bytes) -> bool:
    return (
        b"From " in encoded
        or b"\n.\r" in encoded
        or b"=20\r" in encoded
        or b"=09\r" in encoded
        or encoded.endswith((b".", b"=20", b"=09"))
    )


def _mend(line: re.Match[bytes]) -> bytes:
    if line[2] is not None:
        return b"=2E"
    if line[3] is not None:
        return line[3] + b"=\r\n" + line[4]
    # The two octets more must not make the line too long: then it is broken inside the word.
    return b"=46ro=\r\nm " + line[1] if len(line[1]) > 69 else b"=46rom " + line[1]


def _head(message: Message) -> list[bytes]:
    fields = [_repeated_address("From", message.sender)]
    if message.reply_to is not None:
        fields.append(_repeated_address("Reply-To", message.reply_to))
    fields += [
        address_field("To", message.to),
        text_field("Subject", message.subject),
        date_field(message.date),
        machine_field("Message-ID", message.message_id),
    ]
    for name, value in message.headers:
        fields.append(_repeated_field(name, value) if name in _REPEATED else _other_field(name, value))
    fields.append(b"MIME-Version: 1.0\r\n")
    return fields


@lru_cache(maxsize=64)
def _repeated_address(name: str, address: Address) -> bytes:
    """The same few stand in every message."""
    return address_field(name, address)


@lru_cache(maxsize=256)
def _repeated_field(name: str, value: str) -> bytes:
    """Those that are the same for all people at a step."""
    return _other_field(name, value)


def _other_field(name: str, value: str) -> bytes:
    lower = name.lower()
    if lower in _OWN or lower.startswith("content-"):
        raise RenderFailed(f"{name} is not a header to be set", "only X-* and Feedback-ID are")
    return machine_field(name, value) if lower in _MACHINE else text_field(name, value)


def _ended(body: bytes) -> bytes:
    return body if body.endswith(b"\r\n") else body + b"\r\n"
