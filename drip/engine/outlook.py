"""What is still to come for one person, if every message goes out when it is due."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from drip.core.progress import Progress, upcoming
from drip.core.schedule import next_open, subscriber_zone
from drip.core.sequence import Step
from drip.core.subscription import SubscriptionStatus
from drip.engine.records import Person, StoredSequence


@dataclass(frozen=True, slots=True)
class Coming:
    """One step to come."""

    step: Step
    at: datetime | None
    """UTC; None while the person waits for a decision, or is paused: then nobody knows."""


def outlook(
    stored: StoredSequence, person: Person, handled: Collection[int], now: datetime, default_zone: ZoneInfo
) -> list[Coming]:
    """The steps to come, in order, with the times that schedule and sequence give.

    Args:
        handled: ids of the steps that have a delivery which is not merely deferred.
        now: what is overdue is taken to be sent then.
    """
    if person.next_step_id is None or person.status not in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED):
        return []
    key = stored.keys[person.next_step_id]
    step = stored.sequence.step(key)
    at = person.next_send_at if person.status is SubscriptionStatus.ACTIVE else None
    had = {stored.keys[step_id] for step_id in handled} | {key}
    local = subscriber_zone(person.timezone, stored.sequence, default_zone)
    coming: list[Coming] = []
    while step is not None:
        coming.append(Coming(step, at))
        previous = max(at, now) if at is not None else now
        progress = Progress(origin=person.origin_at, previous=previous, last=step.key, handled=had)
        found = upcoming(stored.sequence, stored.order, progress, local)
        if found is None:
            break
        step = found[0]
        at = None if at is None else _not_before(stored, step, found[1], previous, local)
        had = had | {step.key}
    return coming


def _not_before(stored: StoredSequence, step: Step, due: datetime, previous: datetime, local: ZoneInfo) -> datetime:
    """When a step goes that may be overdue by then, as with `delay_from: start`: after the one before it."""
    window = stored.sequence.window_of(step)
    if due >= previous or window is None:
        return max(due, previous)
    return next_open(window, previous, local)
