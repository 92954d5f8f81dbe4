"""`agenda`: what will be sent, by day and step, and what is held and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import DURATION, json_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from datetime import date

    from drip.engine.agenda import Entry, Held
    from drip.engine.limits import Limited

WIDEST = 40
"""Characters of the longest bar."""

_HELD = {
    "sequence_draft": "until it is active: `drip status {} active`",
    "sequence_archived": "as it is archived",
    "paused": "paused: `drip resume {} EMAIL`",
    "failed": "failed: `drip retry {}`",
    "no_steps": "as it has no steps",
    "unknown": "unknown whether sent: `drip unknown` lists them",
}


@click.command("agenda")
@click.option("--next", "length", type=DURATION, default="7d", show_default=True, help="How far to look.")
@json_option
@pass_invocation
def agenda_command(invocation: Invocation, length: timedelta, as_json: bool) -> None:
    """Show what will be sent, by day and step.

    From the real database. Each person's next message is counted on the day it is due, what is overdue today; what
    follows is counted too, as if each message went out when it is due, no condition skipped one and no limit held one
    up. Below: who is held, and why.

    \b
    Example:
      drip agenda
      drip agenda --next 30d --json
    """
    from dataclasses import asdict

    from drip.cli.looking.status import limit_words
    from drip.cli.output import count, line, note, write_json

    now = invocation.now()
    until = now + length
    found, held, waiting = _look(invocation, now, until)
    days = _days(now, until, invocation)
    if as_json:
        write_json({**_object(now, until, days, found, held), "limited": waiting and asdict(waiting)})
        return
    _show(days, found, held)
    if not found:
        note(_empty_words(invocation, now, held))
    if waiting is not None:
        line(f"\n{count(waiting.due, 'message')} due now: {limit_words(waiting, invocation.zone, now)}")


def _look(invocation: Invocation, now: datetime, until: datetime) -> tuple[list[Entry], list[Held], Limited | None]:
    from drip.engine.agenda import entries
    from drip.engine.limits import limited

    found: list[Entry] = []
    with invocation.reading() as store:
        for stored in store.sequences.all():
            if stored.sends:
                waiting = store.agenda.waiting(stored.id, until)
                found += entries(stored, waiting, now=now, until=until, shown=invocation.zone)
        held_up = limited(store, invocation.settings, now, store.claims.count_due(now))
        return found, store.agenda.held(), held_up


def _days(now: datetime, until: datetime, invocation: Invocation) -> list[date]:
    first, last = (at.astimezone(invocation.zone).date() for at in (now, until))
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _object(
    now: datetime, until: datetime, days: Sequence[date], found: Sequence[Entry], held: Sequence[Held]
) -> dict[str, Any]:
    by_day = _by_day(days, found)
    return {
        "from": now,
        "until": until,
        "days": [
            {
                "day": day.isoformat(),
                "total": sum(entry.total for entry in entries),
                "steps": [
                    {"sequence_id": one.sequence, "step": one.step, "due": one.due, "following": one.following}
                    for one in entries
                ],
            }
            for day, entries in by_day.items()
        ],
        "held": [{"sequence_id": one.sequence, "reason": one.reason, "count": one.count} for one in held],
    }


def _by_day(days: Sequence[date], found: Sequence[Entry]) -> dict[date, list[Entry]]:
    return {day: [entry for entry in found if entry.day == day] for day in days}


def _show(days: Sequence[date], found: Sequence[Entry], held: Sequence[Held]) -> None:
    from drip.cli.output import clean, line

    by_day = _by_day(days, found)
    totals = {day: sum(entry.total for entry in entries) for day, entries in by_day.items()}
    most = max(totals.values(), default=0)
    width = len(str(most))
    for day, entries in by_day.items():
        line(f"{day:%a} {day.day:02} {day:%b}  {totals[day]:>{width}}  {_bar(totals[day], most)}".rstrip())
        for entry in entries:
            following = f" ({entry.following} of them after another)" if entry.following and entry.due else ""
            line(clean(f"            {entry.total:>{width}}  {entry.sequence}/{entry.step}{following}"))
    for text in _held_lines(held):
        line(clean(text))


def _empty_words(invocation: Invocation, now: datetime, held: Sequence[Held]) -> str:
    from drip.cli.output import distance, moment

    with invocation.reading() as store:
        first = store.overview.state(now).next_due_at
    if first is not None:
        return f"the next is due later: {moment(first, invocation.zone)} ({distance(first, now)})"
    return "nobody else waits for anything" if held else "nobody waits for anything"


def _bar(count: int, most: int) -> str:
    from drip.cli.output import paint

    cells = -(-count * WIDEST // most) if most else 0
    return paint("█" * cells, "cyan") if cells else ""


def _held_lines(held: Sequence[Held]) -> Iterator[str]:
    if held:
        yield ""
        yield "held"
    for one in held:
        words = _HELD.get(one.reason, f"put off ({one.reason}), counted above").format(one.sequence)
        yield f"  {one.sequence}: {one.count} {words}"
