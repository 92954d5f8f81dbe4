"""A message between rendering and the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drip.core.address import Address


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered email. Values may hold any text: the MIME writer makes them safe."""

    sender: Address
    to: Address
    subject: str
    text: str
    """The text/plain part; always there."""
    html: str | None
    """The text/html part; None sends text alone."""
    message_id: str
    """With its angle brackets."""
    date: datetime
    """Aware; when it is sent."""
    reply_to: Address | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """All other headers in order: List-*, Feedback-ID, Auto-Submitted, X-…"""
