"""A plan for a terminal, and the same facts as JSON values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from drip.cli.output import paint
from drip.core.difference import FieldChange
from drip.engine import plan_words
from drip.engine.plan import ChangeKind, Plan, SequencePlan, StepPeople, StepPlan

_COLOURS = {"+": "green", "~": "yellow", "-": "red", "?": "cyan"}


def plan_lines(plan: Plan) -> Iterator[str]:
    """Every change, drift and missing file; then the sum of it."""
    for line in plan_words.plan_lines(plan):
        sign = f"{paint(line.sign, _COLOURS[line.sign])} " if line.sign else ""
        yield " " * line.indent + sign + line.text


def plan_object(plan: Plan) -> dict[str, Any]:
    """The same as JSON values."""
    kinds = [sequence.kind for sequence in plan.sequences if not sequence.empty]
    return {
        "sequences": [_sequence_object(sequence) for sequence in plan.sequences],
        "changes": plan.changes,
        **{
            kind.value: kinds.count(kind)
            for kind in (ChangeKind.CHANGE, ChangeKind.CREATE, ChangeKind.ARCHIVE, ChangeKind.DELETE)
        },
        "affected": plan.affected,
        "due_now": plan.due_now,
    }


def _sequence_object(sequence: SequencePlan) -> dict[str, Any]:
    return {
        "id": sequence.slug,
        "change": None if sequence.empty and sequence.kind is ChangeKind.CHANGE else sequence.kind.value,
        "path": sequence.path,
        "status": {"before": sequence.status[0].value, "after": sequence.status[1].value} if sequence.status else None,
        "drift": sequence.drift and sequence.drift.value,
        "changes": [_change_object(change) for change in sequence.changes],
        "steps": [_step_object(step) for step in sequence.steps],
        "others": _people_object(sequence.others),
        "people": sequence.people,
        "affected": sequence.affected,
        "due_now": sequence.due_now,
    }


def _step_object(step: StepPlan) -> dict[str, Any]:
    return {
        "key": step.edit.key,
        "change": step.edit.kind.value,
        "changes": [_change_object(change) for change in step.edit.changes],
        "after": step.edit.after,
        "renamed_to": step.edit.renamed_to,
        **_people_object(step.people),
    }


MOST_SHIFTS = 100
"""Lengths that are listed at the most, those of most people: an `at` may move everybody by another one."""


def _people_object(people: StepPeople) -> dict[str, Any]:
    later = [length.total_seconds() for length in people.shifts if length > timedelta(0)]
    earlier = [-length.total_seconds() for length in people.shifts if length < timedelta(0)]
    largest = sorted(people.shifts.items(), key=lambda group: (-group[1], group[0]))[:MOST_SHIFTS]
    return {
        "waiting": people.waiting,
        "later": people.later,
        "earlier": people.earlier,
        "later_by": _range(later),
        "earlier_by": _range(earlier),
        "shifts": [{"seconds": int(length.total_seconds()), "people": number} for length, number in largest],
        "unchanged": people.unchanged,
        "held": {state.value: number for state, number in sorted(people.held.items())},
        "due_now": people.due_now,
        "go_on_to": dict(people.go_on_to),
        "completes": people.completes,
        "will_get": people.will_get,
        "never": people.never,
    }


def _range(seconds: list[float]) -> dict[str, int] | None:
    return {"least_seconds": int(min(seconds)), "most_seconds": int(max(seconds))} if seconds else None


def _change_object(change: FieldChange) -> dict[str, str]:
    return {"field": change.field, "before": change.before, "now": change.now}
