"""`list`, `show`, `history`: sequences as the database has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drip.cli.arguments import json_option, sequence_argument, sequence_named
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.sequence import Definition
    from drip.engine.records import StoredSequence
    from drip.store.store import Store


@click.command("list")
@json_option
@pass_invocation
def list_command(invocation: Invocation, as_json: bool) -> None:
    """List the sequences.

    Their status, how many people are in which state, and when the next message is due.

    \b
    Example:
      drip list
      drip list --json | jq -r '.[].id'
    """
    from drip.cli.output import moment, note, show_table, write_json
    from drip.core.subscription import SubscriptionStatus
    from drip.engine.objects import sequence_object

    with invocation.reading() as store:
        sequences, counts = store.sequences.all(), store.overview.counts()
    people = {row_id: found.by_status for row_id, found in counts.items()}
    if as_json:
        write_json([sequence_object(stored, people.get(stored.id, {})) for stored in sequences])
        return
    if not sequences:
        note("no sequence is applied yet: run `drip apply`")
        return
    rows = []
    for stored in sequences:
        numbers = [people.get(stored.id, {}).get(status, 0) for status in SubscriptionStatus]
        next_due = counts[stored.id].next_due_at if stored.id in counts else None
        due = moment(next_due, invocation.zone) + ("" if stored.sends or next_due is None else " (held)")
        rows.append((stored.slug, stored.status.value, len(stored.sequence.steps), *numbers, due))
    statuses = [f">{status.value}" for status in SubscriptionStatus]
    show_table(["id", "status", ">steps", *statuses, "next due"], rows)


@click.command("show")
@sequence_named("SEQ[@REVISION]")
@json_option
@pass_invocation
def show_command(invocation: Invocation, sequence: str, as_json: bool) -> None:
    """Show one sequence with its steps.

    Per step: sent, waiting, failed and skipped. With @REVISION, what it looked like then; `drip history` lists them.

    \b
    Example:
      drip show welcome
      drip show welcome@3
    """
    from drip.cli.output import write_json
    from drip.engine.subscribe import find_sequence

    slug, _, revision = sequence.partition("@")
    with invocation.reading() as store:
        stored = find_sequence(store, slug)
        definition = _definition(store, stored, revision)
        if as_json:
            write_json(_shown_object(store, stored, definition, int(revision or 0)))
        else:
            _show(invocation, store, stored, definition, revision)


@click.command("history")
@sequence_argument
@json_option
@pass_invocation
def history_command(invocation: Invocation, sequence: str, as_json: bool) -> None:
    """List the revisions of a sequence.

    Each apply or API change that altered it made one: when, from where, from which commit; `*` means that the files
    differed from that commit.

    \b
    Example:
      drip history welcome
    """
    from dataclasses import asdict

    from drip.cli.output import moment, show_table, write_json
    from drip.engine.subscribe import find_sequence

    with invocation.reading() as store:
        revisions = store.sequences.revisions(find_sequence(store, sequence).id)
    if as_json:
        write_json([{**asdict(revision), "source": revision.source.value} for revision in revisions])
        return
    rows = [
        (
            revision.number,
            moment(revision.at, invocation.zone),
            revision.source.value,
            revision.author,
            (revision.commit or "")[:10] + ("*" if revision.dirty else ""),
        )
        for revision in revisions
    ]
    show_table([">revision", "at", "from", "by", "commit"], rows)


def _definition(store: Store, stored: StoredSequence, revision: str) -> Definition | None:
    """What it looked like at a revision; None when none is asked for."""
    from drip.errors import NotFound

    if not revision:
        return None
    number = int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 10 else 0
    definition = store.sequences.definition_at(stored.id, number)
    if definition is None:
        hint = f"it has revisions 1 to {stored.revision}: `drip history {stored.slug}`"
        raise NotFound("revision", revision, hint=hint, place=f" of {stored.slug!r}")
    return definition


def _shown_object(
    store: Store, stored: StoredSequence, definition: Definition | None, number: int
) -> dict[str, object]:
    """As the API shows it; of an older revision with its templates and layouts, and today's people."""
    import json
    from dataclasses import asdict, replace

    from drip.core.definition import definition_to_json
    from drip.engine.objects import sequence_object, step_objects
    from drip.store.overview import StepCounts

    people = store.overview.counts_of(stored.id)
    per_step = store.overview.steps(stored.id)
    shown = stored if definition is None else replace(stored, definition=definition, revision=number)
    steps = step_objects(shown, store.overview.step_times(stored.id))
    content = {} if definition is None else json.loads(definition_to_json(definition))
    return {
        **sequence_object(shown, people),
        "steps": [{**step, "counts": asdict(per_step.get(step["id"], StepCounts()))} for step in steps],
        **{name: content[name] for name in ("templates", "layouts") if name in content},
    }


def _show(invocation: Invocation, store: Store, stored: StoredSequence, then: Definition | None, revision: str) -> None:
    from drip.cli.output import line, show_fields, show_table
    from drip.core.difference import in_words
    from drip.store.overview import StepCounts

    sequence = (then or stored.definition).sequence
    people = store.overview.counts_of(stored.id)
    inside = ", ".join(f"{number} {status}" for status, number in people.items() if number)
    show_fields(
        [
            ("id", sequence.id),
            ("name", sequence.name),
            ("status", "" if then else stored.status.value),
            ("file" if stored.path else "source", stored.path or stored.source.value),
            ("revision", revision or stored.revision),
            ("from", sequence.sender),
            ("delay from", sequence.delay_from.value),
            ("timezone", sequence.timezone),
            ("window", in_words(sequence.send_window)),
            ("stop when", sequence.stop_when),
            ("people", "" if then else inside or "nobody yet"),
        ]
    )
    line()
    per_step = {} if then else store.overview.steps(stored.id)
    rows = []
    for position, step in enumerate(sequence.steps, 1):
        counts = per_step.get(stored.ids.get(step.key, 0), StepCounts())
        numbers = () if then else (counts.sent, counts.waiting, counts.failed, counts.skipped)
        subject = step.subject or (f"template {step.template}" if step.template else "")
        rows.append((position, step.key, in_words(step.delay), in_words(step.at), subject, *numbers))
    columns = [">", "step", "delay", "at", "subject"]
    show_table([*columns, *(() if then else (">sent", ">waiting", ">failed", ">skipped"))], rows)
