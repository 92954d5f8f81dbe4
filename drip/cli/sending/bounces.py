"""`bounces`: takes in bounces, complaints and opt-outs by mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import complete_files, json_option, verbose_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.reports import Taken
    from drip.inbound.sources import Source
    from drip.inbound.taking import Tally

TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: the mail server keeps the message and calls again."""


@click.command("bounces")
@click.argument("file", metavar="[FILE|-]", required=False, shell_complete=complete_files)
@click.option("--dry-run", is_flag=True, help="Say what would become of it; change nothing.")
@verbose_option
@json_option
@click.pass_context
@pass_invocation
def bounces_command(
    invocation: Invocation, context: click.Context, file: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take in bounces and complaints.

    From a file (one message, or an mbox), from stdin (`-`, a pipe in the mail server), or from the mailbox of
    `inbound` in drip.yaml. A mailbox that does not exist and a complaint suppress the address and cancel its
    subscriptions; so does an opt-out by mail. The same report twice changes nothing, and one that proves nothing is
    only counted. With -v every report is a line on stderr. On a pipe every failure exits 75, so that the mail server
    tries again.

    \b
    Example:
      drip bounces
      drip bounces returned.mbox --dry-run
      drip bounces - < message.eml
    """
    if file != "-":
        _bounces(invocation, _source(invocation, file), dry_run, as_json)
        return
    try:
        _bounces(invocation, _pipe(), dry_run, as_json)
    except Exception as error:
        # Whatever is wrong here, the message must not be lost, nor anything be sent in answer to it.
        _say(error)
        context.exit(TRY_AGAIN)


def _bounces(invocation: Invocation, source: Source, dry_run: bool, as_json: bool) -> None:
    from drip.cli.output import line, note, write_json

    reports: list[Taken] = []

    def told(taken: Taken) -> None:
        if as_json:
            reports.append(taken)
        if invocation.verbose:
            note(words(taken))

    with invocation.opened():
        taker = invocation.project.taker()
        tally = taker.rehearse(source, told=told) if dry_run else taker.take(source, told=told)
    if as_json:
        write_json({**tally_object(tally), "dry_run": dry_run, "reports": [report_object(one) for one in reports]})
    else:
        line(summary(tally) + (" (nothing was changed)" if dry_run else ""))


def tally_object(tally: Tally) -> dict[str, Any]:
    """What was in a source, as JSON values."""
    from drip.inbound.taking import COUNTED

    counts = {name: tally.counts[name] for name in COUNTED}
    return {"read": tally.read, **counts, "suppressed": tally.suppressed, "cancelled": tally.cancelled}


def report_object(taken: Taken) -> dict[str, Any]:
    """What became of one report, as JSON values."""
    from drip.inbound.taking import outcome

    return {
        "outcome": outcome(taken),
        "kind": taken.kind.value,
        "proven": taken.proven,
        "email": taken.email,
        "sequence_id": taken.sequence,
        "step_key": taken.step,
        "code": taken.code,
        "text": taken.text,
        "source": taken.source,
        "suppressed": taken.suppressed,
        "cancelled": taken.cancelled,
    }


def summary(tally: Tally) -> str:
    """`read 7: hard 2, other 5; 2 addresses suppressed, 3 subscriptions cancelled`."""
    from drip.cli.output import count
    from drip.inbound.taking import COUNTED

    found = ", ".join(f"{name.replace('_', '-')} {tally.counts[name]}" for name in COUNTED if tally.counts[name])
    text = f"read {tally.read}" + (f": {found}" if found else "")
    if tally.suppressed or tally.cancelled:
        people, ended = count(tally.suppressed, "address", "addresses"), count(tally.cancelled, "subscription")
        text += f"; {people} suppressed, {ended} cancelled"
    return text


def words(taken: Taken) -> str:
    """`hard  ana@example.com  welcome/hello  5.1.1  user unknown`."""
    from drip.inbound.taking import outcome

    where = "/".join(word for word in (taken.sequence, taken.step) if word)
    said = "" if taken.proven else "nothing proves whom it is about"
    return "  ".join(word for word in (outcome(taken), taken.email, where, taken.code, taken.text, said) if word)


def _source(invocation: Invocation, file: str | None) -> Source:
    from drip.errors import Invalid
    from drip.inbound.sources import FileSource

    if file is not None:
        return FileSource(invocation.path(file))
    source = invocation.project.mailbox()
    if source is None:
        hint = "give a FILE or -, or write inbound: {maildir: PATH} or {imap: …}; `drip guide bounces` says more"
        raise Invalid("drip.yaml has no mailbox to read: inbound.maildir or inbound.imap", hint)
    return source


def _pipe() -> Source:
    from sys import stdin

    from drip.inbound.sources import PipeSource

    return PipeSource(stdin.buffer)


def _say(error: Exception) -> None:
    from traceback import print_exception

    from drip.cli.output import complain
    from drip.errors import DripError

    if isinstance(error, DripError):
        complain(error.message, error.hint)
    else:
        print_exception(error)
