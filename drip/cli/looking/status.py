"""`status`: the state of the whole, or the status of one sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drip.cli.arguments import json_option, sequence_named
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from drip.engine.limits import Limited
    from drip.engine.records import Backlog, Inbox, ReportCounts, StoredSequence
    from drip.store.overview import State

STATUSES = ("draft", "active", "archived")


@click.command("status")
@sequence_named("[SEQ]", required=False)
@click.argument("status", metavar="[draft|active|archived]", required=False, type=click.Choice(STATUSES))
@json_option
@pass_invocation
def status_command(invocation: Invocation, sequence: str | None, status: str | None, as_json: bool) -> None:
    """Show the state of the whole, or set a sequence's status.

    A draft holds its people, an active one sends, an archived one also refuses new people. An apply puts the file's
    status back only when the file's own status changes.

    \b
    Example:
      drip status
      drip status welcome active
    """
    from dataclasses import asdict

    from drip.cli.output import write_json
    from drip.engine.limits import limited

    if sequence is not None:
        _one_status(invocation, sequence, status, as_json)
        return
    now = invocation.now()
    with invocation.reading() as store:
        state = store.overview.state(now)
        backlog = store.webhooks.backlog()
        waiting = limited(store, invocation.settings, now, state.due_now)
        applied = bool(store.sequences.slugs())
        reports = store.reports.counts()
        inbox = store.reports.inbox() if invocation.project.mailbox() else None
    if as_json:
        found = {**_state_object(state, backlog), "limited": waiting and asdict(waiting)}
        write_json({**found, "reports": asdict(reports), "inbox": inbox and asdict(inbox)})
    else:
        _show_state(invocation, state, waiting, backlog, applied, (reports, inbox))


def _one_status(invocation: Invocation, slug: str, status: str | None, as_json: bool) -> None:
    from drip.cli.output import clean, line, write_json
    from drip.core.sequence import SequenceStatus
    from drip.engine.status import set_status
    from drip.engine.subscribe import find_sequence

    with invocation.opened() if status else invocation.reading() as store:
        changed = status is not None and set_status(store, slug, SequenceStatus(status), invocation.now())
        stored = find_sequence(store, slug)
        people = store.subscriptions.count_live(stored.id)
    if as_json:
        write_json({"id": slug, "status": stored.status.value, "changed": changed})
        return
    verb = "is" if changed or status is None else "was already"
    line(clean(f"{slug} {verb} {stored.status}: {_status_words(stored, people)}"))


def _status_words(stored: StoredSequence, people: int) -> str:
    from drip.cli.output import count

    who = count(people, "person", "people")
    if stored.sends:
        return f"it sends to the {who} in it"
    return f"it holds the {who} in it" + ("" if stored.status == "draft" else " and takes nobody new")


def _state_object(state: State, backlog: Backlog) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(state), "webhooks": asdict(backlog)}


def _show_state(
    invocation: Invocation,
    state: State,
    waiting: Limited | None,
    backlog: Backlog,
    applied: bool,
    came_back: tuple[ReportCounts, Inbox | None],
) -> None:
    from drip.cli.output import distance, moment, note, show_fields

    now, zone = invocation.now(), invocation.zone
    next_due = state.next_due_at
    last = state.last_run_at
    show_fields(
        [
            ("due now", f"{state.due_now}" + (f"   {limit_words(waiting, zone, now)}" if waiting else "")),
            ("next due", f"{moment(next_due, zone)} ({distance(next_due, now)})" if next_due else "nobody waits"),
            ("sending", state.sending),
            ("unknown", f"{state.unknown}" + ("   `drip unknown` lists them" if state.unknown else "")),
            ("failed", f"{state.failed}" + ("   `drip retry` tries again" if state.failed else "")),
            ("deferred", ", ".join(f"{number} {reason}" for reason, number in sorted(state.deferred.items())) or 0),
            ("sent today", state.sent_today),
            ("webhooks", _backlog_words(backlog)),
            ("came back", _report_words(came_back[0])),
            ("mailbox", _inbox_words(came_back[1], now)),
            ("last run", f"{moment(last, zone)} ({distance(last, now)})" if last else "never: `drip run`"),
            ("workers", state.workers),
        ]
    )
    if not applied:
        note("no sequence is applied yet: run `drip apply`")


def limit_words(waiting: Limited, zone: ZoneInfo, now: datetime) -> str:
    """Until when the limits of drip.yaml hold up what is due."""
    from drip.cli.output import distance, moment

    return f"the limits have room again {moment(waiting.until, zone)} ({distance(waiting.until, now)})"


def _report_words(counts: ReportCounts) -> str:
    """Empty when nothing came back yet."""
    from drip.cli.output import count

    words = [
        count(counts.hard, "hard bounce") if counts.hard else "",
        count(counts.soft, "soft bounce") if counts.soft else "",
        count(counts.complaint, "complaint") if counts.complaint else "",
        count(counts.unsubscribe, "opt-out by mail", "opt-outs by mail") if counts.unsubscribe else "",
        f"{counts.unproven} that prove nothing" if counts.unproven else "",
    ]
    return ", ".join(filter(None, words))


def _inbox_words(inbox: Inbox | None, now: datetime) -> str:
    """Empty when it was never looked into by the loop."""
    from drip.cli.output import distance

    if inbox is None:
        return ""
    if inbox.error is None:
        return f"read {distance(inbox.read_at, now)}" if inbox.read_at else ""
    since = f" (since {distance(inbox.error_at, now)})" if inbox.error_at else ""
    return f"can't be read{since}: {inbox.error}"


def _backlog_words(backlog: Backlog) -> str:
    """Empty when nothing is to be posted."""
    dead = f"{backlog.dead} dead   `drip webhooks deliveries --state dead` lists them" if backlog.dead else ""
    return ", ".join(filter(None, (f"{backlog.waiting} waiting" if backlog.waiting else "", dead)))
