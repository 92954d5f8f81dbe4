"""Complaints: feedback reports (RFC 5965), which providers send when somebody calls a message spam."""

from __future__ import annotations

from email.message import Message

from drip.core.reports import Finding, ReportKind, one_line
from drip.inbound.dsn import address_in
from drip.inbound.mail import body_text, content_type, fields_of, first_inside, value, values

COMPLAINTS = frozenset({"abuse", "opt-out", "opt-out-list"})
"""Feedback types by which a person says no; the others are about authentication, fraud, viruses or the opposite."""


def read_arf(message: Message) -> tuple[Finding, ...]:
    """What a feedback report says; empty when it is none, or no complaint."""
    for part in message.walk():
        if content_type(part) != "message/feedback-report":
            continue
        fields = first_inside(part) or fields_of(body_text(part))
        kind = value(fields, "Feedback-Type").lower()
        if kind in COMPLAINTS:
            # RFC 5965, section 3.2: providers often leave these out, or blacken them.
            named = [address_in(text) for text in values(fields, "Original-Rcpt-To")]
            return (Finding(ReportKind.COMPLAINT, next(filter(None, named), None), one_line(kind)),)
    return ()
