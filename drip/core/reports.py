"""What comes back about a message: bounces, complaints and opt-outs by mail, as values. No parsing, no store.

A report is what somebody claims; whom it is about is what its names prove. See `drip.inbound` for the readers and
`drip.engine.reports` for what becomes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

SOFT_LIMIT = 5
"""Soft bounces in a row, with no delivery between, that count as a hard one."""
TEXT_LIMIT = 300
"""Characters kept of what a server said."""


class ReportKind(StrEnum):
    """What a report says."""

    HARD = "hard"  # a bounce for good: the mailbox or its domain does not exist
    SOFT = "soft"  # a bounce for now, or one that is about the message and not about the person
    COMPLAINT = "complaint"  # called spam by its reader (RFC 5965)
    UNSUBSCRIBE = "unsubscribe"  # an opt-out by mail


class NoReport(StrEnum):
    """Why a message is no report; such a one stays where it is."""

    AUTO_REPLY = "auto_reply"  # a vacation note or another machine's answer (RFC 3834)
    OTHER = "other"  # anything else
    UNREADABLE = "unreadable"  # too large or too deep to be looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """What a report says of one recipient."""

    kind: ReportKind
    address: str | None = None
    """As the report has it; None when it names nobody."""
    code: str | None = None
    """The enhanced status code (RFC 3463), or the reporter's own word; None without one."""
    text: str = ""
    """What the server said, as one line."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report, as read."""

    key: str
    """The same for the same report, however often and by whatever way it comes."""
    findings: tuple[Finding, ...]
    """At least one."""
    source: str = "mail"
    """Who told: `mail`, or the provider's name."""
    tokens: tuple[str, ...] = ()
    """What may be delivery tokens, the most telling first; nothing about them is proven."""
    leave_token: str | None = None
    """What may be an unsubscribe token."""
    trusted: bool = False
    """Whether the reporter has proven who it is, so that an address alone is enough."""

    @property
    def kind(self) -> ReportKind:
        """The gravest of what it says."""
        return min((finding.kind for finding in self.findings), key=list(ReportKind).index)


_ABOUT_THE_MESSAGE = re.compile(r"5\.(2\.[23]|3\.\d+|4\.[67]|6\.\d+|7\.\d+)")
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]\d)")


def status_code(text: str) -> str | None:
    """The first enhanced status code (RFC 3463) in a text, without leading zeros; None when there is none."""
    found = _STATUS.search(text)
    return f"{found[1]}.{int(found[2])}.{int(found[3])}" if found else None


def grade(action: str, code: str | None) -> ReportKind | None:
    """What a server's word about a message means for its recipient; None when it is no failure.

    A failure with 5.x.x is hard, but for those that are about the message, its sender or a full mailbox: 5.2.2 and
    5.2.3, 5.3.x, 5.4.6 and 5.4.7, 5.6.x, 5.7.x. A domain that is refused for its own fault must not lose its list.

    Args:
        action: of RFC 3464, section 2.3.3, in lower case.
        code: as `status_code` gives it.
    """
    if action == "delayed":
        return ReportKind.SOFT
    if action != "failed":
        return None
    if code is not None and (not code.startswith("5") or _ABOUT_THE_MESSAGE.fullmatch(code)):
        return ReportKind.SOFT
    return ReportKind.HARD if code is not None else ReportKind.SOFT


def one_line(text: str) -> str:
    """Foreign text as one printable line of at most 300 characters."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 20 * TEXT_LIMIT])
    return " ".join(printable.split())[:TEXT_LIMIT]
