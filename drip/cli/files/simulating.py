"""`simulate`: the calendar of one new subscriber, from the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import DURATION, MOMENT, Whole, json_option, sequence_argument, variables_of, variables_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.expectations import SampleSubscriber
    from drip.core.sequence import Sequence as EmailSequence
    from drip.engine.simulate import Calendar, Row


@click.command("simulate")
@sequence_argument
@click.option("--at", "start", type=MOMENT, help="When they subscribe, with an offset; default: now.")
@variables_option("A variable of theirs; K:=JSON for other than text.")
@click.option("--timezone", metavar="ZONE", help="Their zone, as the variable `timezone` would have it.")
@click.option("--until", "length", type=DURATION, default="90d", show_default=True, help="How far to look.")
@click.option("--refusals", type=Whole(0, 100), default=0, help="Let the server say 'later' N times to each.")
@json_option
@pass_invocation
def simulate_command(
    invocation: Invocation,
    sequence: str,
    start: datetime | None,
    variables: Sequence[tuple[str, Any]],
    timezone: str | None,
    length: timedelta,
    refusals: int,
    as_json: bool,
) -> None:
    """Show the calendar of one new subscriber.

    The engine that sends runs on a clock that jumps from step to step: windows, zones, clock changes, conditions and
    stale steps are as they will be. Each step is shown in the subscriber's local time, with the reason for every skip
    and shift. From the files, or from the database where the files do not have it; declared variables have their
    examples. Nothing is written; the limits of drip.yaml do not count.

    \b
    Example:
      drip simulate welcome
      drip simulate welcome --at 2026-03-27T09:30:00+01:00 --timezone Europe/Madrid --var plan=pro
      drip simulate welcome --until 365d --json | jq -r '.[] | [.at, .step] | @tsv'
    """
    from drip.cli.files.previews import definition_of
    from drip.cli.output import line, write_json
    from drip.engine.rehearsal import refused_at_first
    from drip.engine.simulate import simulate
    from drip.errors import Refused

    definition = definition_of(invocation, sequence)
    given = variables_of(variables, keep_null=True)
    subscriber = _subscriber(definition.sequence, start or invocation.now(), given, timezone)
    with invocation.project.rehearsal(subscriber.at, refused_at_first(refusals)) as rehearsal:
        calendar = simulate(rehearsal, definition, subscriber, until=subscriber.at + length)
    if calendar.refused is not None:
        raise Refused("invalid_field", calendar.refused, "give it with --var, or an `example` in the file")
    if as_json:
        write_json([row_object(row, calendar) for row in calendar.rows])
        return
    for text in _lines(calendar, definition.sequence):
        line(text)


def row_object(row: Row, calendar: Calendar) -> dict[str, Any]:
    """One row as JSON values."""
    return {
        "step": row.step,
        "at": row.at,
        "local_at": row.at.astimezone(calendar.zone).isoformat(),
        "outcome": row.outcome,
        "subject": row.subject,
        "reason": row.reason,
        "detail": row.detail or None,
        "notes": list(row.notes),
        "until": row.until,
        "completed": row.completed,
    }


def _subscriber(sequence: EmailSequence, start: datetime, variables: Any, timezone: str | None) -> SampleSubscriber:
    from drip.core.expectations import SampleSubscriber
    from drip.core.schedule import zone
    from drip.errors import Invalid
    from drip.files.values import nearest_zone

    if timezone is not None and zone(timezone) is None:
        raise Invalid(f"--timezone: there is no time zone {timezone!r}", nearest_zone(timezone))
    if not 1971 <= start.year <= 9000:
        raise Invalid(f"--at: the year {start.year} is out of range")
    examples = {name: one.example for name, one in sequence.variables.items() if one.example is not None}
    merged = {name: value for name, value in {**examples, **variables}.items() if value is not None}
    return SampleSubscriber(at=start, timezone=timezone, variables=merged)


def _lines(calendar: Calendar, sequence: EmailSequence) -> Iterator[str]:
    from rich.cells import cell_len

    from drip.cli.output import clean, moment, paint
    from drip.core.shifts import short

    status = "" if sequence.status == "active" else f"; {sequence.status}, as if it were active"
    start = moment(calendar.started_at, calendar.zone)
    yield clean(f"{calendar.sequence} for a subscriber of {start} ({calendar.zone.key}{status})")
    rows = [(short(row.at, calendar.zone), row.step, _what(row), "; ".join(row.notes)) for row in calendar.rows]
    widths = [max((cell_len(clean(row[column])) for row in rows), default=0) for column in (1, 2)]
    for (at, step, what, notes), row in zip(rows, calendar.rows, strict=True):
        shown = _padded(clean(what), widths[1]) if notes else clean(what)
        shown = shown if row.outcome == "sent" else paint(shown, "yellow")
        yield f"{at}   {_padded(clean(step), widths[0])}   {shown}" + (f"   {clean(notes)}" if notes else "")
    yield from _rest(calendar)


def _rest(calendar: Calendar) -> Iterator[str]:
    """What is not in the rows: nothing once the subscription has ended."""
    from drip.cli.output import clean
    from drip.core.shifts import short

    if calendar.status != "active":
        return
    if calendar.pending is None:
        yield "nothing: the sequence has no steps, its people wait"
    elif calendar.pending[1] is not None:
        step, at = calendar.pending
        assert at is not None  # just looked at
        yield clean(f"… {step} would follow on {short(at, calendar.zone)} {at.astimezone(calendar.zone).year}")


def _padded(text: str, width: int) -> str:
    from rich.cells import cell_len

    return text + " " * (width - cell_len(text))


def _what(row: Row) -> str:
    if row.outcome == "sent":
        return row.subject or ""
    return f"({row.outcome}: {row.detail or row.reason})"
