"""`plan` and `apply`: what the files would change, in sequences and in people, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drip.cli.arguments import json_option, yes_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.apply import Origin
    from drip.engine.plan import Plan
    from drip.files.sequences import ProjectFiles

CHANGES = 2
"""The exit code of `plan --detailed-exitcode` when there is something to apply."""


@click.command("plan")
@json_option
@click.option("--prune", is_flag=True, help="As `apply --prune` would.")
@click.option("--detailed-exitcode", "detailed", is_flag=True, help="0: no changes, 1: an error, 2: changes.")
@click.pass_context
@pass_invocation
def plan_command(invocation: Invocation, context: click.Context, as_json: bool, prune: bool, detailed: bool) -> None:
    """Show what apply would change, in files and in people.

    For every step that differs: who waits longer for it, who would get a message at once, who goes on to another
    step, who never gets a new one. Nothing is changed.

    \b
    Example:
      drip plan
      drip plan --detailed-exitcode --json
    """
    from drip.cli.output import complain
    from drip.errors import DripError

    try:
        plan = _plan(invocation, prune)
    except DripError as error:
        if not detailed:
            raise
        complain(error.message, error.hint)
        context.exit(1)
    _show(plan, as_json)
    if detailed and plan.changes:
        context.exit(CHANGES)


@click.command("apply")
@yes_option
@click.option("--prune", is_flag=True, help="Archive sequences whose file is gone; delete those nobody was in.")
@json_option
@pass_invocation
def apply_command(invocation: Invocation, yes: bool, prune: bool, as_json: bool) -> None:
    """Bring the database to what the files say.

    Shows the plan, asks when people are affected, and does it all or not at all. A file with an error changes
    nothing. Without a terminal it needs --yes to touch people.

    \b
    Example:
      drip apply
      drip apply --yes --prune
    """
    from drip.cli.files.plan_words import plan_object
    from drip.cli.output import can_ask, confirm, line, progress, write_json
    from drip.engine.apply import apply
    from drip.engine.plan_words import emptied
    from drip.errors import Refused

    files = _files(invocation)
    incoming = invocation.project.incoming(files)

    def agree(plan: Plan) -> bool:
        if not as_json:
            _show(plan, as_json=False)
        if yes or not (plan.affected or plan.renames):
            return True
        if (nothing := emptied(plan, incoming)) or as_json or not can_ask():
            if as_json:
                write_json({**plan_object(plan), "applied": False})
            gone = f"{nothing[0]!r} would have no steps left, and " if nothing else ""
            raise Refused("needs_yes", f"nothing was applied: {gone}{_concern(plan)}", "`drip apply --yes` does it")
        return confirm(f"{_concern(plan)}. Apply?")

    with invocation.opened() as store, progress("moving people", None) as bar:
        moved = 0

        def tell(people: int) -> None:
            nonlocal moved
            moved += people
            bar.say(f"moving people: {moved}")

        plan = apply(
            store,
            invocation.settings,
            incoming,
            files.templates,
            prune=prune,
            now=invocation.now(),
            origin=_origin(invocation),
            agree=agree,
            progress=tell,
        )
    if plan is None:
        raise Refused("not_agreed", "nothing was applied")
    if as_json:
        write_json({**plan_object(plan), "applied": True})
    elif plan.changes:
        line("Applied.")


def _concern(plan: Plan) -> str:
    """Why apply asks."""
    from drip.cli.output import count

    renamed = "" if plan.affected else f", and a step of {plan.renames[0]!r} looks renamed"
    return f"{count(plan.affected, 'person is', 'people are')} affected{renamed}"


def _plan(invocation: Invocation, prune: bool) -> Plan:
    from drip.engine.plan import make_plan

    files = _files(invocation)
    with invocation.reading() as store:
        incoming = invocation.project.incoming(files)
        return make_plan(*(store, invocation.settings, incoming, files.templates), prune=prune, now=invocation.now())


def _files(invocation: Invocation) -> ProjectFiles:
    from drip.cli.files.problems import NO_FILES, usable
    from drip.cli.output import note

    files = usable(invocation.project.files(compiled=True))
    if not files.paths:
        note(NO_FILES)
    return files


def _show(plan: Plan, as_json: bool) -> None:
    from drip.cli.files.plan_words import plan_lines, plan_object
    from drip.cli.output import line, write_json

    if as_json:
        write_json(plan_object(plan))
    else:
        for text in plan_lines(plan):
            line(text)


def _origin(invocation: Invocation) -> Origin:
    from drip.cli.files.git import origin_of

    settings = invocation.settings
    return origin_of(settings.folder, [settings.path, settings.sequences])
