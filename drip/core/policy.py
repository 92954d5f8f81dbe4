"""What is to happen with a step that is due, before anything is rendered. Every answer but `Send` has a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from drip.core.delivery import Reason
from drip.core.expressions import ExpressionFailed, compile_expression
from drip.core.immutable import immutable
from drip.core.schedule import next_open
from drip.core.sequence import INHERIT, Sequence, Step
from drip.core.subscription import CancelReason


@immutable
class Send:
    """Render it and hand it over."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The person goes on without this step."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Cancel:
    """The subscription ends."""

    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now, but at `until`."""

    reason: Reason
    until: datetime


@dataclass(frozen=True, slots=True)
class Fail:
    """The step can't be sent to this person."""

    reason: Reason
    text: str


Decision = Send | Skip | Cancel | Defer | Fail


def decide(
    step: Step,
    sequence: Sequence,
    *,
    variables: Mapping[str, Any],
    suppressed: bool,
    due_at: datetime,
    now: datetime,
    local: ZoneInfo,
    default_stale_after: timedelta | None,
) -> Decision:
    """The policy of `semantics.md`, in its order: suppressed, `stop_when`, stale, `when`, window.

    Args:
        variables: what templates see, merged.
        due_at: when the step was due, after deferrals.
        local: the subscriber's zone.
        default_stale_after: the project's; None is never.
    """
    if suppressed:
        return Cancel(CancelReason.SUPPRESSED)
    try:
        if sequence.stop_when is not None and compile_expression(sequence.stop_when)(variables):
            return Cancel(CancelReason.STOPPED)
        if is_stale(sequence, due_at=due_at, now=now, default=default_stale_after):
            return Skip(Reason.STALE)
        if step.when is not None and not compile_expression(step.when)(variables):
            return Skip(Reason.WHEN)
    except ExpressionFailed as error:
        return Fail(Reason.CONDITION, str(error))
    window = sequence.window_of(step)
    if window is not None and (opens := next_open(window, now, local)) > now:
        return Defer(Reason.WINDOW, opens)
    return Send()


def is_stale(sequence: Sequence, *, due_at: datetime, now: datetime, default: timedelta | None) -> bool:
    """Whether a step is too overdue to be sent. `default` is the project's limit; None is never."""
    limit = default if sequence.stale_after == INHERIT else sequence.stale_after
    return limit is not None and now - due_at > limit


def merged_variables(sequence: Sequence, contact: Mapping[str, Any], subscription: Mapping[str, Any]) -> dict[str, Any]:
    """Declared defaults, over them the contact's variables, over them the subscription's."""
    defaults = {name: variable.default for name, variable in sequence.variables.items() if variable.default is not None}
    return {**defaults, **contact, **subscription}
