"""What an apply would do, to files and to people; nothing is written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from drip.core.definition import definition_to_json
from drip.core.delivery import DeliveryState
from drip.core.difference import EditKind, FieldChange, StepEdit, sequence_changes, step_edits
from drip.core.sequence import Definition, SequenceStatus, Source, Template
from drip.core.settings import Settings
from drip.core.subscription import SubscriptionStatus
from drip.engine.content import Library
from drip.engine.moving import Moves
from drip.engine.ports import Store
from drip.engine.recompute import Move, Way, recompute
from drip.engine.records import StoredSequence


class ChangeKind(StrEnum):
    """What happens to a sequence."""

    CREATE = "create"
    CHANGE = "change"
    ARCHIVE = "archive"  # its file is gone, people were in it
    DELETE = "delete"  # its file is gone, nobody ever was in it
    MISSING = "missing"  # its file is gone, and nothing is done without --prune


@dataclass(frozen=True, slots=True)
class StepPeople:
    """What an edit of one step does to people."""

    waiting: int = 0
    """How many wait for it as applied."""
    later: int = 0
    """Of those, who will wait longer for it."""
    earlier: int = 0
    """Of those, who will get it sooner."""
    unchanged: int = 0
    """Of those, for whom the time stays."""
    shifts: Mapping[timedelta, int] = field(default_factory=dict)
    """How many of them wait how much longer; a negative length is shorter. To the second."""
    held: Mapping[DeliveryState, int] = field(default_factory=dict)
    """How many of the unchanged a delivery of the step holds where they are, by its state."""
    due_now: int = 0
    """Of those who wait or go on, for whom a message becomes due at once."""
    go_on_to: Mapping[str, int] = field(default_factory=dict)
    """Of those, who goes on to which other step; an empty key counts those who are held without one."""
    completes: int = 0
    """Of those, for whom nothing is left: their subscription completes."""
    will_get: int = 0
    """How many live people will still get it."""
    never: int = 0
    """How many live people are past it and never will."""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step's edit, and its people."""

    edit: StepEdit
    people: StepPeople


@dataclass(frozen=True, slots=True)
class Work:
    """What an apply writes for a sequence: found with its plan, so that it is what the plan says."""

    definition: Definition
    moves: Moves


@dataclass(frozen=True, slots=True)
class SequencePlan:
    """What happens to one sequence."""

    slug: str
    kind: ChangeKind
    path: str | None
    changes: tuple[FieldChange, ...] = ()
    """Of its settings, templates and layouts."""
    steps: tuple[StepPlan, ...] = ()
    status: tuple[SequenceStatus, SequenceStatus] | None = None
    """(before, after) when the apply sets another status; None when it does not."""
    drift: SequenceStatus | None = None
    """The status in the store, where it is another than the file's and stays so; None without drift."""
    others: StepPeople = field(default_factory=StepPeople)
    """Those who wait for a step that is not edited, and whose time changes with the sequence's settings."""
    people: int = 0
    """Live people in it."""
    affected: int = 0
    """For how many of them something changes."""
    due_now: int = 0
    """For how many a message becomes due at once."""
    work: Work | None = field(default=None, compare=False, repr=False)
    """None: there is nothing to write but a status, or to put away."""

    @property
    def edits(self) -> tuple[object, ...]:
        """What happens, without whom it happens to."""
        steps = tuple(step.edit for step in self.steps)
        return self.slug, self.kind, self.path, self.changes, steps, self.status, self.drift

    @property
    def empty(self) -> bool:
        """Whether an apply would do nothing to it."""
        nothing = not (self.changes or self.steps or self.status)
        return self.kind is ChangeKind.MISSING or (self.kind is ChangeKind.CHANGE and nothing)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply would do."""

    sequences: tuple[SequencePlan, ...]
    """Those with something to say, by id: changes, drift and missing files."""

    @property
    def changes(self) -> int:
        """How many sequences would change."""
        return sum(not sequence.empty for sequence in self.sequences)

    @property
    def affected(self) -> int:
        """For how many people something would change."""
        return sum(sequence.affected for sequence in self.sequences)

    @property
    def renames(self) -> tuple[str, ...]:
        """The ids of sequences in which people are and a step looks renamed."""
        return tuple(
            sequence.slug
            for sequence in self.sequences
            if sequence.people and any(step.edit.renamed_to is not None for step in sequence.steps)
        )

    @property
    def due_now(self) -> int:
        """How many messages would become due at once."""
        return sum(sequence.due_now for sequence in self.sequences)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A sequence as its file says."""

    definition: Definition
    path: str


def make_plan(
    store: Store,
    settings: Settings,
    incoming: Sequence[Incoming],
    templates: Mapping[str, Template],
    *,
    prune: bool,
    now: datetime,
) -> Plan:
    """Compare files and database, people included; reads only.

    Args:
        templates: all of the files, by name: sequences made over the API may use them too.
        prune: what is without a file is archived or deleted, not merely mentioned.
    """
    stored = {sequence.slug: sequence for sequence in store.sequences.all()}
    found: list[SequencePlan | None] = []
    for one in sorted(incoming, key=lambda one: one.definition.sequence.id):
        slug = one.definition.sequence.id
        if slug not in stored:
            found.append(_creation(one))
        else:
            found.append(_change(store, settings, stored[slug], one, now))
    present = {one.definition.sequence.id for one in incoming}
    library = Library.of_store(store).with_files(templates, [one.definition for one in incoming])
    for slug, sequence in sorted(stored.items()):
        if slug not in present and sequence.source is Source.FILE:
            found.append(_missing(store, sequence, prune))
        elif slug not in present:
            found.append(_follow(sequence, library))
    return Plan(tuple(plan for plan in found if plan is not None))


def _creation(one: Incoming) -> SequencePlan:
    edits = [StepEdit(step.key, EditKind.ADDED) for step in one.definition.sequence.steps]
    return SequencePlan(
        slug=one.definition.sequence.id,
        kind=ChangeKind.CREATE,
        path=one.path,
        steps=tuple(StepPlan(edit, StepPeople()) for edit in edits),
        work=Work(one.definition, Moves()),
    )


def _change(
    store: Store, settings: Settings, stored: StoredSequence, one: Incoming, now: datetime
) -> SequencePlan | None:
    after = one.definition.sequence
    wanted = after.status if after.status is not stored.file_status else stored.status
    status = (stored.status, wanted) if wanted is not stored.status else None
    drift = stored.status if status is None and stored.status is not after.status else None
    same = definition_to_json(stored.definition) == definition_to_json(one.definition)
    if same and status is None and drift is None and stored.source is Source.FILE:
        return None
    edits = () if same else step_edits(stored.sequence, after)
    tally = _Tally(edits, sending=wanted is SequenceStatus.ACTIVE, was_sending=stored.sends, now=now)
    moves = Moves()
    if edits or status or (not same and after != stored.sequence):
        for move in recompute(store, stored, after, settings.timezone):
            tally.add(move)
            moves.add(move)
    changes = () if same else sequence_changes(stored.definition, one.definition)
    if stored.source is Source.API:
        changes = (FieldChange("source", "api", "file"), *changes)
    return SequencePlan(
        slug=stored.slug,
        kind=ChangeKind.CHANGE,
        path=one.path,
        changes=changes,
        steps=tuple(StepPlan(edit, tally.of(edit.key)) for edit in edits),
        status=status,
        drift=drift,
        others=tally.others,
        people=tally.people,
        affected=tally.people if status is not None and stored.sends else tally.affected,
        due_now=tally.due_now,
        work=None if same and stored.source is Source.FILE else Work(one.definition, moves),
    )


def _follow(stored: StoredSequence, library: Library) -> SequencePlan | None:
    """What the templates and layouts of the files change in a sequence made over the API. Nobody's time changes."""
    definition = library.assemble(stored.sequence, stored.definition)
    if definition_to_json(definition) == definition_to_json(stored.definition):
        return None
    arrived = sorted(definition.layouts.keys() - stored.definition.layouts.keys())
    changes = (
        *sequence_changes(stored.definition, definition),
        *(FieldChange(f"layout {name}", "", "") for name in arrived),
    )
    return SequencePlan(stored.slug, ChangeKind.CHANGE, None, changes, work=Work(definition, Moves()))


def _missing(store: Store, stored: StoredSequence, prune: bool) -> SequencePlan | None:
    people = store.subscriptions.count_live(stored.id)
    ever = store.subscriptions.has_any(stored.id)
    if stored.status is SequenceStatus.ARCHIVED and ever:
        return None
    kind = (ChangeKind.ARCHIVE if ever else ChangeKind.DELETE) if prune else ChangeKind.MISSING
    affected = people if kind is ChangeKind.ARCHIVE else 0
    return SequencePlan(slug=stored.slug, kind=kind, path=stored.path, people=people, affected=affected)


class _Group:
    """Counts those on one way."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.people = 0
        self.moved = 0
        self.later = 0
        self.earlier = 0
        self.shifts: Counter[int] = Counter()
        self.due_now = 0
        self.due_unmoved = 0
        """Of those, who do not move: their sequence sends again."""

    def add(self, move: Move, due_now: bool) -> None:
        self.people += 1
        self.due_now += due_now
        if not move.moves:
            self.due_unmoved += due_now
            return
        self.moved += 1
        old, new = move.person.next_send_at, move.due_at
        if self.way.before == self.way.now and old is not None and new is not None:
            self.shifts[round((new - old).total_seconds())] += 1
            if new > old:
                self.later += 1
            else:
                self.earlier += 1


class _People:
    """Adds up what happens to those at one step."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.shifts: Counter[int] = Counter()
        self.held: Counter[DeliveryState] = Counter()
        self.goes_to: Counter[str] = Counter()

    def wait(self, group: _Group, *, moved: bool = False) -> None:
        """Count those who wait for the step as applied.

        Args:
            moved: leave out for whom nothing changes.
        """
        way, people = group.way, group.moved if moved else group.people
        self.counts["waiting"] += people
        self.counts["due_now"] += group.due_now - (group.due_unmoved if moved else 0)
        if way.completes:
            self.counts["completes"] += people
        elif way.now != way.before:
            self.goes_to[way.now or ""] += people
        else:
            unchanged = people - group.later - group.earlier
            self.counts["unchanged"] += unchanged
            if way.place.open_state is not None and not way.place.follows_schedule:
                self.held[way.place.open_state] += unchanged
            self.counts["later"] += group.later
            self.counts["earlier"] += group.earlier
            self.shifts.update(group.shifts)

    def found(self, *, removed: bool = False) -> StepPeople:
        """The counts."""
        of_all = () if removed else ("will_get", "never")
        names = ("waiting", "later", "earlier", "unchanged", "due_now", "completes", *of_all)
        return StepPeople(
            **{name: self.counts[name] for name in names},
            shifts={timedelta(seconds=seconds): people for seconds, people in sorted(self.shifts.items())},
            held=dict(+self.held),
            go_on_to=dict(+self.goes_to),
        )


class _Tally:
    """Counts moves per way, and adds them up per step."""

    def __init__(self, edits: Sequence[StepEdit], *, sending: bool, was_sending: bool, now: datetime) -> None:
        self._edits = {edit.key: edit for edit in edits}
        self._sending = sending
        self._was_sending = was_sending
        self._now = now
        self._groups: dict[Way, _Group] = {}

    def add(self, move: Move) -> None:
        group = self._groups.get(move.way)
        if group is None:
            group = self._groups[move.way] = _Group(move.way)
        group.add(move, self._becomes_due(move))

    @property
    def people(self) -> int:
        return sum(group.people for group in self._groups.values())

    @property
    def affected(self) -> int:
        return sum(group.moved + group.due_unmoved for group in self._groups.values())

    @property
    def due_now(self) -> int:
        return sum(group.due_now for group in self._groups.values())

    def of(self, key: str) -> StepPeople:
        people = _People()
        for group in self._groups.values():
            people.counts["will_get" if key in group.way.ahead else "never"] += group.people
            if group.way.before == key:
                people.wait(group)
            elif group.way.now == key and group.way.before not in self._edits:
                people.counts["due_now"] += group.due_now
        return people.found(removed=self._edits[key].kind is EditKind.REMOVED)

    @property
    def others(self) -> StepPeople:
        people = _People()
        for group in self._groups.values():
            if group.way.before is not None and not {group.way.before, group.way.now} & self._edits.keys():
                people.wait(group, moved=True)
        return people.found()

    def _becomes_due(self, move: Move) -> bool:
        if move.due_at is None or not self._sending or move.due_at > self._now:
            return False
        way, old = move.way, move.person.next_send_at
        if way.place.status is not SubscriptionStatus.ACTIVE:
            return False
        return not (self._was_sending and old is not None and old <= self._now and way.before == way.now)
