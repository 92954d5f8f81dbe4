"""What an edit does to people: the order of steps over time, and who goes on to what.

Steps are known by their key for ever. A removed step keeps its place among the others, so that "after the last step
handled" has a meaning also when that step is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from drip.core.sequence import Sequence as EmailSequence
from drip.core.sequence import Step


def merge_order(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """The order of all steps there ever were: today's, with each removed one before the step that used to follow it.

    So whoever has had a removed step is past what was put in its place: a renamed step is not sent to them again.

    Args:
        before: all keys in the order of last time, removed ones included.
        now: today's keys, in order.
    """
    merged = list(now)
    kept = set(now)
    for index in reversed(range(len(before))):
        if before[index] in kept:
            continue
        if index + 1 < len(before):
            place = merged.index(before[index + 1])
        else:
            # What was last stays behind what it followed: steps added at the end come after it.
            place = next((merged.index(key) + 1 for key in reversed(before) if key in kept), 0)
        merged.insert(place, before[index])
    return merged


def next_step(order: Sequence[str], live: Collection[str], *, last: str | None, handled: Collection[str]) -> str | None:
    """The first of today's steps after the last one handled that this person has had nothing of; None at the end.

    Args:
        order: from `merge_order`.
        live: today's keys.
        last: the last step handled; None before the first.
        handled: keys with a delivery that is not merely deferred.
    """
    start = order.index(last) + 1 if last is not None else 0
    return next((key for key in order[start:] if key in live and key not in handled), None)


def same_schedule(before: EmailSequence, after: EmailSequence, old: Step, new: Step) -> bool:
    """Whether a step that people wait for keeps its time."""
    return (
        before.delay_from is after.delay_from
        and before.timezone == after.timezone
        and old.delay == new.delay
        and old.at == new.at
        and before.window_of(old) == after.window_of(new)
    )
