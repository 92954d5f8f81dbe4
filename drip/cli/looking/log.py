"""`log`: what happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import DURATION, Whole, complete_addresses, complete_sequences, json_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.store.events import LogEntry
    from drip.store.store import Store

SHOWN = 100
PAGE = 1000
LOOK_EVERY = 1.0
"""Seconds between two looks of --follow."""


@click.command("log")
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now.")
@click.option("--sequence", metavar="SEQ", shell_complete=complete_sequences, help="Only of that sequence.")
@click.option("--email", metavar="EMAIL", help="Only of that person.", shell_complete=complete_addresses)
@click.option("--since", type=DURATION, metavar="1d", help="Only what is not older.")
@click.option("--limit", type=Whole(1), metavar="N", help=f"The newest N; {SHOWN} without it.")
@json_option
@pass_invocation
def log_command(
    invocation: Invocation,
    follow: bool,
    sequence: str | None,
    email: str | None,
    since: timedelta | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show what happened, newest last.

    Subscribed, sent, deferred, skipped, failed and why, paused, cancelled, applied. With --since, all of that time
    unless --limit is given. --follow --json writes one document per line.

    \b
    Example:
      drip log --since 1d
      drip log --follow --sequence welcome
      drip log --email ada@example.com --json
    """
    from drip.cli.output import note, write_json
    from drip.core.address import email_key, known_email
    from drip.engine.subscribe import find_sequence

    # What is read as it stands, without a trace, does not see what is written later.
    with invocation.opened() if follow else invocation.reading() as store:
        filters: dict[str, Any] = {
            "sequence_id": find_sequence(store, sequence).id if sequence else None,
            "email_key": email_key(known_email(email)) if email else None,
        }
        last = store.events.last()
        oldest = invocation.now() - since if since else None
        entries = store.events.entries(
            **filters, since=oldest, newest=True, limit=limit or (None if since is not None else SHOWN)
        )
        if as_json and not follow:
            write_json([entry_object(entry) for entry in entries])
            return
        _show(invocation, entries, as_json)
        if follow:
            _show(invocation, _coming(store, filters, last), as_json)
        elif not entries:
            note("nothing of that happened" if sequence or email or since else "nothing has happened yet")
            if email and (near := _meant(store, email)):
                note(f"did you mean {near!r}?")


def _meant(store: Store, email: str) -> str | None:
    """Who is spelt most like an address that is nobody's; None where none is, or it is somebody's."""
    from drip.core.address import known_email

    if store.contacts.by_email(known_email(email)) is not None:
        return None
    return next(iter(store.contacts.near(email)), None)


def entry_object(entry: LogEntry) -> dict[str, Any]:
    """An event as JSON values."""
    return {
        "id": entry.id,
        "event": entry.type,
        "ts": entry.at,
        "sequence_id": entry.sequence,
        "contact_email": entry.email or entry.data.get("email"),
        "step_key": entry.step,
        "data": entry.data,
    }


def _coming(store: Store, filters: dict[str, Any], last: int) -> Iterator[LogEntry]:
    """Events as they are written, for ever."""
    while True:
        entries = store.events.entries(**filters, after=last, limit=PAGE)
        yield from entries
        if entries:
            last = entries[-1].number
        if len(entries) < PAGE:
            time.sleep(LOOK_EVERY)


def _show(invocation: Invocation, entries: Any, as_json: bool) -> None:
    import sys

    from drip.cli.output import line, write_json_line

    for entry in entries:
        if as_json:
            write_json_line(entry_object(entry))
        else:
            line(_words(invocation, entry))
            sys.stdout.flush()


def _words(invocation: Invocation, entry: LogEntry) -> str:
    from drip.cli.output import clean, moment_to_second, paint
    from drip.core.log_words import data_words, short

    colour = {"sent": "green", "failed": "red", "unknown": "red", "deferred": "yellow"}.get(short(entry.type), "cyan")
    who = entry.email or entry.data.get("email") or ""
    where = "/".join(word for word in (entry.sequence, entry.step) if word)
    words = "  ".join(word for word in (where, str(who), data_words(entry.data)) if word)
    at = moment_to_second(entry.at, invocation.zone)
    return f"{at}  {paint(f'{short(entry.type):<10}', colour)}  {clean(words)}".rstrip()
