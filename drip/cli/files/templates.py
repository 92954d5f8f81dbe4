"""`templates`: what steps share, and which do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import json_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.sequence import Definition
    from drip.engine.records import StoredTemplate

Use = tuple[str, str]
"""Sequence and step."""


@click.command("templates")
@json_option
@pass_invocation
def templates_command(invocation: Invocation, as_json: bool) -> None:
    """List the templates, and where they are used.

    Those of the files as they are now, and those of the database: made over the API, or applied earlier. A step uses a
    template that it names, and what that one includes.

    \b
    Example:
      drip templates
      drip templates --json | jq -r '.[] | select(.used_by == []).id'
    """
    from drip.cli.output import note, show_table, write_json
    from drip.engine.objects import template_object

    found, uses = _read(invocation)
    if as_json:
        write_json(
            [
                {
                    **template_object(one),
                    "used_by": [{"sequence_id": slug, "step": step} for slug, step in uses.get(one.template.name, ())],
                }
                for one in found
            ]
        )
        return
    if not found:
        note(f"there are no templates: they are files in {invocation.settings.sequences.name}/templates")
        return
    rows = [(one.template.name, one.template.subject, one.template.source.value, _where(one, uses)) for one in found]
    show_table(["template", "subject", "from", "used by"], rows)


def _read(invocation: Invocation) -> tuple[list[StoredTemplate], Mapping[str, list[Use]]]:
    """All templates by name, and the uses of each."""
    from drip.cli.output import count, note
    from drip.engine.records import StoredTemplate
    from drip.errors import Severity

    files = invocation.project.files()
    errors = sum(problem.severity is Severity.ERROR for problem in files.problems)
    if errors:
        note(f"{count(errors, 'error')} in the files, what they are in is as it was applied: `drip check` shows them")
    definitions = {one.sequence.id: one for one in files.definitions}
    stored: dict[str, StoredTemplate] = {}
    database = invocation.project.store.database
    # Looking makes no database where there is none.
    if database.exists:
        with invocation.reading() as store:
            stored = {one.template.name: one for one in store.templates.all()}
            for one in store.sequences.all():
                definitions.setdefault(one.slug, one.definition)
    now = invocation.now()
    for name, template in files.templates.items():
        known = stored.get(name)
        times = (known.created_at, known.updated_at) if known else (now, now)
        stored[name] = StoredTemplate(template, name, *times)
    return [stored[name] for name in sorted(stored)], _uses(definitions)


def _uses(definitions: Mapping[str, Definition]) -> dict[str, list[Use]]:
    from drip.render.bodies import templates_of

    uses: dict[str, list[Use]] = {}
    for slug, definition in sorted(definitions.items()):
        for step in definition.sequence.steps:
            for name in sorted(templates_of(definition, step)):
                uses.setdefault(name, []).append((slug, step.key))
    return uses


def _where(one: StoredTemplate, uses: Mapping[str, list[Use]]) -> Any:
    steps = uses.get(one.template.name)
    return ", ".join(f"{slug} {step}" for slug, step in steps) if steps else "nothing"
