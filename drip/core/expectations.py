"""What `tests:` of a sequence file expect: one made-up subscriber, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from drip.core.delivery import Reason

DEFAULT_START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When a test's subscriber starts that says nothing about it: a Monday morning, the same on every machine."""

SKIP_REASONS = (Reason.WHEN, Reason.STALE)
"""Why a step may be expected to be skipped."""


class Ending(StrEnum):
    """What is expected of the subscription at the end."""

    COMPLETED = "completed"  # every step was handled
    CANCELLED = "cancelled"  # it ended before, as by `stop_when`
    FAILED = "failed"  # a step could not be sent
    ACTIVE = "active"  # something is still pending


@dataclass(frozen=True, slots=True)
class ExpectedStep:
    """One step that is expected, in order; None is not looked at."""

    step: str
    """Its key."""
    on: date | None = None
    """The local day it is sent."""
    at: time | None = None
    """The local time it is sent, to the minute."""
    after: timedelta | None = None
    """The time since the step before it was handled; since the start for the first."""
    subject: str | None = None
    """The rendered subject, exactly."""
    skipped: Reason | bool = False
    """True: skipped for any reason; a reason: skipped for that."""


@dataclass(frozen=True, slots=True)
class SampleSubscriber:
    """The made-up subscriber."""

    at: datetime = DEFAULT_START
    """When they start; UTC."""
    email: str = "ada@example.com"
    name: str = ""
    timezone: str | None = None
    """Their zone, as the variable `timezone` has it."""
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SequenceTest:
    """One of `tests:`."""

    name: str
    subscriber: SampleSubscriber = field(default_factory=SampleSubscriber)
    steps: tuple[ExpectedStep, ...] = ()
    """All that are sent or said to be skipped, in order."""
    ending: Ending | None = None
    """None: not looked at."""
    line: int = 0
    """Where it is in its file, from 1."""
