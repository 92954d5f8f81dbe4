"""What the API and `--json` give: sequences, steps, people, deliveries and templates as JSON values. Pure.

The fields are those of the manual's page on the HTTP API; moments are ISO 8601, UTC, with milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from drip.core.difference import window_in_words
from drip.core.moments import format_moment
from drip.core.sequence import INHERIT, SendWindow, Step
from drip.core.subscription import Subscription, SubscriptionStatus
from drip.engine.records import Contact, Delivery, StoredSequence, StoredTemplate

JsonObject = dict[str, Any]


def sequence_object(stored: StoredSequence, people: Mapping[SubscriptionStatus, int]) -> JsonObject:
    """A sequence without its steps.

    Args:
        people: how many subscriptions there are of each status; a missing one counts as 0.
    """
    sequence = stored.sequence
    return {
        "id": sequence.id,
        "name": sequence.name,
        "status": stored.status.value,
        "source": stored.source.value,
        "key_id": stored.key_id,
        "revision": stored.revision,
        "delay_from": sequence.delay_from.value,
        "timezone": sequence.timezone,
        "send_window": None if sequence.send_window is None else _window(sequence.send_window),
        "stale_after_seconds": _stale_after_seconds(sequence.stale_after),
        "resubscribe": sequence.resubscribe.value,
        "created_at": format_moment(stored.created_at),
        "updated_at": format_moment(stored.updated_at),
        "subscribers": {status.value: people.get(status, 0) for status in SubscriptionStatus},
    }


def step_objects(stored: StoredSequence, times: Mapping[int, tuple[datetime, datetime]]) -> list[JsonObject]:
    """The steps of a sequence, by position.

    Args:
        times: when each step was made and last changed, by its row's id.
    """
    return [step_object(stored, step, *times[stored.ids[step.key]]) for step in stored.sequence.steps]


def subscription_object(subscription: Subscription) -> JsonObject:
    """A subscription."""
    return {
        "id": subscription.id,
        "sequence_id": subscription.sequence_id,
        "key_id": subscription.key_id,
        "email": subscription.email,
        "contact_email": subscription.email,
        "name": subscription.name,
        "started_at": format_moment(subscription.started_at),
        "current_step": subscription.current_step,
        "next_step": subscription.next_step,
        "next_send_at": _moment(subscription.next_send_at),
        "status": subscription.status.value,
        "variables": dict(subscription.variables),
        "variables_json": json.dumps(subscription.variables, ensure_ascii=False),
        "retry_count": subscription.retry_count,
        "last_sent_at": _moment(subscription.last_sent_at),
        "paused_at": _moment(subscription.paused_at),
        "completed_at": _moment(subscription.completed_at),
        "cancelled_at": _moment(subscription.cancelled_at),
        "cancel_reason": subscription.cancel_reason and subscription.cancel_reason.value,
        "created_at": format_moment(subscription.created_at),
        "updated_at": format_moment(subscription.updated_at),
    }


def delivery_object(delivery: Delivery) -> JsonObject:
    """A delivery."""
    return {
        "id": delivery.id,
        "subscription_id": delivery.subscription_id,
        "sequence_id": delivery.sequence,
        "step": delivery.step,
        "email": delivery.email,
        "state": delivery.state.value,
        "reason": delivery.reason and delivery.reason.value,
        "attempts": delivery.attempts,
        "at": format_moment(delivery.at),
        "revision": delivery.revision,
        "smtp_code": delivery.code,
        "answer": delivery.answer,
    }


def step_object(stored: StoredSequence, step: Step, made: datetime, changed: datetime) -> JsonObject:
    """A step; when its row was made and last changed is not in the definition."""
    return {
        "id": stored.ids[step.key],
        "sequence_id": stored.slug,
        "key": step.key,
        "position": stored.sequence.position(step.key),
        "offset_seconds": int(step.delay.total_seconds()),
        "subject": step.subject,
        "html": step.html,
        # Markdown is plain text too, and the API has no other place for it.
        "body_text": step.body if step.text is None else step.text,
        "from_email": step.sender.email if step.sender else None,
        "from_name": step.sender.name or None if step.sender else None,
        "reply_to": str(step.reply_to) if step.reply_to else None,
        "template_id": step.template,
        "created_at": format_moment(made),
        "updated_at": format_moment(changed),
    }


def contact_object(contact: Contact) -> JsonObject:
    """A contact: a person by themselves."""
    return {
        "id": contact.id,
        "email": contact.email,
        "name": contact.name,
        "metadata": dict(contact.variables),
        "status": contact.status,
        "created_at": format_moment(contact.created_at),
        "updated_at": format_moment(contact.updated_at),
    }


def template_object(stored: StoredTemplate) -> JsonObject:
    """A template. The Markdown of a file is plain text too, and has no other place."""
    template = stored.template
    return {
        "id": template.name,
        "name": stored.title,
        "subject": template.subject,
        "html": template.html,
        "body_text": template.markdown if template.text is None else template.text,
        "source": template.source.value,
        "created_at": format_moment(stored.created_at),
        "updated_at": format_moment(stored.updated_at),
    }


def _window(window: SendWindow) -> JsonObject:
    """As a sequence file writes it: `{"days": "mon-fri", "hours": "09:00-18:00"}`."""
    days, _, hours = window_in_words(window).rpartition(" ")
    return {"days": days or "mon-sun", "hours": hours}


def _stale_after_seconds(stale_after: timedelta | str | None) -> int | None:
    """None: the project's; 0: never."""
    if stale_after == INHERIT:
        return None
    return int(stale_after.total_seconds()) if isinstance(stale_after, timedelta) else 0


def _moment(at: datetime | None) -> str | None:
    return None if at is None else format_moment(at)
