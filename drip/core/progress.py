"""Where a person is in a sequence, and what comes next for them, and when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from drip.core.edits import next_step
from drip.core.immutable import immutable
from drip.core.schedule import base_of, due_at
from drip.core.sequence import Sequence as EmailSequence
from drip.core.sequence import Step


@immutable
class Progress:
    """What of a person decides their next step."""

    origin: datetime
    """When the subscription started, moved by the time it was paused."""
    previous: datetime | None
    """When the last step was handled, moved likewise; None before the first."""
    last: str | None
    """Key of the last step handled; None before the first."""
    handled: Collection[str] = ()
    """Keys that have a delivery which is not merely deferred."""


def upcoming(
    sequence: EmailSequence, order: Sequence[str], progress: Progress, local: ZoneInfo
) -> tuple[Step, datetime] | None:
    """The next step and when it is due, UTC; None when every step is handled.

    Args:
        order: all keys there ever were, from `edits.merge_order`.
    """
    live = {step.key: step for step in sequence.steps}
    key = next_step(order, live, last=progress.last, handled=progress.handled)
    if key is None:
        return None
    base = base_of(sequence, origin=progress.origin, previous=progress.previous)
    return live[key], due_at(live[key], sequence, base=base, local=local)
