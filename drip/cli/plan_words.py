"""A plan in words, and the same facts as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from drip.cli.output import clean, count, paint
from drip.core.difference import EditKind, FieldChange
from drip.engine.plan import ChangeKind, Incoming, Plan, SequencePlan, StepPeople, StepPlan

_SIGNS = {
    ChangeKind.CREATE: "+",
    ChangeKind.CHANGE: "~",
    ChangeKind.ARCHIVE: "-",
    ChangeKind.DELETE: "-",
    ChangeKind.MISSING: "?",
    EditKind.ADDED: "+",
    EditKind.CHANGED: "~",
    EditKind.MOVED: "~",
    EditKind.REMOVED: "-",
}
_COLOURS = {"+": "green", "~": "yellow", "-": "red", "?": "cyan"}


def plan_lines(plan: Plan) -> Iterator[str]:
    """Every change, drift and missing file; then the sum of it."""
    for sequence in plan.sequences:
        yield from _sequence_lines(sequence)
    yield summary(plan)


def summary(plan: Plan) -> str:
    """The last line of a plan."""
    if not plan.changes:
        return "No changes."
    kinds = [sequence.kind for sequence in plan.sequences if not sequence.empty]
    change, create, archive, delete = (
        kinds.count(kind) for kind in (ChangeKind.CHANGE, ChangeKind.CREATE, ChangeKind.ARCHIVE, ChangeKind.DELETE)
    )
    parts = [f"{count(change, 'sequence')} to change", f"{create} to create", f"{archive} to archive"]
    parts += [f"{delete} to delete"] if delete else []
    return f"{', '.join(parts)}. {count(plan.due_now, 'message')} would become due now."


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


def emptied(plan: Plan, incoming: Iterable[Incoming]) -> list[str]:
    """The ids of sequences that people are in and that would have no step left."""
    without = {one.definition.sequence.id for one in incoming if not one.definition.sequence.steps}
    return [
        sequence.slug for sequence in plan.sequences if sequence.people and sequence.steps and sequence.slug in without
    ]


def _sequence_lines(sequence: SequencePlan) -> Iterator[str]:
    sign = _SIGNS[sequence.kind]
    path = f"   {clean(sequence.path)}" if sequence.path else ""
    yield f"{paint(sign, _COLOURS[sign])} {clean(sequence.slug)}{path}"
    for text in _remarks(sequence):
        yield f"      {text}"
    for change in sequence.changes:
        yield f"    {paint('~', 'yellow')} {_change_words(change)}"
    for step in sequence.steps:
        if sequence.kind is ChangeKind.CREATE:
            yield f"    {paint('+', 'green')} {clean(step.edit.key)}"
        else:
            yield from _step_lines(step)


def _remarks(sequence: SequencePlan) -> Iterator[str]:
    people = count(sequence.people, "person", "people")
    if sequence.kind is ChangeKind.MISSING:
        yield f"its file is gone; {people} in it. Nothing is done: `drip apply --prune` would put it away"
    if sequence.kind is ChangeKind.ARCHIVE:
        yield f"its file is gone: it is archived, and holds the {people} in it"
    if sequence.kind is ChangeKind.DELETE:
        yield "its file is gone and nobody ever was in it: it is deleted"
    if sequence.status is not None:
        yield f"status {sequence.status[0]} → {sequence.status[1]}" + (f", {people} in it" if sequence.people else "")
    if sequence.drift is not None:
        yield f"drift: it is {sequence.drift} in the database, and the file says otherwise; it stays so"


def _step_lines(step: StepPlan) -> Iterator[str]:
    edit, sign = step.edit, _SIGNS[step.edit.kind]
    words = ", ".join(_change_words(change) for change in edit.changes)
    place = f" (after {clean(edit.after)})" if edit.after else " (first)"
    if edit.kind is EditKind.ADDED:
        words = place.strip()
    elif edit.kind is EditKind.MOVED:
        words = "moved" + place
    elif edit.after:
        words += ", moved" + place
    yield f"    {paint(sign, _COLOURS[sign])} {clean(edit.key)}" + (f"   {words}" if words else "")
    if edit.renamed_to is not None:
        yield (
            f"          it looks renamed to {clean(edit.renamed_to)}: for drip that is another step. Keep the id"
            " to keep what people have had"
        )
    yield from (f"          {text}" for text in _people_lines(edit.kind, step.people))


def _people_lines(kind: EditKind, people: StepPeople) -> Iterator[str]:
    if people.waiting:
        yield _waiting_words(people)
    if kind in (EditKind.ADDED, EditKind.MOVED) and (people.will_get or people.never):
        past = f"; {people.never} are past it and never will" if people.never else ""
        now = f"; {people.due_now} of them now" if people.due_now and not people.waiting else ""
        yield f"{count(people.will_get, 'person', 'people')} will get it{now}{past}"


def _waiting_words(people: StepPeople) -> str:
    one = people.waiting == 1
    text = f"{count(people.waiting, 'person', 'people')} {'waits' if one else 'wait'} for it: "
    parts = [
        f"{number} {word}"
        for number, word in ((people.later, "later"), (people.earlier, "earlier"), (people.unchanged, "no change"))
        if number
    ]
    for key, number in sorted(people.go_on_to.items()):
        who = "they" if number == people.waiting and not one else str(number)
        goes = "goes" if number == 1 else "go"
        parts.append(
            f"{who} {goes} on to {clean(key)}" if key else f"{who} {'has' if number == 1 else 'have'} no next step"
        )
    now = f"; {people.due_now} of them would get it now" if people.due_now else ""
    return text + ", ".join(parts) + now


def _change_words(change: FieldChange) -> str:
    return clean(str(change))


def _sequence_object(sequence: SequencePlan) -> dict[str, Any]:
    return {
        "id": sequence.slug,
        "change": None if sequence.empty and sequence.kind is ChangeKind.CHANGE else sequence.kind.value,
        "path": sequence.path,
        "status": {"before": sequence.status[0].value, "after": sequence.status[1].value} if sequence.status else None,
        "drift": sequence.drift and sequence.drift.value,
        "changes": [_change_object(change) for change in sequence.changes],
        "steps": [_step_object(step) for step in sequence.steps],
        "people": sequence.people,
        "affected": sequence.affected,
        "due_now": sequence.due_now,
    }


def _step_object(step: StepPlan) -> dict[str, Any]:
    people = step.people
    return {
        "key": step.edit.key,
        "change": step.edit.kind.value,
        "changes": [_change_object(change) for change in step.edit.changes],
        "after": step.edit.after,
        "renamed_to": step.edit.renamed_to,
        "waiting": people.waiting,
        "later": people.later,
        "earlier": people.earlier,
        "unchanged": people.unchanged,
        "due_now": people.due_now,
        "go_on_to": dict(people.go_on_to),
        "will_get": people.will_get,
        "never": people.never,
    }


def _change_object(change: FieldChange) -> dict[str, str]:
    return {"field": change.field, "before": change.before, "now": change.now}
