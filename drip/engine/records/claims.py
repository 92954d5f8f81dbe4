"""Who sends what, and how far it got: workers, claims, and what is written about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.immutable import immutable


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that sends."""

    id: int
    machine: str
    pid: int
    birth: str
    """When the process started, as the system says it; tells two processes of one pid apart."""
    lease_until: datetime


@immutable
class Claim:
    """A step of one person, owned by this worker until it is recorded or the lease runs out."""

    subscription_id: int
    number: int
    """The fence: only the owner of the newest claim may mark."""
    sequence_id: int
    contact_id: int
    step_id: int
    due_at: datetime
    email: str
    name: str
    contact_variables: Mapping[str, Any] = field(repr=False)
    variables: Mapping[str, Any] = field(repr=False)
    attempts: int
    """Tries made before this one."""
    downs: int
    """Connections in a row that died on it."""
    suppressed: bool


@immutable
class Marked:
    """What the mark writes into the delivery."""

    claim: Claim
    revision: int
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery that was marked, and not recorded since."""

    subscription_id: int
    step_id: int
    number: int
    """Of the claim."""
    at: datetime
    """When it was marked."""
    attempts: int
    """Tries made, this one included."""


@immutable
class Accepted:
    """A server took a marked message."""

    subscription_id: int
    step_id: int
    claim: int
    at: datetime
    code: int | None
    answer: str | None


@immutable
class Advance:
    """A person moves on from a step: it was handled, or it was removed."""

    subscription_id: int
    claim: int
    step_id: int
    """The step they were at."""
    last_step_id: int | None
    """The last step handled, as of now."""
    base_at: datetime | None
    """When it was handled."""
    sent_at: datetime | None
    """When it was accepted; None when it was not sent."""
    next_step_id: int | None
    next_send_at: datetime | None
    completed: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One step for one subscription, as it is shown."""

    id: int
    subscription_id: int
    sequence: str
    step: str
    email: str
    state: DeliveryState
    reason: Reason | None
    attempts: int
    at: datetime
    """When it got into this state."""
    revision: int | None
    code: int | None
    answer: str | None
