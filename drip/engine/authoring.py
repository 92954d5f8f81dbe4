"""Sequences and steps that are made over the API: the rules of files, kept by whoever has no file.

Every change makes a revision and moves people in the same transaction, as an apply does. What belongs to a file is
refused, but for the status.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from drip.core.address import clean_line
from drip.core.definition import definition_to_json
from drip.core.events import EventType
from drip.core.sequence import Sequence, SequenceStatus, Source, Step
from drip.core.settings import Settings
from drip.engine.content import Library, check_step
from drip.engine.moving import move_people
from drip.engine.ports import Store
from drip.engine.records import Event, StoredSequence
from drip.engine.subscribe import find_sequence
from drip.errors import FieldInvalid, NotFound, Refused

LONGEST_NAME = 200
"""Characters of a sequence's or a template's name."""
_LONGEST_SLUG = 60
_GAPS = re.compile(r"[^a-z0-9]+")


def create_sequence(
    store: Store, settings: Settings, sequence: Sequence, now: datetime, *, key_id: str | None
) -> StoredSequence:
    """Make a sequence.

    Args:
        sequence: without steps; its id is made here from its name.

    Raises:
        FieldInvalid: the name is empty or too long.
    """
    named = replace(sequence, id=new_id(sequence.name), name=checked_name(sequence.name))
    with store.transaction():
        definition = Library.of_store(store).assemble(named)
        stored = store.sequences.save(definition, now=now, source=Source.API, key_id=key_id, author=key_id)
        _append(store, stored, now)
    return stored


def edit_sequence(
    store: Store,
    settings: Settings,
    slug: str,
    edit: Callable[[Sequence], Sequence],
    now: datetime,
    *,
    key_id: str | None,
) -> StoredSequence:
    """Change a sequence's own settings.

    Raises:
        NotFound: there is no such sequence.
        Refused: it belongs to a file.
        FieldInvalid: what comes out can't be.
    """
    with store.transaction():
        stored = find_sequence(store, slug)
        changed = edit(stored.sequence)
        if changed.name != stored.sequence.name:
            changed = replace(changed, name=checked_name(changed.name))
        return revise(store, settings, stored, changed, now, key_id=key_id)


def delete_sequence(store: Store, slug: str) -> None:
    """Remove a sequence with all who completed, left or failed it. Contacts and suppressions stay.

    Raises:
        NotFound: there is no such sequence.
        Refused: it belongs to a file, or somebody in it is active or paused.
    """
    with store.transaction():
        stored = find_sequence(store, slug)
        _require_ours(stored)
        if store.subscriptions.any_to_come(stored.id):
            put_away = stored.status is SequenceStatus.ARCHIVED
            raise Refused(
                "sequence_has_subscribers",
                f"{slug!r} has active or paused subscribers",
                "cancel them" if put_away else "cancel them, or set its status to archived",
            )
        store.erasure.sequence(stored.id)


def add_step(
    store: Store, settings: Settings, slug: str, step: Step, now: datetime, *, key_id: str | None
) -> tuple[StoredSequence, Step]:
    """Add a step to a sequence.

    Args:
        step: with a position; its key is made here.

    Raises:
        NotFound: there is no such sequence.
        Refused: it belongs to a file, the position is taken, or the From domain is not authorised.
        FieldInvalid: the content is missing or can't be used.
    """
    with store.transaction():
        stored = find_sequence(store, slug)
        keyed = replace(step, key=_new_key(stored))
        return _with_step(store, settings, stored, None, keyed, now, key_id)


def edit_step(
    store: Store,
    settings: Settings,
    slug: str,
    step_id: int,
    edit: Callable[[Step], Step],
    now: datetime,
    *,
    key_id: str | None,
) -> tuple[StoredSequence, Step]:
    """Change a step. Raises as `add_step`, and NotFound where there is no such step."""
    with store.transaction():
        stored = find_sequence(store, slug)
        before = find_step(stored, step_id)
        return _with_step(store, settings, stored, before, edit(before), now, key_id)


def delete_step(
    store: Store, settings: Settings, slug: str, step_id: int, now: datetime, *, key_id: str | None
) -> StoredSequence:
    """Remove a step; who waits for it goes on to the next.

    Raises:
        NotFound: there is no such sequence or step.
        Refused: it belongs to a file.
    """
    with store.transaction():
        stored = find_sequence(store, slug)
        gone = find_step(stored, step_id)
        left = tuple(step for step in stored.sequence.steps if step.key != gone.key)
        return revise(store, settings, stored, replace(stored.sequence, steps=left), now, key_id=key_id)


def find_step(stored: StoredSequence, step_id: int) -> Step:
    """A step of today by its row's id; raises NotFound."""
    key = stored.keys.get(step_id)
    step = None if key is None else stored.sequence.step(key)
    if step is None:
        raise NotFound("step", str(step_id), hint=f"{stored.slug!r} has no step of that id")
    return step


def revise(
    store: Store, settings: Settings, stored: StoredSequence, after: Sequence, now: datetime, *, key_id: str | None
) -> StoredSequence:
    """Save the next revision of a sequence and move its people; nothing is done where nothing changes.

    Call it in a transaction.

    Raises:
        Refused: it belongs to a file.
    """
    definition = Library.of_store(store).assemble(after, stored.definition)
    if definition_to_json(definition) == definition_to_json(stored.definition):
        return stored
    _require_ours(stored)
    saved = store.sequences.save(definition, now=now, source=Source.API, author=key_id)
    move_people(store, settings, stored, saved, now)
    _append(store, saved, now)
    return saved


def new_id(name: str) -> str:
    """The slug of a name, `-`, and six hexadecimal digits: `onboarding-bienvenida-3f9a1c`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = _GAPS.sub("-", plain)[:_LONGEST_SLUG].strip("-")
    return "-".join(part for part in (slug, secrets.token_hex(3)) if part)


def checked_name(name: str) -> str:
    """A name as one line; raises FieldInvalid when it is empty or too long."""
    cleaned = clean_line(name)
    if not 1 <= len(cleaned) <= LONGEST_NAME:
        raise FieldInvalid("name", f"a name has 1 to {LONGEST_NAME} characters that can be seen")
    return cleaned


def _with_step(
    store: Store,
    settings: Settings,
    stored: StoredSequence,
    before: Step | None,
    step: Step,
    now: datetime,
    key_id: str | None,
) -> tuple[StoredSequence, Step]:
    others = [other for other in stored.sequence.steps if before is None or other.key != before.key]
    if step == before:
        return stored, step
    _require_ours(stored)
    after = replace(stored.sequence, steps=tuple(sorted([*others, step], key=lambda one: one.position or 0)))
    check_step(store, settings, Library.of_store(store).assemble(after, stored.definition), step)
    _require_domain(settings, step)
    if any(other.position == step.position for other in others):
        raise Refused("position_taken", f"{stored.slug!r} has a step at position {step.position}")
    return revise(store, settings, stored, after, now, key_id=key_id), step


def _require_domain(settings: Settings, step: Step) -> None:
    allowed = {*settings.authorized_domains, settings.sender.domain}
    if step.sender is not None and step.sender.domain not in allowed:
        raise Refused(
            "domain_unauthorized",
            f"from_email: nothing is sent from {step.sender.domain}",
            "authorized_domains in drip.yaml says which domains may be used",
        )


def _require_ours(stored: StoredSequence) -> None:
    if stored.source is Source.FILE:
        place = stored.path or "a file"
        raise Refused("managed_by_file", f"{stored.slug!r} belongs to {place}: change it there, then `drip apply`")


def _new_key(stored: StoredSequence) -> str:
    """A key that no step of the sequence ever had."""
    number = len(stored.steps) + 1
    while f"step-{number}" in stored.ids:
        number += 1
    return f"step-{number}"


def _append(store: Store, stored: StoredSequence, now: datetime) -> None:
    store.events.append([Event(EventType.APPLIED, now, stored.id, data={"revision": stored.revision})])
