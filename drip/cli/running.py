"""`run`: the worker, as a loop or for one pass."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import DURATION, MOMENT, PLACE, json_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.api.server import Server
    from drip.core.settings import Settings
    from drip.engine.ledger import Fact
    from drip.engine.reports import Taken
    from drip.engine.worker import Report, Worker

POSTING_SECONDS = 20.0
"""How long one pass waits for webhooks at its end; what is left is posted by the next."""
KINDS = ("sent", "deferred", "failed", "skipped", "cancelled", "unknown", "completed")


@click.command("run")
@click.option("--once", is_flag=True, help="One pass until nothing is due.")
@click.option("--http", "place", type=PLACE, help="Also serve the API there.")
@click.option("--interval", type=DURATION, default="5s", show_default=True, help="Between the passes of the loop.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take at most N people in one pass.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent; write nothing anywhere.")
@click.option("--now", "pretended", type=MOMENT, help="Pretend that it is then. Not with smtp.")
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
        from drip.cli.dry_run import dry_run as look

        look(invocation, pretended or invocation.now(), limit, as_json)
        return
    if pretended is not None and invocation.settings.transport == "smtp":
        raise Invalid("--now moves the clock, and the transport is smtp", "use `transport: outbox`, or --dry-run")
    if limit is not None and not once:
        raise Invalid("--limit goes with --once (or --dry-run)")
    if place is not None and once:
        raise Invalid("--http goes with the loop", "leave out --once, or use `drip serve`")
    if once:
        context.exit(_once(invocation, limit, _clock(invocation, pretended), as_json))
    _loop(invocation, interval, _clock(invocation, pretended), as_json, place)


def _clock(invocation: Invocation, pretended: datetime | None) -> Callable[[], datetime]:
    return invocation.now if pretended is None else lambda: pretended


def _once(invocation: Invocation, limit: int | None, clock: Callable[[], datetime], as_json: bool) -> int:
    from drip.cli.main import DONE, PARTLY, UNAVAILABLE
    from drip.cli.output import complain, line, write_json
    from drip.cli.stopping import stopped_by_signals

    with invocation.opened() as store, _Teller(invocation) as teller:
        worker = invocation.project.worker(clock=clock, told=teller.tell)
        posting = invocation.project.courier(clock=clock) if store.endpoints.any() else nullcontext()
        with stopped_by_signals(worker), posting as courier:
            with worker:
                report = worker.run_once(limit)
            if courier is not None:
                courier.finish(POSTING_SECONDS, given_up=lambda: worker.stopped)
    if as_json:
        write_json(report_object(report))
    else:
        line(summary(report, invocation, clock()))
    if report.trouble is not None:
        complain(*trouble(report, invocation.settings))
        return UNAVAILABLE
    return PARTLY if report.counts["failed"] else DONE


def _loop(
    invocation: Invocation,
    interval: timedelta,
    clock: Callable[[], datetime],
    as_json: bool,
    place: tuple[str, int] | None,
) -> None:
    from drip.cli.output import complain, line, note, write_json_line
    from drip.cli.stopping import stopped_by_signals

    told: list[str] = [""]

    def after_pass(report: Report) -> None:
        courier.check()
        if collector is not None:
            collector.check()
        if server is not None:
            server.check()
        if any(report_object(report)[kind] for kind in KINDS):
            if as_json:
                write_json_line(report_object(report))
            else:
                line(f"{clock().astimezone(invocation.zone):%H:%M:%S}  {summary(report, invocation, clock())}")
        message, hint = trouble(report, invocation.settings) if report.trouble else ("", None)
        if message != told[0]:
            complain(message, hint) if message else note("drip: it works again")
            told[0] = message

    with invocation.opened(), _Teller(invocation, live=False) as teller:
        worker = invocation.project.worker(clock=clock, told=teller.tell)
        courier = invocation.project.courier(clock=clock)
        collecting = invocation.project.collector(clock=clock, told=_told(invocation))
        serving = _served(invocation, place, clock, worker)
        with stopped_by_signals(worker), courier, worker, serving as server, collecting as collector:
            worker.run_loop(interval.total_seconds(), after_pass)


def _told(invocation: Invocation) -> Callable[[Taken], None]:
    """Reports as they come: a line each with `-v`."""
    from drip.cli.bounces import words
    from drip.cli.output import note

    return (lambda taken: note(words(taken))) if invocation.verbose else (lambda taken: None)


def _served(
    invocation: Invocation, place: tuple[str, int] | None, clock: Callable[[], datetime], worker: Worker
) -> AbstractContextManager[Server | None]:
    """The API beside the worker; nothing without a place."""
    if place is None:
        return nullcontext()
    from drip.cli.serving import listening

    return listening(invocation, place, clock, lambda: worker.silence)


def report_object(report: Report) -> dict[str, Any]:
    """What one pass did, as JSON values."""
    counts = {kind: report.counts[kind] for kind in KINDS}
    return {
        **counts,
        "unknown": counts["unknown"] + report.swept,
        "remaining_due": report.remaining_due,
        "next_due_at": report.next_due_at,
        "duration_seconds": round(report.seconds, 3),
    }


def summary(report: Report, invocation: Invocation, now: datetime) -> str:
    """What one pass did, in a line: `sent 3, skipped 1; next due Fri 2026-03-27 09:30 (in 2h)`."""
    from drip.cli.output import distance, moment

    found = report_object(report)
    done = ", ".join(f"{kind} {found[kind]}" for kind in KINDS if found[kind]) or "nothing was due"
    if not any(found[kind] for kind in KINDS) and (report.remaining_due or report.trouble):
        done = "nothing was sent"
    if report.remaining_due:
        return f"{done}; {report.remaining_due} still due"
    if report.next_due_at is None:
        return f"{done}; nobody waits"
    return f"{done}; next due {moment(report.next_due_at, invocation.zone)} ({distance(report.next_due_at, now)})"


def trouble(report: Report, settings: Settings) -> tuple[str, str]:
    """Why a pass stopped early, and which settings to look at."""
    from drip.core.delivery import OutcomeKind

    outcome = report.trouble
    assert outcome is not None
    if report.unavailable is not None:
        return report.unavailable.message, report.unavailable.hint or "what is due stays due, run it again later"
    code = f"{outcome.code} " if outcome.code else ""
    said = f"{code}{outcome.text}".strip() or str(outcome.kind)
    if settings.smtp is None or settings.transport == "outbox":
        return (
            f"the outbox {settings.outbox} can't be used: {said}",
            "look at `outbox` in drip.yaml and its permissions",
        )
    server = f"{settings.smtp.host}:{settings.smtp.port}"
    match outcome.kind:
        case OutcomeKind.MISCONFIGURED:
            return (
                f"{server} does not take us: {said}",
                "look at `smtp` in drip.yaml (user, password, security) and `from`",
            )
        case OutcomeKind.OUR_FAULT:
            hint = "look at `from` and `smtp` in drip.yaml, and at the domain's SPF and DKIM; nobody was suppressed"
            return f"{server} refuses our mail: {said}", hint
        case _:
            hint = "look at `smtp.host` and `smtp.port` in drip.yaml; what is due stays due, run it again later"
            return f"{server} can't be used now: {said}", hint


class _Teller:
    """Outcomes as they come: a line each with `-v`, else a live count for whoever watches."""

    def __init__(self, invocation: Invocation, *, live: bool = True) -> None:
        from collections import Counter
        from contextlib import nullcontext

        from drip.cli.output import colours, progress

        self._verbose = invocation.verbose
        self._zone = invocation.zone
        self._counts: Counter[str] = Counter()
        self._bar = progress("sending", None) if live and colours(sys.stderr) and not self._verbose else nullcontext()
        self._shown: Any = None

    def __enter__(self) -> _Teller:
        self._shown = self._bar.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._bar.__exit__(*exc)

    def tell(self, fact: Fact) -> None:
        """Called on the writer's thread."""
        if self._verbose:
            from drip.cli.output import clean, line

            why = " ".join(word for word in (fact.reason, fact.text) if word)
            words = f"{fact.kind:9} {fact.step}  {fact.claim.email}" + (f"  {why}" if why else "")
            line(clean(words), err=True)
        elif self._shown is not None:
            self._counts[fact.kind] += 1
            self._shown.say("  ".join(f"{kind} {number}" for kind, number in self._counts.items()))
