"""Templates that are made over the API. What uses one follows it: a change makes a revision of each such sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from drip.core.sequence import Definition, Sequence, Source, Step, Template
from drip.core.settings import Settings
from drip.engine.authoring import checked_name, new_id, revise
from drip.engine.content import check_words, compile_or_refuse, reach
from drip.engine.ports import Store
from drip.engine.records import StoredSequence, StoredTemplate
from drip.errors import FieldInvalid, NotFound, Refused


def create_template(store: Store, settings: Settings, template: Template, title: str, now: datetime) -> StoredTemplate:
    """Make a template.

    Args:
        template: its name, by which it is known, is made here from the title.

    Raises:
        FieldInvalid: it has no content, or its words can't be used.
    """
    named = replace(template, name=new_id(title), source=Source.API)
    with store.transaction():
        _check(store, settings, named)
        store.templates.save(named, checked_name(title), now)
        return find_template(store, named.name)


def edit_template(
    store: Store,
    settings: Settings,
    name: str,
    edit: Callable[[StoredTemplate], StoredTemplate],
    now: datetime,
    *,
    key_id: str | None,
) -> StoredTemplate:
    """Change a template, and every sequence that uses it.

    Raises:
        NotFound: there is no such template.
        Refused: it belongs to a file.
        FieldInvalid: what comes out can't be used, by itself or in one of those sequences.
    """
    with store.transaction():
        stored = find_template(store, name)
        changed = edit(stored)
        if changed == stored:
            return stored
        _require_ours(stored)
        _check(store, settings, changed.template)
        store.templates.save(changed.template, checked_name(changed.title), now)
        for sequence in _users(store, name):
            revise(store, settings, sequence, sequence.sequence, now, key_id=key_id)
        return find_template(store, name)


def delete_template(store: Store, name: str) -> None:
    """Remove a template.

    Raises:
        NotFound: there is no such template.
        Refused: it belongs to a file, or a sequence uses it.
    """
    with store.transaction():
        stored = find_template(store, name)
        _require_ours(stored)
        users = _users(store, name)
        if users:
            names = ", ".join(repr(one.slug) for one in users[:3])
            raise Refused("template_in_use", f"the template {name!r} is used by {names}")
        store.templates.delete(name)


def find_template(store: Store, name: str) -> StoredTemplate:
    """A template by its name; raises NotFound."""
    stored = store.templates.get(name)
    if stored is None:
        raise NotFound("template", name, [one.template.name for one in store.templates.all()])
    return stored


def _check(store: Store, settings: Settings, template: Template) -> None:
    if template.html is None and template.text is None:
        raise FieldInvalid("", "the template has no content", "give html or body_text", "content_missing")
    check_words(template.subject, template.html, template.text)
    # Compiled as a step would have it.
    step = Step(key="step", delay=timedelta(0), template=template.name, subject=template.subject or "-")
    known = {one.template.name: one.template for one in store.templates.all()}
    templates = reach({**known, template.name: template}, {template.name})
    definition = Definition(Sequence(id="sequence", name="Sequence", steps=(step,)), templates)
    try:
        compile_or_refuse(definition, step, settings)
    except FieldInvalid as error:
        field = "html" if template.html is not None else "body_text"
        raise FieldInvalid(field, error.message, error.hint) from error


def _users(store: Store, name: str) -> list[StoredSequence]:
    return [one for one in store.sequences.all() if one.source is Source.API and name in one.definition.templates]


def _require_ours(stored: StoredTemplate) -> None:
    if stored.template.source is Source.FILE:
        name = stored.template.name
        raise Refused("managed_by_file", f"the template {name!r} belongs to a file: change it there, then `drip apply`")
