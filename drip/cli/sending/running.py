"""`run`: the worker, as a loop or for one pass."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from drip.cli.arguments import DURATION, MOMENT, PLACE, Whole, json_option, verbose_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.api.server import Server
    from drip.cli.sending.crew import Crew
    from drip.engine.report import Report
    from drip.engine.reports import Taken
    from drip.engine.worker import Worker

POSTING_SECONDS = 20.0
"""How long one pass waits for webhooks at its end; what is left is posted by the next."""


@click.command("run")
@click.option("--once", is_flag=True, help="One pass until nothing is due.")
@click.option("--http", "place", type=PLACE, help="Also serve the API there.")
@click.option("--interval", type=DURATION, default="5s", show_default=True, help="Between the passes of the loop.")
@click.option("--limit", type=Whole(1), metavar="N", help="Take at most N people in one pass.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent; write nothing anywhere.")
@click.option("--now", "pretended", type=MOMENT, help="Pretend that it is then. Not with smtp.")
@click.option(
    "--workers",
    type=Whole(1, 64),
    metavar="N",
    help="Use N processes, each with its own connections. [default: for --once what the machine has and the work is"
    " worth, sharing the connections of drip.yaml; for the loop 1]",
)
@click.option("--tied", type=int, hidden=True, help="Stop when the process at the other end of that pipe is gone.")
@click.option("--connections", type=Whole(1), hidden=True, help="Instead of smtp.connections.")
@verbose_option
@json_option
@click.pass_context
@pass_invocation
def run_command(
    invocation: Invocation,
    context: click.Context,
    once: bool,
    place: tuple[str, int] | None,
    interval: timedelta,
    limit: int | None,
    dry_run: bool,
    pretended: datetime | None,
    workers: int | None,
    tied: int | None,
    connections: int | None,
    as_json: bool,
) -> None:
    """Send what is due: a loop, or one pass.

    Start it from cron with --once, or let it run. A stop signal finishes the messages in hand; a second one stops at
    once. The exit code of --once is 1 when a delivery failed for good, 3 when the transport can't be used. With -v
    every outcome is a line on stderr.

    \b
    Example:
      drip run --once
      drip run --interval 10s
      drip run --dry-run --now 2026-03-30T09:00:00Z
    """
    from drip.errors import Invalid

    if dry_run:
        from drip.cli.sending.dry_run import dry_run as look

        look(invocation, pretended or invocation.now(), limit, as_json)
        return
    if pretended is not None and invocation.settings.transport == "smtp":
        raise Invalid("--now moves the clock, and the transport is smtp", "use `transport: outbox`, or --dry-run")
    if place is not None and once:
        raise Invalid("--http goes with the loop", "leave out --once, or use `drip serve`")
    if limit is not None and workers is not None and workers > 1:
        raise Invalid("--limit goes with one process", "leave out --workers")
    if tied is not None and once:
        context.exit(_in_a_crew(invocation, pretended, tied, connections))
    from drip.cli.sending.crew import Crew

    crew = Crew(invocation, pretended, 1 if limit is not None else workers)
    with crew:
        if once:
            context.exit(_once(invocation, limit, _clock(invocation, pretended), as_json, crew))
        _loop(invocation, interval, limit, _clock(invocation, pretended), as_json, place, crew, tied)


def _clock(invocation: Invocation, pretended: datetime | None) -> Callable[[], datetime]:
    from drip.project import system_clock

    return system_clock if pretended is None else lambda: pretended


def _once(invocation: Invocation, limit: int | None, clock: Callable[[], datetime], as_json: bool, crew: Crew) -> int:
    from drip.cli.main import DONE, PARTLY, UNAVAILABLE
    from drip.cli.output import complain
    from drip.cli.sending.passes import trouble

    started = time.monotonic()
    if (quiet := invocation.project.quiet(clock())) is not None:
        from drip.core.moments import from_milliseconds
        from drip.engine.report import Report

        next_due = None if quiet.next_due is None else from_milliseconds(quiet.next_due)
        report = Report(next_due_at=next_due, seconds=time.monotonic() - started)
        _say(invocation, report, clock(), as_json)
        return DONE
    count = crew.count_at_a_glance(clock())
    if count is not None:
        crew.start(count)
    from drip.cli.sending.telling import Teller
    from drip.cli.stopping import stopped_by_signals

    with invocation.opened() as store, Teller(invocation) as teller:
        if count is None:
            count = crew.count(store, clock())
            crew.start(count)
        project = crew.project(count)
        worker = project.worker(clock=clock, told=teller.tell)
        posting = project.courier(clock=clock) if store.endpoints.any() else nullcontext()
        with stopped_by_signals(crew.beside(worker)), posting as courier:
            with worker:
                report = worker.run_once(limit)
                if crew.join(report) and not worker.stopped:
                    report.add(worker.run_once())  # takes back what a process that crashed has left
            if courier is not None:
                courier.finish(POSTING_SECONDS, given_up=lambda: worker.stopped)
        if count > 1:
            report.remaining_due, report.next_due_at = store.claims.count_due(clock()), store.claims.next_due()
    _say(invocation, report, clock(), as_json)
    if report.trouble is not None:
        complain(*trouble(report, invocation.settings))
        return UNAVAILABLE
    return max(crew.code, PARTLY if report.counts["failed"] else DONE)


def _say(invocation: Invocation, report: Report, now: datetime, as_json: bool) -> None:
    from drip.cli.output import line, write_json
    from drip.cli.sending.passes import report_object, summary

    if as_json:
        write_json(report_object(report))
    else:
        line(summary(report, invocation, now))


def _in_a_crew(invocation: Invocation, pretended: datetime | None, tied: int, connections: int | None) -> int:
    """One pass for the process that started this one: no webhooks, no other processes, and JSON."""
    from drip.cli.main import DONE, INTERRUPTED, PARTLY, UNAVAILABLE
    from drip.cli.output import complain, write_json
    from drip.cli.sending.passes import report_object, trouble
    from drip.cli.sending.processes import watch
    from drip.cli.sending.telling import Teller
    from drip.cli.stopping import stopped_by_signals

    with invocation.opened(), Teller(invocation, live=False) as teller:
        project = invocation.project if connections is None else invocation.project.connecting(connections)
        with project.worker(clock=_clock(invocation, pretended), told=teller.tell) as worker:
            watch(tied, worker, lambda: os._exit(INTERRUPTED))
            with stopped_by_signals(worker):
                report = worker.run_once()
    write_json(report_object(report))
    if report.trouble is not None:
        complain(*trouble(report, invocation.settings))
        return UNAVAILABLE
    return PARTLY if report.counts["failed"] else DONE


def _loop(
    invocation: Invocation,
    interval: timedelta,
    limit: int | None,
    clock: Callable[[], datetime],
    as_json: bool,
    place: tuple[str, int] | None,
    crew: Crew,
    tied: int | None,
) -> None:
    from drip.cli.output import complain, line, note, where_there_is_room, write_json_line
    from drip.cli.sending.passes import KINDS, report_object, summary, trouble
    from drip.cli.sending.telling import Teller
    from drip.cli.stopping import stopped_by_signals

    told: list[str] = [""]

    def before_pass() -> None:
        crew.start(crew.count(invocation.project.store, clock()) if crew.is_wanted else 1)

    def after_pass(report: Report) -> None:
        crew.join(report)
        courier.check()
        if collector is not None:
            collector.check()
        if server is not None:
            server.check()
        if any(report_object(report)[kind] for kind in KINDS):
            with where_there_is_room():
                if as_json:
                    write_json_line(report_object(report))
                else:
                    line(f"{clock().astimezone(invocation.zone):%H:%M:%S}  {summary(report, invocation, clock())}")
        message, hint = trouble(report, invocation.settings) if report.trouble else ("", None)
        if message != told[0]:
            complain(message, hint) if message else note("drip: it works again")
            told[0] = message

    with invocation.opened(), Teller(invocation, live=False) as teller:
        worker = invocation.project.worker(clock=clock, told=teller.tell)
        courier = invocation.project.courier(clock=clock)
        collecting = invocation.project.collector(clock=clock, told=_told(invocation))
        serving = _served(invocation, place, clock, worker)
        if tied is not None:
            from drip.cli.main import INTERRUPTED
            from drip.cli.sending.processes import watch

            watch(tied, worker, lambda: os._exit(INTERRUPTED))
        stopping = stopped_by_signals(crew.beside(worker))
        with stopping, courier, worker, serving as server, collecting as collector:
            worker.run_loop(interval.total_seconds(), after_pass, before_pass, limit)


def _told(invocation: Invocation) -> Callable[[Taken], None]:
    """Reports as they come: a line each with `-v`."""
    from drip.cli.output import note
    from drip.cli.sending.bounces import words

    return (lambda taken: note(words(taken))) if invocation.verbose else (lambda taken: None)


def _served(
    invocation: Invocation, place: tuple[str, int] | None, clock: Callable[[], datetime], worker: Worker
) -> AbstractContextManager[Server | None]:
    """The API beside the worker; nothing without a place."""
    if place is None:
        return nullcontext()
    from drip.cli.project.serving import listening

    return listening(invocation, place, clock, lambda: worker.silence)
