"""A message and its envelope as the octets of SMTP, and what a server could not take of them. Nothing is sent here."""

from __future__ import annotations

import re

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.mail_data import MailData
from drip.engine.ports import Envelope
from drip.transport.answers import misconfigured

_ADDRESS = re.compile(
    r"[^\s<>()\[\],;:\"\\@\x00-\x20\x7f-\x9f\ud800-\udfff]+@[^\s<>(),;\"\\@\x00-\x20\x7f-\x9f\ud800-\udfff]+"
)
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")


def with_crlf(content: bytes) -> bytes:
    """The content with CRLF line ends and nothing else: a bare CR or LF can hide a second message (CVE-2023-51764)."""
    if isinstance(content, MailData):
        return content
    rest = b"".join(content.split(b"\r\n"))  # what is left has no line ends, or they are none of ours
    if b"\n" in rest or b"\r" in rest:
        content = _ANY_LINE_END.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def dot_stuffed(content: bytes) -> bytes:
    """The content as it goes over the wire: a dot more where a line begins with one (RFC 5321, section 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def unfit_envelope(envelope: Envelope) -> Outcome | None:
    """What is wrong with the envelope for any server; None when nothing is."""
    if not _ADDRESS.fullmatch(envelope.sender):
        return misconfigured(
            f"the envelope sender {envelope.sender!r} is no address: check from and smtp.envelope_from"
        )
    if not _ADDRESS.fullmatch(envelope.recipient):
        return Outcome(OutcomeKind.BAD_ADDRESS, text=f"{envelope.recipient!r} is no address a server could take"[:500])
    return None


def mail(envelope: Envelope, size: int, features: dict[str, str]) -> bytes:
    """MAIL with the extensions that the server offers; the size is in octets."""
    options = f" SIZE={size}" if "size" in features else ""
    if not (envelope.sender.isascii() and envelope.recipient.isascii()):
        options += " SMTPUTF8"
    return f"MAIL FROM:<{envelope.sender}>{options}\r\n".encode()


def rcpt(envelope: Envelope) -> bytes:
    """RCPT."""
    return f"RCPT TO:<{envelope.recipient}>\r\n".encode()


def unfit_for_server(envelope: Envelope, size: int, features: dict[str, str]) -> Outcome | None:
    """What this server can't take; None when it can take all."""
    offered_size = features.get("size", "")
    limit = int(offered_size) if offered_size.isascii() and offered_size.isdigit() else 0  # 0: no limit (RFC 1870)
    if 0 < limit < size:
        return Outcome(OutcomeKind.REFUSED, text=f"the message has {size} octets, the server takes at most {limit}")
    if "smtputf8" in features:
        return None
    if not envelope.sender.isascii():
        return misconfigured(f"the server can't take a From like {envelope.sender} (no SMTPUTF8): check from")
    if not envelope.recipient.isascii():
        text = f"the server can't take an address like {envelope.recipient} (it does not offer SMTPUTF8)"
        return Outcome(OutcomeKind.BAD_ADDRESS, text=text)
    return None
