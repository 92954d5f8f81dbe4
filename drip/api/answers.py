"""What goes out, for `/openapi.json`: answers are made by `drip.engine.objects`, and tests hold the two together."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from drip.core.sequence import DelayFrom, Resubscribe, SequenceStatus, Source
from drip.core.subscription import CancelReason, ContactStatus, SubscriptionStatus, SuppressionReason

Time = Annotated[
    str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", examples=["2026-06-22T15:30:00.000Z"])
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Detail(_Answer):
    """One thing wrong in a request."""

    param: str
    message: str


class Error(_Answer):
    """What went wrong."""

    type: Literal[
        "validation_error",
        "authentication_error",
        "authorization_error",
        "not_found_error",
        "conflict_error",
        "payload_too_large_error",
        "rate_limit_error",
        "api_error",
    ]
    code: str
    message: str
    param: str = ""
    details: list[Detail] = []


class ErrorAnswer(_Answer):
    """Every error of the API."""

    error: Error


class Window(_Answer):
    """The local hours in which steps may go out."""

    days: str
    hours: str


class SubscriberCounts(_Answer):
    """How many people are in which state."""

    active: int
    paused: int
    completed: int
    cancelled: int
    failed: int


class Sequence(_Answer):
    """A sequence."""

    id: str
    name: str
    status: SequenceStatus
    source: Source
    key_id: str | None
    revision: int
    delay_from: DelayFrom
    timezone: str | None
    send_window: Window | None
    stale_after_seconds: int | None
    resubscribe: Resubscribe
    created_at: Time
    updated_at: Time
    subscribers: SubscriberCounts


class Step(_Answer):
    """A step of a sequence."""

    id: int
    sequence_id: str
    key: str
    position: int
    offset_seconds: int
    subject: str | None
    html: str | None
    body_text: str | None
    from_email: str | None
    from_name: str | None
    reply_to: str | None
    template_id: str | None
    created_at: Time
    updated_at: Time


class SequenceWithSteps(Sequence):
    """A sequence with its steps, by position."""

    steps: list[Step]


class Totals(_Answer):
    """Over all steps."""

    sent: int
    waiting: int
    failed: int
    skipped: int
    deferred: int
    unknown: int


class StepStats(Totals):
    """What became of one step."""

    step_id: int
    step_key: str
    position: int


class Stats(_Answer):
    """Counts of a sequence."""

    sequence_id: str
    subscribers: SubscriberCounts
    totals: Totals
    steps: list[StepStats]


class Subscription(_Answer):
    """A subscription."""

    id: int
    sequence_id: str
    key_id: str | None
    email: str
    contact_email: str
    name: str
    started_at: Time
    current_step: int
    next_step: str | None
    next_send_at: Time | None
    status: SubscriptionStatus
    variables: dict[str, Any]
    variables_json: str
    retry_count: int
    last_sent_at: Time | None
    paused_at: Time | None
    completed_at: Time | None
    cancelled_at: Time | None
    cancel_reason: CancelReason | None
    created_at: Time
    updated_at: Time


class RefusedItem(_Answer):
    """A person of a batch who was not subscribed."""

    index: int
    email: str
    code: str


class BatchAnswer(_Answer):
    """What became of a batch."""

    created: int
    existing: int
    refused: list[RefusedItem]


class Template(_Answer):
    """A template."""

    id: str
    name: str
    subject: str | None
    html: str | None
    body_text: str | None
    source: Source
    created_at: Time
    updated_at: Time


class Contact(_Answer):
    """A person."""

    id: int
    email: str
    name: str
    metadata: dict[str, Any]
    status: ContactStatus
    created_at: Time
    updated_at: Time


class Suppression(_Answer):
    """An address that is never mailed."""

    email: str
    reason: SuppressionReason
    code: str | None
    added_at: Time


class SuppressionPage(_Answer):
    """A page of suppressions."""

    total: int
    limit: int
    offset: int
    items: list[Suppression]


class Event(BaseModel):
    """A fact, as webhooks tell it; what it carries depends on what it is."""

    model_config = ConfigDict(extra="allow")

    event: str
    ts: Time
    id: str


class Health(_Answer):
    """Whether all is well."""

    status: Literal["ok", "unavailable"]
    database: bool
    worker: bool | None
    """null: this process has none."""


class TakenIn(_Answer):
    """What became of a provider's events, by how many."""

    hard: int
    soft: int
    complaint: int
    unsubscribe: int
    unproven: int
    duplicate: int
    """Told before."""
    ignored: int
    """Of no interest, or not known."""


class Webhook(_Answer):
    """A key's endpoint."""

    webhook_url: str | None
    secret_set: bool
    secret_masked: Annotated[str | None, Field(examples=["whsec_••••3a9f"])]


class KeyWithWebhook(Webhook):
    """A key, as it sees itself."""

    id: str
    label: str
    webhook_secret: Annotated[str, Field(description="Only when it was just made: it is not shown again.")] = ""
