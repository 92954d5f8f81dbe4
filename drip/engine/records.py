"""What the store gives to the engine and takes from it, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.reports import ReportKind
from drip.core.sequence import Definition, Sequence, SequenceStatus, Source, Template
from drip.core.subscription import CancelReason, SubscriptionStatus, SuppressionReason
from drip.core.webhooks import PostState


class EventType(StrEnum):
    """Facts, in the order they happened. The first five are told to webhooks; all are shown by `drip log`."""

    SUBSCRIBED = "sequence.subscribed"
    STEP_SENT = "sequence.step.sent"
    STEP_FAILED = "sequence.step.failed"
    COMPLETED = "sequence.completed"
    CANCELLED = "sequence.cancelled"
    STEP_DEFERRED = "step.deferred"
    STEP_SKIPPED = "step.skipped"
    STEP_UNKNOWN = "step.unknown"
    STEP_RESOLVED = "step.resolved"
    PAUSED = "subscription.paused"
    RESUMED = "subscription.resumed"
    RETRIED = "subscription.retried"
    CHANGED = "subscription.changed"
    SUPPRESSED = "suppression.added"
    UNSUPPRESSED = "suppression.removed"
    APPLIED = "sequence.applied"
    STATUS = "sequence.status"
    BREAKER = "worker.breaker"
    RESTORED = "database.restored"
    BOUNCED = "delivery.bounced"
    COMPLAINED = "delivery.complained"
    UNPROVEN = "report.unproven"


PUBLIC_EVENTS = frozenset(tuple(EventType)[:5])
"""Those that webhooks are told."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact."""

    type: EventType
    at: datetime
    sequence_id: int | None = None
    """The row's id, as the next two."""
    subscription_id: int | None = None
    step_id: int | None = None
    data: Mapping[str, Any] | None = None
    """What else there is to say, as JSON values."""


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A step's identity in the store; its content is in the definition."""

    id: int
    key: str
    rank: int
    """Its place among all steps there ever were."""
    position: int | None
    """From 1; None once it was removed."""


@dataclass(frozen=True)
class StoredSequence:
    """A sequence as last applied."""

    id: int
    status: SequenceStatus
    file_status: SequenceStatus | None
    """What its file asked for at the last apply; None when it has no file."""
    source: Source
    path: str | None
    """The file, relative to the project; None when it has none."""
    key_id: str | None
    revision: int
    """The number of its newest revision; 0 before the first."""
    steps: tuple[StoredStep, ...]
    """All there ever were, by rank."""
    definition: Definition
    """As of that revision, with today's status."""
    created_at: datetime
    updated_at: datetime

    @property
    def sequence(self) -> Sequence:
        """The sequence itself."""
        return self.definition.sequence

    @property
    def slug(self) -> str:
        """Its id as people know it."""
        return self.definition.sequence.id

    @property
    def sends(self) -> bool:
        """Whether its people are mailed."""
        return self.status is SequenceStatus.ACTIVE

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All keys there ever were, by rank."""
        return tuple(step.key for step in self.steps)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each step by its key, removed ones included."""
        return {step.key: step.id for step in self.steps}

    @cached_property
    def keys(self) -> Mapping[int, str]:
        """The key of each step by its id, removed ones included."""
        return {step.id: step.key for step in self.steps}


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template as last applied or saved."""

    template: Template
    title: str
    """What people call it; a file's is its stem."""
    created_at: datetime
    updated_at: datetime


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


@dataclass(frozen=True, slots=True)
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
        if self.open_state is DeliveryState.DEFERRED:
            return self.open_reason in (Reason.WINDOW, Reason.LIMIT)
        return self.open_state is None


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Marked:
    """What the mark writes into the delivery."""

    claim: Claim
    revision: int
    content_hash: bytes


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


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that sends."""

    id: int
    machine: str
    pid: int
    birth: str
    """When the process started, as the system says it; tells two processes of one pid apart."""
    lease_until: datetime


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Accepted:
    """A server took a marked message."""

    subscription_id: int
    step_id: int
    claim: int
    at: datetime
    code: int | None
    answer: str | None


@dataclass(frozen=True, slots=True)
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
    contact_id: int | None = None
    """None: nobody is proven to be meant."""
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
