"""A message between rendering and the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drip.core.address import Address
from drip.core.immutable import immutable


@immutable
class Message:
    """One rendered email. Values may hold any text: the MIME writer makes them safe.

    Bodies are in pieces as their templates gave them, so that the writer knows again what it has encoded before.
    """

    sender: Address
    to: Address
    subject: str
    text_pieces: Sequence[str]
    """Of the text/plain part; always there."""
    html_pieces: Sequence[str] | None
    """Of the text/html part; None sends text alone."""
    message_id: str
    """With its angle brackets."""
    date: datetime
    """Aware; when it is sent."""
    reply_to: Address | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """All other headers in order: List-*, Feedback-ID, Auto-Submitted, X-…"""

    @property
    def text(self) -> str:
        """The text/plain part."""
        return "".join(self.text_pieces)

    @property
    def html(self) -> str | None:
        """The text/html part; None sends text alone."""
        return None if self.html_pieces is None else "".join(self.html_pieces)
