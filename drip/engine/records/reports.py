"""What comes back by mail, and how the looking went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drip.core.reports import ReportKind


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that was handed over."""

    subscription_id: int
    step_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A bounce, complaint or opt-out by mail, as it is kept: enough to know it again and to count it."""

    key: str
    at: datetime
    kind: ReportKind
    source: str
    proven: bool = False
    """Whether it is proven who is meant."""
    contact_id: int | None = None
    """None: no contact is proven to be meant; a service may name somebody who is none."""
    subscription_id: int | None = None
    """The message it is about, with the next; None when that is not known."""
    step_id: int | None = None
    sent_at: datetime | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class ReportCounts:
    """How many reports there were."""

    hard: int
    soft: int
    complaint: int
    unsubscribe: int
    unproven: int
    """Those of any kind that named nobody in a way that proves something."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """How the looks into the mailbox of bounces went."""

    read_at: datetime | None
    """The last time that it could be read; None: never."""
    error: str | None
    """Why it can't be read now; None: it can."""
    error_at: datetime | None
    """Since when."""
