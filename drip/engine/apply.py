"""Bring the database to what the files say: plan and writing in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from drip.core.events import EventType
from drip.core.sequence import SequenceStatus, Source, Template
from drip.core.settings import Settings
from drip.engine.moving import write_moves
from drip.engine.plan import ChangeKind, Incoming, Plan, SequencePlan, make_plan
from drip.engine.ports import Store
from drip.engine.recompute import keeps_everybody
from drip.engine.records import Event


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the files come from, for the revision."""

    author: str | None = None
    commit: str | None = None
    """The git commit; None outside of git."""
    dirty: bool = False
    """Whether the tree differs from it."""


def apply(
    store: Store,
    settings: Settings,
    incoming: Sequence[Incoming],
    templates: Mapping[str, Template],
    *,
    prune: bool,
    now: datetime,
    origin: Origin,
    agree: Callable[[Plan], bool] = lambda plan: True,
    progress: Callable[[int], None] = lambda people: None,
) -> Plan | None:
    """Do what `make_plan` says, all or nothing.

    Args:
        agree: asked with the plan before anything is written, outside of the transaction; when more would be done by
            then, it is asked again.
        progress: told how many people were moved since it was last called.

    Returns:
        What was done; None when it was not agreed to.
    """
    seen = store.version()
    plan = make_plan(store, settings, incoming, templates, prune=prune, now=now)
    while agree(plan):
        with store.transaction():
            version = store.version()
            same = version == seen
            current = plan if same else make_plan(store, settings, incoming, templates, prune=prune, now=now)
            if not _asks_more(current, plan):
                _write(store, current, incoming, templates, now, origin, progress)
                return current
        seen, plan = version, current
    return None


def _asks_more(current: Plan, agreed: Plan) -> bool:
    """Whether a plan goes beyond what was agreed to. People who get on meanwhile change only how many there are."""
    if [sequence.edits for sequence in current.sequences] != [sequence.edits for sequence in agreed.sequences]:
        return True
    return current.affected > agreed.affected or current.due_now > agreed.due_now


def _write(
    store: Store,
    plan: Plan,
    incoming: Sequence[Incoming],
    templates: Mapping[str, Template],
    now: datetime,
    origin: Origin,
    progress: Callable[[int], None],
) -> None:
    files = {one.definition.sequence.id: one for one in incoming}
    store.sequences.save_templates(templates, now)
    for sequence in plan.sequences:
        if sequence.kind in (ChangeKind.CREATE, ChangeKind.CHANGE):
            _save(store, sequence, now, origin, progress)
        elif not sequence.empty:
            _put_away(store, sequence, now)
    for slug, one in files.items():
        _remember(store, slug, one)


def _save(store: Store, planned: SequencePlan, now: datetime, origin: Origin, progress: Callable[[int], None]) -> None:
    before = store.sequences.by_slug(planned.slug)
    if planned.work is not None:
        stored = store.sequences.save(
            planned.work.definition,
            now=now,
            source=Source.API if planned.path is None else Source.FILE,
            path=planned.path,
            author=origin.author,
            commit=origin.commit,
            dirty=origin.dirty,
        )
        if before is not None and not keeps_everybody(before.sequence, stored.sequence):
            write_moves(store, stored, planned.work.moves, now, progress)
        store.events.append([Event(EventType.APPLIED, now, stored.id, data={"revision": stored.revision})])
        before = stored
    assert before is not None
    if planned.status is not None and store.sequences.set_status(before.id, planned.status[1], now):
        store.events.append([Event(EventType.STATUS, now, before.id, data={"status": planned.status[1].value})])


def _put_away(store: Store, planned: SequencePlan, now: datetime) -> None:
    stored = store.sequences.by_slug(planned.slug)
    assert stored is not None
    if planned.kind is ChangeKind.DELETE:
        store.sequences.delete(stored.id)
        return
    # A file that comes back brings its status with it.
    store.sequences.set_file(stored.id, stored.path or "", SequenceStatus.ARCHIVED)
    if store.sequences.set_status(stored.id, SequenceStatus.ARCHIVED, now):
        data = {"status": SequenceStatus.ARCHIVED.value}
        store.events.append([Event(EventType.STATUS, now, stored.id, data=data)])


def _remember(store: Store, slug: str, one: Incoming) -> None:
    """Where the file is and which status it asks for, also where nothing else changes."""
    stored = store.sequences.by_slug(slug)
    wanted = one.definition.sequence.status
    if stored is not None and (stored.path, stored.file_status) != (one.path, wanted):
        store.sequences.set_file(stored.id, one.path, wanted)
