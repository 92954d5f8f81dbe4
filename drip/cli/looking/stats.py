"""`stats`: the funnel of each sequence, and the rates that decide whether mail arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import json_option, sequence_named
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.stats import Funnel, StepCount

WIDEST = 30
"""Characters of the longest bar."""


@click.command("stats")
@sequence_named("[SEQ]", required=False)
@json_option
@pass_invocation
def stats_command(invocation: Invocation, sequence: str | None, as_json: bool) -> None:
    """Show how far people get, and how many leave.

    Per step: sent, failed, skipped, waiting for it, and left after it. Below, the rates of bounces, complaints and
    opt-outs; a warning at 2 % bounces or 0.1 % complaints, above which mailbox providers begin to refuse a sender.

    \b
    Example:
      drip stats
      drip stats welcome --json
    """
    from drip.cli.output import line, note, write_json
    from drip.engine.subscribe import find_sequence

    with invocation.reading() as store:
        chosen = [find_sequence(store, sequence)] if sequence else store.sequences.all()
        funnels = store.stats.funnels(chosen)
    if as_json:
        objects = [funnel_object(funnel) for funnel in funnels]
        write_json(objects[0] if sequence else objects)
        return
    if not funnels:
        note("no sequence is applied yet: run `drip apply`")
    for index, funnel in enumerate(funnels):
        for text in (*([""] if index else ()), *_lines(funnel)):
            line(text)


def funnel_object(funnel: Funnel) -> dict[str, Any]:
    """A funnel as JSON values; rates are shares of 1."""
    from dataclasses import asdict

    return {
        "sequence_id": funnel.sequence,
        "subscribed": funnel.subscribed,
        "subscribers": {status.value: count for status, count in funnel.people.items()},
        "sent": funnel.sent,
        "steps": [asdict(step) for step in funnel.steps],
        "left_before": funnel.left_before,
        "bounces": {"count": funnel.bounced, "rate": round(funnel.bounce_rate, 6)},
        "complaints": {"count": funnel.complained, "rate": round(funnel.complaint_rate, 6)},
        "opt_outs": {"count": funnel.opted_out, "rate": round(funnel.opt_out_rate, 6)},
        "warnings": funnel.warnings,
    }


def _lines(funnel: Funnel) -> Iterator[str]:
    from drip.cli.output import clean, count, paint
    from drip.core.subscription import SubscriptionStatus

    inside = ", ".join(f"{number} {status}" for status, number in funnel.people.items() if number)
    who = count(funnel.subscribed, "person", "people")
    yield paint(clean(funnel.sequence), "cyan") + f"   {who}" + (f": {inside}" if inside else "")
    if funnel.left_before:
        yield f"  {funnel.left_before} left before the first step"
    names = [clean(step.step) for step in funnel.steps] + ["completed"]
    most = max(funnel.subscribed, *(step.sent for step in funnel.steps), 1)
    width, digits = max(map(len, names)), len(str(most))
    for name, step in zip(names, funnel.steps, strict=False):
        bar = _bar(step.sent, most).ljust(WIDEST)
        yield f"  {name:{width}}  {step.sent:>{digits}}  {paint(bar, 'green')}  {_rest(step)}".rstrip()
    completed = funnel.people[SubscriptionStatus.COMPLETED]
    yield f"  {'completed':{width}}  {completed:>{digits}}  {paint(_bar(completed, most), 'cyan')}".rstrip()
    yield (
        f"  bounces {funnel.bounce_rate:.1%}, complaints {funnel.complaint_rate:.2%},"
        f" opt-outs {funnel.opt_out_rate:.1%}, of {count(funnel.sent, 'message')}"
    )
    for warning in funnel.warnings:
        yield "  " + paint(f"warning: {warning}", "yellow")


def _bar(number: int, most: int) -> str:
    return "█" * -(-number * WIDEST // most)


def _rest(step: StepCount) -> str:
    found = (
        (step.failed, "failed"),
        (step.skipped, "skipped"),
        (step.waiting, "waiting"),
        (step.left, "left after it"),
    )
    return ", ".join(f"{number} {word}" for number, word in found if number)
