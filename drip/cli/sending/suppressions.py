"""`suppress`: the addresses that are never mailed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import (
    SHOWN,
    complete_files,
    email_argument,
    json_option,
    limit_option,
    new_address,
    search_option,
    yes_option,
)
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.records import Suppression

REASONS = ("bounce", "complaint", "unsubscribed", "manual")
BATCH = 500


@click.group("suppress")
def suppress_command() -> None:
    """Look after the addresses that are never mailed.

    Bounces, complaints and opt-outs end up here by themselves. Who is here is in no sequence, and can't be added to
    one.

    \b
    Example:
      drip suppress list --reason complaint
      drip suppress add ada@example.com
    """


@suppress_command.command("list")
@click.option("--reason", type=click.Choice(REASONS), help="Only those.")
@search_option
@limit_option
@json_option
@pass_invocation
def list_suppressed(
    invocation: Invocation, reason: str | None, search: str | None, limit: int | None, as_json: bool
) -> None:
    """List them, newest first.

    With the reason, and what the server or the operator said. With --json all of them, unless --limit is given.

    \b
    Example:
      drip suppress list
      drip suppress list --search example.com --json
    """
    from drip.cli.output import moment, note, note_more, show_table, write_json
    from drip.core.subscription import SuppressionReason

    wanted = SuppressionReason(reason) if reason else None
    search = search.casefold() if search else None
    with invocation.reading() as store:
        found = store.suppressions.list(reason=wanted, search=search, limit=limit if as_json else limit or SHOWN)
        more = store.suppressions.count(reason=wanted, search=search) - len(found)
    if as_json:
        write_json([_object(one) for one in found])
        return
    if not found:
        note("no address of that kind is suppressed" if reason or search else "no address is suppressed")
        return
    rows = [(one.email, one.reason.value, one.code, moment(one.added_at, invocation.zone)) for one in found]
    show_table(["email", "reason", "said", "since"], rows)
    note_more(more)


@suppress_command.command("add")
@email_argument
@click.option("--reason", type=click.Choice(REASONS), default="manual", show_default=True)
@click.option("--note", "words", metavar="TEXT", help="Why, in your words.")
@json_option
@pass_invocation
def add_suppressed(invocation: Invocation, email: str, reason: str, words: str | None, as_json: bool) -> None:
    """Never mail an address again.

    Its live subscriptions are cancelled in the same moment. An address that is here already keeps its reason,
    unless the new one is graver: complaint, unsubscribed, manual, bounce.

    \b
    Example:
      drip suppress add ada@example.com --note "asked by phone"
    """
    from drip.cli.output import clean, count, line, write_json
    from drip.core.address import clean_line
    from drip.core.subscription import SuppressionReason
    from drip.engine.suppress import put_on_list

    address = new_address(email)
    with invocation.opened() as store:
        code = clean_line(words)[:500] if words else None
        added, cancelled = put_on_list(store, address, SuppressionReason(reason), invocation.now(), code=code)
    if as_json:
        write_json({"added": added, "cancelled": cancelled})
        return
    ended = f"; {count(cancelled, 'subscription')} cancelled" if cancelled else ""
    line(clean(f"{address} {'is' if added else 'was already'} suppressed{ended}"))


@suppress_command.command("remove")
@email_argument
@yes_option
@json_option
@pass_invocation
def remove_suppressed(invocation: Invocation, email: str, yes: bool, as_json: bool) -> None:
    """Allow an address again.

    Nothing that was cancelled comes back by itself. Who complained or opted out is allowed again only with --yes:
    mailing them without their consent is against the law in many places. It is recorded.

    \b
    Example:
      drip suppress remove ada@example.com
      drip suppress remove ada@example.com --yes
    """
    from drip.cli.output import clean, line, write_json
    from drip.core.address import known_email, spelt_like
    from drip.core.subscription import SuppressionReason
    from drip.engine.suppress import unsuppress
    from drip.errors import NotFound, Refused

    address = known_email(email)
    with invocation.opened() as store:
        found = store.suppressions.get(address)
        if found is None:
            alike = store.suppressions.list(search=address[:2].casefold(), limit=1000)
            newest = store.suppressions.list(limit=1000)
            near = spelt_like(address, [one.email for one in [*alike, *newest]], 1)
            raise NotFound("suppressed address", address, near)
        if found.reason in (SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBED) and not yes:
            message = f"{found.email} is suppressed as {found.reason}: they said no"
            raise Refused("needs_yes", message, "with their consent: `drip suppress remove EMAIL --yes`")
        unsuppress(store, address, invocation.now())
    if as_json:
        write_json({"removed": _object(found)})
        return
    line(clean(f"{found.email} may be mailed again; it was suppressed as {found.reason}"))


@suppress_command.command("import")
@click.argument("file", metavar="FILE", shell_complete=complete_files)
@click.option("--reason", type=click.Choice(REASONS), help="For rows that give none; default: manual.")
@json_option
@click.pass_context
@pass_invocation
def import_suppressed(
    invocation: Invocation, context: click.Context, file: str, reason: str | None, as_json: bool
) -> None:
    """Suppress the addresses of a file.

    A CSV with the columns email and, if you like, reason and note; or simply one address per line. `-` reads stdin.

    \b
    Example:
      drip suppress import bounced.csv --reason bounce
      drip suppress export | drip -C other suppress import -
    """
    from drip.cli.output import clean, line, write_json
    from drip.cli.sending.suppression_file import import_suppressions

    tally = import_suppressions(invocation, file, reason or "manual")
    if as_json:
        write_json(tally)
    else:
        line(f"added {tally['added']}, existing {tally['existing']}, refused {len(tally['refused'])}")
        for row in tally["refused"]:
            line(clean(f"  line {row['line']}: {row['message']}"))
    if tally["refused"]:
        context.exit(1)


@suppress_command.command("export")
@click.option("--reason", type=click.Choice(REASONS), help="Only those.")
@pass_invocation
def export_suppressed(invocation: Invocation, reason: str | None) -> None:
    """Write them as CSV.

    The columns are email, reason, note and added_at; `suppress import` reads it.

    \b
    Example:
      drip suppress export > suppressed.csv
    """
    from drip.cli.output import line
    from drip.cli.people.csv_cells import csv_row
    from drip.core.moments import format_moment
    from drip.core.subscription import SuppressionReason

    with invocation.reading() as store:
        found = store.suppressions.list(reason=SuppressionReason(reason) if reason else None)
    line("email,reason,note,added_at")
    for one in found:
        line(csv_row([one.email, one.reason.value, one.code, format_moment(one.added_at)]))


def _object(one: Suppression) -> dict[str, Any]:
    return {"email": one.email, "reason": one.reason.value, "code": one.code, "added_at": one.added_at}
