"""How two versions of a sequence differ, in words: what `plan` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import time, timedelta
from enum import StrEnum
from typing import Any

from drip.core.address import Address
from drip.core.durations import format_duration
from drip.core.sequence import Definition, SendWindow, Sequence, Step

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG_TEXT = ("body", "html", "text")
_SEQUENCE_FIELDS = tuple(
    field.name for field in fields(Sequence) if field.name not in ("id", "status", "steps", "variables")
)
_STEP_FIELDS = tuple(field.name for field in fields(Step) if field.name != "key")


class EditKind(StrEnum):
    """What happened to a step."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"  # changed in nothing but its place among the steps that stay


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One setting that differs, in words."""

    field: str
    before: str
    """Empty where there was nothing, or for a text too long to show."""
    now: str

    def __str__(self) -> str:
        if not self.before and not self.now:
            return f"{self.field} changed"
        return f"{self.field} {self.before or 'none'} → {self.now or 'none'}"


@dataclass(frozen=True, slots=True)
class StepEdit:
    """How one step differs from what is applied."""

    key: str
    kind: EditKind
    changes: tuple[FieldChange, ...] = ()
    after: str | None = None
    """For an added or moved one: the key before it now; None at the start."""
    renamed_to: str | None = None
    """For a removed one: an added step that is the same but for its key."""


def sequence_changes(before: Definition, now: Definition) -> tuple[FieldChange, ...]:
    """What differs in the settings of the sequence itself, its templates and layouts."""
    old, new = before.sequence, now.sequence
    changes = _differences(old, new, _SEQUENCE_FIELDS)
    if old.variables != new.variables:
        changes.append(FieldChange("variables", "", ""))
    for word, left, right in (
        ("template", before.templates, now.templates),
        ("layout", before.layouts, now.layouts),
    ):
        names = sorted(name for name in {*left, *right} if left.get(name) != right.get(name))
        changes += [FieldChange(f"{word} {name}", "", "") for name in names if name in left and name in right]
    return tuple(changes)


def step_edits(before: Sequence, now: Sequence) -> tuple[StepEdit, ...]:
    """Every step that differs, in today's order, the removed ones last."""
    old = {step.key: step for step in before.steps}
    new = {step.key: step for step in now.steps}
    moved = _moved([key for key in old if key in new], [key for key in new if key in old])
    edits = []
    previous = None
    for key, step in new.items():
        if key not in old:
            edits.append(StepEdit(key, EditKind.ADDED, after=previous))
        elif changes := _differences(old[key], step, _STEP_FIELDS):
            edits.append(StepEdit(key, EditKind.CHANGED, tuple(changes), after=previous if key in moved else None))
        elif key in moved:
            edits.append(StepEdit(key, EditKind.MOVED, after=previous))
        previous = key
    for key, step in old.items():
        if key not in new:
            edits.append(StepEdit(key, EditKind.REMOVED, renamed_to=_renamed(step, old, new)))
    return tuple(edits)


def _moved(before: list[str], now: list[str]) -> set[str]:
    """The fewest keys whose place changed: all but those of a longest run that kept its order."""
    place = {key: index for index, key in enumerate(before)}
    best: list[list[str]] = []
    for index, key in enumerate(now):
        runs = [best[earlier] for earlier in range(index) if place[now[earlier]] < place[key]]
        best.append([*max(runs, key=len, default=[]), key])
    kept = max(best, key=len, default=[])
    return set(now) - set(kept)


def _renamed(step: Step, old: Mapping[str, Step], new: Mapping[str, Step]) -> str | None:
    same = [key for key, other in new.items() if key not in old and not _differences(step, other, _STEP_FIELDS)]
    return same[0] if same else None


def _differences(before: Any, now: Any, names: tuple[str, ...]) -> list[FieldChange]:
    changes = []
    for name in names:
        left, right = getattr(before, name), getattr(now, name)
        if left == right:
            continue
        shown = ("", "") if name in _LONG_TEXT else (in_words(left), in_words(right))
        changes.append(FieldChange({"sender": "from"}.get(name, name), *shown))
    return changes


def in_words(value: Any) -> str:
    """A setting as people write it; empty for None."""
    match value:
        case None:
            return ""
        case timedelta():
            return format_duration(value)
        case time():
            return value.strftime("%H:%M")
        case SendWindow():
            return window_in_words(value)
        case Address():
            return str(value)
        case tuple():
            return ", ".join(f"{name}: {content}" for name, content in value)
        case _:
            return str(value)


def window_in_words(window: SendWindow) -> str:
    """`mon-fri 09:00-18:00`."""
    closes = window.closes.strftime("%H:%M") if window.closes else "24:00"
    hours = f"{window.opens:%H:%M}-{closes}"
    days = sorted(window.days)
    if len(days) == 7:
        return hours
    run = days == list(range(days[0], days[-1] + 1)) and len(days) > 2
    return (f"{_DAYS[days[0]]}-{_DAYS[days[-1]]}" if run else ",".join(_DAYS[day] for day in days)) + f" {hours}"
