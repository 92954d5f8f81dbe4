"""What came of a claim: as it is handed to the ledger, and as it is told when it is recorded."""

from __future__ import annotations

from datetime import datetime

from drip.core.delivery import Outcome
from drip.core.immutable import immutable
from drip.core.policy import Decision
from drip.engine.records import Claim


@immutable
class Result:
    """What came of one claim: a decision before rendering, or the outcome of handing it over."""

    claim: Claim
    outcome: Outcome | Decision
    revision: int
    """Of the sequence as it was rendered."""
    marked: bool = False
    """Whether the delivery was marked as sending."""
    at: datetime | None = None
    """When the answer came; None takes the moment of recording."""
    message_id: str | None = None
    """Of the message that was handed over, with its brackets; None when none was."""


@immutable
class Fact:
    """What was recorded, as it is counted and shown."""

    kind: str
    """`sent`, `deferred`, `failed`, `skipped`, `cancelled`, `unknown`, `released`."""
    claim: Claim
    step: str
    reason: str = ""
    text: str = ""
    completed: bool = False
    """Whether the subscription is completed by it."""
    breaker: bool = False
    """Whether so many were refused that the fault must be ours: stop."""
