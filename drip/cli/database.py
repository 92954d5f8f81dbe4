"""`db`: the database itself."""

from __future__ import annotations

import click

from drip.cli.arguments import complete_files, json_option
from drip.cli.invocation import Invocation, pass_invocation


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
@pass_invocation
def migrate_database(invocation: Invocation) -> None:
    """Bring the schema up to date.

    Makes the database when there is none, and a backup beside it before it changes an older one.

    \b
    Example:
      drip db migrate
    """
    from drip.cli.output import line
    from drip.store.migrate import SCHEMA_VERSION

    with invocation.opened():
        line(f"the database has schema {SCHEMA_VERSION}, the newest")


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

    with invocation.opened() as store:
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
@pass_invocation
def backup_database(invocation: Invocation, file: str) -> None:
    """Copy the database while it is in use.

    The copy is whole and consistent. A file that exists is not overwritten. The database holds addresses: keep the
    copy as safe as the original.

    \b
    Example:
      drip db backup ../drip-2026-03-27.db
    """
    import os

    from drip.cli.output import clean, line
    from drip.errors import Invalid

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
    except OSError as error:
        raise Invalid(f"{target} can't be written: {(error.strerror or str(error)).lower()}") from error
    finally:
        partial.unlink(missing_ok=True)
    line(clean(f"{target}: {target.stat().st_size} octets"))
