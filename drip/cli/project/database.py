"""`db`: the database itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from drip.cli.arguments import DURATION, complete_files, json_option, yes_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.store.pruning import Pruned


@click.group("db")
def db_command() -> None:
    """Migrate, check and back up the database.

    Every command migrates an older database by itself, after a backup beside it; these are for your own hand.

    \b
    Example:
      drip db check
      drip db backup drip-2026-03-27.db
    """


@db_command.command("migrate")
@json_option
@pass_invocation
def migrate_database(invocation: Invocation, as_json: bool) -> None:
    """Bring the schema up to date.

    Makes the database when there is none, and a backup beside it before it changes an older one.

    \b
    Example:
      drip db migrate
    """
    from drip.cli.output import line, note, write_json
    from drip.store.migrate import SCHEMA_VERSION

    with invocation.project.store.opened() as backup:
        pass
    if as_json:
        write_json({"schema": SCHEMA_VERSION, "backup": None if backup is None else str(backup)})
        return
    line(f"the database has schema {SCHEMA_VERSION}, the newest")
    if backup is not None:
        note(f"as it was before: {backup}")


@db_command.command("check")
@json_option
@click.pass_context
@pass_invocation
def check_database(invocation: Invocation, context: click.Context, as_json: bool) -> None:
    """Look for damage and for what can't be.

    SQLite's own checks, then the rules of the domain: nobody waits for nothing, no suppressed address is in a
    sequence, no message is being sent by nobody. Reads only; the exit code is 1 when anything is found.

    \b
    Example:
      drip db check
    """
    from dataclasses import asdict

    from drip.cli.output import clean, line, write_json
    from drip.store.invariants import violations

    with invocation.reading() as store:
        found = violations(store.database)
    if as_json:
        write_json({"violations": [asdict(violation) for violation in found]})
    elif found:
        for violation in found:
            line(clean(f"{violation.rule}: {violation.what}"))
    else:
        line("ok")
    if found:
        context.exit(1)


@db_command.command("backup")
@click.argument("file", metavar="FILE", shell_complete=complete_files)
@json_option
@pass_invocation
def backup_database(invocation: Invocation, file: str, as_json: bool) -> None:
    """Copy the database while it is in use.

    The copy is whole and consistent. A file that exists is not overwritten. The database holds addresses: keep the
    copy as safe as the original.

    \b
    Example:
      drip db backup ../drip-2026-03-27.db
    """
    import os

    from drip.cli.output import FULL, clean, line, write_json
    from drip.errors import DatabaseUnavailable, Invalid

    target = invocation.path(file)
    if os.path.lexists(target):
        raise Invalid(f"{target} exists", "it is not overwritten: choose another name")
    if not target.parent.is_dir():
        raise Invalid(f"there is no folder {target.parent}")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with invocation.opened() as store:
            store.database.backup_to(partial)
        os.link(partial, target)
    except DatabaseUnavailable as error:
        raise DatabaseUnavailable(f"{target} was not made: {error.message}", error.hint) from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise Invalid(f"{target} can't be written: {(error.strerror or str(error)).lower()}") from error
    finally:
        partial.unlink(missing_ok=True)
    octets = target.stat().st_size
    if as_json:
        write_json({"path": str(target), "octets": octets})
    else:
        line(clean(f"{target}: {octets} octets"))


@db_command.command("prune")
@click.option(
    "--older-than", "age", type=DURATION, required=True, metavar="90d", help="Forget what is older; 1d at least."
)
@click.option("--dry-run", is_flag=True, help="Count only.")
@yes_option
@json_option
@click.pass_context
@pass_invocation
def prune_database(
    invocation: Invocation, context: click.Context, age: timedelta, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Forget old events.

    Goes: events older than that whose fact is also in the subscription or the delivery, webhooks that were posted or
    given up, the counts of past days. Stays: every delivery (it is what keeps a step from being sent twice), every
    suppression, who left and why, changed variables, and what is still to be posted. The file does not get smaller;
    its room is used again.

    \b
    Example:
      drip db prune --older-than 90d --dry-run
      drip db prune --older-than 90d --yes
    """
    from dataclasses import asdict

    from drip.cli.output import confirm, line, note, progress, write_json
    from drip.errors import Invalid

    if age < timedelta(days=1):
        raise Invalid("--older-than: less than a day is too young to be forgotten", "write --older-than 90d")
    before = invocation.now() - age
    with invocation.opened() as store:
        found = store.pruning.count(before)
        rows = sum(asdict(found).values())
        if not dry_run and rows:
            if not yes and not confirm(f"Forget {_rows(found)}?"):
                note("nothing was forgotten; --yes does it without asking")
                context.exit(1)
            with progress("forgetting", rows) as bar:
                found = store.pruning.prune(before, bar.advance)
    if as_json:
        write_json({**asdict(found), "before": before, "dry_run": dry_run})
    else:
        line(f"{'would forget' if dry_run else 'forgotten'}: {_rows(found)}")


def _rows(found: Pruned) -> str:
    return f"{found.events} events, {found.webhook_deliveries} posted webhooks, {found.days} past days"


@db_command.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@json_option
@pass_invocation
def copy_database(invocation: Invocation, source: str, target: str, as_json: bool) -> None:
    """Move a project to another database.

    FROM and TO are written as `database` in drip.yaml: sqlite:///drip.db or postgresql://user@host/name. Every row
    goes over with its id, so links, tokens and Message-IDs stay what they are. TO must be empty, and no worker may be
    at work on FROM. Nothing is changed in FROM: name TO in drip.yaml, and run nothing on FROM any more.

    \b
    Example:
      drip db copy sqlite:///drip.db postgresql://drip@db.internal/drip
    """
    from drip.cli.output import clean, line, write_json
    from drip.cli.project.database_copy import copy_database as copy

    copied, place = copy(invocation, source, target)
    if as_json:
        write_json({"rows": copied, "total": sum(copied.values())})
    else:
        line(clean(f"{sum(copied.values())} rows copied to {place}; name it as `database` in drip.yaml"))
