"""People, where they are in a sequence, and who is never mailed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.immutable import immutable
from drip.core.subscription import CancelReason, SubscriptionStatus, SuppressionReason


@dataclass(frozen=True, slots=True)
class Contact:
    """A person."""

    id: int
    email: str
    name: str
    variables: Mapping[str, Any]
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that is never mailed."""

    email: str
    """Of somebody who was erased, only what recognises them: `erased:` and a hash."""
    reason: SuppressionReason
    code: str | None
    """The server's code or the operator's words; None without."""
    added_at: datetime


@immutable
class Person:
    """A subscription with what its schedule depends on: what edits, resumes and records work with."""

    id: int
    sequence_id: int
    contact_id: int
    status: SubscriptionStatus
    cancel_reason: CancelReason | None
    claim: int
    started_at: datetime
    origin_at: datetime
    base_at: datetime | None
    last_step_id: int | None
    next_step_id: int | None
    next_send_at: datetime | None
    paused_at: datetime | None
    timezone: str | None
    """The variable `timezone`, the subscription's over the contact's; None without one."""
    open_state: DeliveryState | None = None
    """The state of the delivery of its next step; None when there is none."""
    open_reason: Reason | None = None
    """The reason of that delivery; None when it has none."""

    def waits_for(self, step_id: int, claim: int) -> bool:
        """Whether they are still where they were claimed."""
        here = self.next_step_id == step_id and self.claim == claim
        return here and self.status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED)

    @property
    def follows_schedule(self) -> bool:
        """Whether the schedule alone says when their step is due: no answer of a server, no decision of a person."""
        return _follows_schedule(self.open_state, self.open_reason)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where people of a sequence stand, one object for all at the same: an edit does the same to each of them."""

    status: SubscriptionStatus
    last_step_id: int | None
    next_step_id: int | None
    open_state: DeliveryState | None
    """As a person's."""
    open_reason: Reason | None
    """As a person's."""

    @property
    def follows_schedule(self) -> bool:
        """As a person's."""
        return _follows_schedule(self.open_state, self.open_reason)


@dataclass(frozen=True, slots=True)
class Standing:
    """Somebody at a place, with what their time is computed from. Read by the hundred thousand."""

    id: int
    place: Place
    origin_at: datetime
    base_at: datetime | None
    next_send_at: datetime | None
    timezone: str | None
    """As a person's."""


def _follows_schedule(state: DeliveryState | None, reason: Reason | None) -> bool:
    if state is DeliveryState.DEFERRED:
        return reason in (Reason.WINDOW, Reason.LIMIT)
    return state is None


@immutable
class NewSubscription:
    """What is inserted when somebody subscribes."""

    contact_id: int
    variables: Mapping[str, Any]
    started_at: datetime
    next_step_id: int | None
    next_send_at: datetime | None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reschedule:
    """A person's next step and time, as computed anew."""

    id: int
    next_step_id: int | None
    next_send_at: datetime | None
