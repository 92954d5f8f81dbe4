"""API keys, the endpoints they have, and what is posted there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from drip.core.webhooks import PostState


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is known afterwards: without the key."""

    id: str
    """`key_…`; names it in objects, logs and webhooks."""
    name: str
    """What its owner called it."""
    prefix: str
    """The key's first characters, to tell keys apart."""
    created_at: datetime
    last_used_at: datetime | None
    """To the minute; None before the first use."""
    revoked_at: datetime | None
    """None: it is good."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events are posted to."""

    id: int
    key_id: str | None
    """The key whose webhook it is; None: it is from drip.yaml, and trusted."""
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    """The newest first; every one signs."""
    events: frozenset[str] | None
    """Those it wants; None: all."""
    disabled_at: datetime | None
    """When it said that it is gone (410); None: it is in use."""
    held_until: datetime | None
    """When it may be posted to again, as it was too busy; None or past: now."""


@dataclass(frozen=True, slots=True)
class Post:
    """One event for one endpoint, claimed: what is to be posted."""

    id: int
    endpoint_id: int
    public_id: str
    """The event's, `evt_…`."""
    body: bytes = field(repr=False)
    """The same octets for every try."""
    attempts: int
    """Tries made before this one."""
    subscription_id: int | None
    """Whom the event is about; None: that is not known any more."""


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event for one endpoint, as it is shown."""

    id: int
    event_id: str
    """`evt_…`."""
    event: str
    """Its type, `sequence.step.sent`."""
    endpoint_id: int
    key_id: str | None
    url: str
    state: PostState
    attempts: int
    next_attempt_at: datetime | None
    """None unless it waits."""
    last_attempt_at: datetime | None
    status: int | None
    """Of HTTP, at the last try; None when there was no answer."""
    answer: str | None
    """The beginning of the last answer, or why there was none."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be posted."""

    waiting: int
    dead: int
    next_attempt_at: datetime | None
    """The earliest; None when nothing waits."""
