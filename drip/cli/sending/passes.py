"""What one pass of the worker did: as JSON values, in a line, and why it stopped early."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drip.cli.invocation import Invocation
from drip.cli.output import distance, moment
from drip.core.delivery import OutcomeKind
from drip.core.settings import Settings
from drip.engine.report import Report

KINDS = ("sent", "deferred", "failed", "skipped", "cancelled", "unknown", "completed")


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
    found = report_object(report)
    done = ", ".join(f"{kind} {found[kind]}" for kind in KINDS if found[kind]) or "nothing was due"
    if not any(found[kind] for kind in KINDS) and (report.remaining_due or report.trouble):
        done = "nothing was sent"
    if report.remaining_due:
        room = report.room_at
        until = f", the limits have room again {moment(room, invocation.zone)} ({distance(room, now)})" if room else ""
        return f"{done}; {report.remaining_due} still due{until}"
    if report.next_due_at is None:
        return f"{done}; nobody waits"
    return f"{done}; next due {moment(report.next_due_at, invocation.zone)} ({distance(report.next_due_at, now)})"


def trouble(report: Report, settings: Settings) -> tuple[str, str]:
    """Why a pass stopped early, and which settings to look at."""
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
            return f"{server} can't be used now: {said.removeprefix(f'{server}: ')}", hint
