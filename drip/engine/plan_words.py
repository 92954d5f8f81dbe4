"""A plan in words: lines that commands and dashboard colour as they like. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from drip.core.delivery import DeliveryState
from drip.core.difference import EditKind
from drip.core.durations import format_duration
from drip.core.plain import clean, count
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


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of a plan."""

    indent: int
    """Blanks before it."""
    sign: str
    """`+`, `~`, `-`, `?`, or empty."""
    text: str
    """Safe for a terminal."""


def plan_lines(plan: Plan) -> Iterator[PlanLine]:
    """Every change, drift and missing file; then the sum of it."""
    for sequence in plan.sequences:
        yield from sequence_lines(sequence)
    yield PlanLine(0, "", summary(plan))


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


def emptied(plan: Plan, incoming: Iterable[Incoming]) -> list[str]:
    """The ids of sequences that people are in and that would have no step left."""
    without = {one.definition.sequence.id for one in incoming if not one.definition.sequence.steps}
    return [
        sequence.slug for sequence in plan.sequences if sequence.people and sequence.steps and sequence.slug in without
    ]


def sequence_lines(sequence: SequencePlan) -> Iterator[PlanLine]:
    """What happens to one sequence."""
    sign = _SIGNS[sequence.kind]
    path = f"   {clean(sequence.path)}" if sequence.path else ""
    yield PlanLine(0, sign, f"{clean(sequence.slug)}{path}")
    for text in _remarks(sequence):
        yield PlanLine(6, "", text)
    for change in sequence.changes:
        yield PlanLine(4, "~", clean(str(change)))
    if sequence.others.waiting:
        yield PlanLine(10, "", _waiting_words(sequence.others, "at the other steps"))
    for step in sequence.steps:
        if sequence.kind is ChangeKind.CREATE:
            yield PlanLine(4, "+", clean(step.edit.key))
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


def _step_lines(step: StepPlan) -> Iterator[PlanLine]:
    edit, sign = step.edit, _SIGNS[step.edit.kind]
    words = ", ".join(clean(str(change)) for change in edit.changes)
    place = f" (after {clean(edit.after)})" if edit.after else " (first)"
    if edit.kind is EditKind.MOVED:
        words = "moved" + place
    elif edit.after and edit.kind is not EditKind.ADDED:
        words += ", moved" + place
    added = place if edit.kind is EditKind.ADDED else ""
    yield PlanLine(4, sign, clean(edit.key) + added + (f"   {words}" if words else ""))
    if edit.renamed_to is not None:
        text = f"it looks renamed to {clean(edit.renamed_to)}: for drip that is another step. Keep the id"
        yield PlanLine(10, "", f"{text} to keep what people have had")
    yield from (PlanLine(10, "", text) for text in _people_lines(edit.kind, step.people))


def _people_lines(kind: EditKind, people: StepPeople) -> Iterator[str]:
    if people.waiting:
        yield _waiting_words(people)
    if kind in (EditKind.ADDED, EditKind.MOVED) and (people.will_get or people.never):
        are = "is" if people.never == 1 else "are"
        past = f"; {people.never} {are} past it and never will" if people.never else ""
        now = f"; {people.due_now} of them now" if people.due_now and not people.waiting else ""
        yield f"{count(people.will_get, 'person', 'people')} will get it{now}{past}"


def _waiting_words(people: StepPeople, where: str = "for it") -> str:
    one = people.waiting == 1
    text = f"{count(people.waiting, 'person', 'people')} {'waits' if one else 'wait'} {where}: "
    later = {length: number for length, number in people.shifts.items() if length > timedelta(0)}
    earlier = {-length: number for length, number in people.shifts.items() if length < timedelta(0)}
    parts = [*_shift_words(later, "later"), *_shift_words(earlier, "earlier")]
    if people.unchanged:
        held = [f"{number} {_HELD[state]}" for state, number in sorted(people.held.items())]
        parts.append(f"{people.unchanged} no change" + (f" ({', '.join(held)})" if held else ""))
    for key, number in sorted(people.go_on_to.items()):
        who = "they" if number == people.waiting and not one else str(number)
        goes = "goes" if number == 1 else "go"
        parts.append(
            f"{who} {goes} on to {clean(key)}" if key else f"{who} {'has' if number == 1 else 'have'} no next step"
        )
    if people.completes:
        everybody = people.completes == people.waiting and not one
        parts.append(
            f"{'they' if everybody else people.completes} {'completes' if people.completes == 1 else 'complete'}"
        )
    now = f"; {people.due_now} of them would get it now" if people.due_now else ""
    return text + ", ".join(parts) + now


_HELD = {
    DeliveryState.SENDING: "being sent",
    DeliveryState.UNKNOWN: "perhaps sent",
    DeliveryState.DEFERRED: "to be tried again",
    DeliveryState.FAILED: "failed at it",
}
"""Why an edit leaves somebody where they are."""
MOST_GROUPS = 3
"""So many different lengths are told one by one; more are told as from the least to the most."""


def _shift_words(shifts: Mapping[timedelta, int], word: str) -> list[str]:
    """`29 later by 2d`; the largest group first."""
    if len(shifts) > MOST_GROUPS:
        least, most = format_duration(min(shifts)), format_duration(max(shifts))
        return [f"{sum(shifts.values())} {word} by {least} to {most}"]
    groups = sorted(shifts.items(), key=lambda group: (-group[1], group[0]))
    return [f"{number} {word} by {format_duration(length)}" for length, number in groups]
