"""`run --dry-run`: what would be sent, by the same rules, with nothing written anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from drip.cli.invocation import Invocation
from drip.cli.output import clean, count, line, moment, note, progress, show_table, write_json
from drip.core.delivery import Outcome, Reason
from drip.core.limits import next_day_at
from drip.core.policy import Cancel, Defer, Fail, Send, Skip, merged_variables
from drip.engine.catalogue import Catalogue
from drip.engine.compose import Composer
from drip.engine.limits import Allowance
from drip.engine.records import Claim, StoredSequence
from drip.engine.sender import judge
from drip.errors import DatabaseEmpty, RenderFailed
from drip.store.reading import opened_for_reading
from drip.store.store import Store

MOST = 1000
"""People looked at, unless --limit says otherwise."""


def dry_run(invocation: Invocation, now: datetime, limit: int | None, as_json: bool) -> None:
    """Show what a pass at `now` would do with each person who is due; only their next step is looked at.

    Raises:
        DatabaseUnavailable: nobody can say, as the database can't be read, or would be migrated first.
    """
    try:
        with opened_for_reading(invocation.project.store.database) as store:
            due = store.claims.count_due(now)
            with progress("looking", min(due, limit or MOST)) as bar:
                rows = []
                for row in _look(invocation, store, now, limit or MOST):
                    rows.append(row)
                    bar.advance()
    except DatabaseEmpty as error:
        # A dry run of what is not there yet is no failure: nothing would be sent.
        note(f"{error.message}: nothing would be sent" + (f" ({error.hint})" if error.hint else ""))
        due, rows = 0, []
    if as_json:
        write_json({**_counts(rows), "would": rows, "remaining_due": due - len(rows)})
    else:
        _show(invocation, rows, due)


def _look(invocation: Invocation, store: Store, now: datetime, limit: int) -> Iterator[dict[str, Any]]:
    catalogue = Catalogue(store)
    # Any key will do: tokens are as long with every key, and nothing of this leaves.
    composer = Composer(invocation.settings, b"dry run")
    left = _room_of_the_day(invocation, store, now, limit)
    for claim in store.claims.peek(now, limit):
        stored = catalogue.get(claim.sequence_id)
        if left:
            action, reason, subject = _what_would_be(invocation, composer, stored, claim, now)
            left -= action == "send"
        else:
            until = next_day_at(now, invocation.settings.timezone)
            action, reason, subject = "defer", f"{Reason.LIMIT.value} until {moment(until, invocation.zone)}", None
        yield {
            "action": action,
            "sequence_id": stored.slug,
            "step": stored.keys.get(claim.step_id),
            "email": claim.email,
            "subject": subject,
            "reason": reason,
            "due_at": claim.due_at,
        }


def _room_of_the_day(invocation: Invocation, store: Store, now: datetime, wanted: int) -> int:
    """How many `per_day` and `ramp` leave; a rate only makes them go one after the other."""
    settings = invocation.settings
    return Allowance(store, replace(settings, limits=replace(settings.limits, rate=None))).room(now, wanted).count


def _what_would_be(
    invocation: Invocation, composer: Composer, stored: StoredSequence, claim: Claim, now: datetime
) -> tuple[str, str | None, str | None]:
    """Action, reason, subject."""
    match judge(stored, claim, invocation.settings, now):
        case Skip(reason):
            return "skip", reason.value, None
        case Cancel(why):
            return "cancel", why.value, None
        case Defer(reason, until):
            return "defer", f"{reason.value} until {moment(until, invocation.zone)}", None
        case Fail(reason, text):
            return "fail", f"{reason.value}: {text}", None
        case Outcome():
            return "defer", "the step was removed", None
        case Send():
            return _rendered(composer, stored, claim, now)


def _rendered(
    composer: Composer, stored: StoredSequence, claim: Claim, now: datetime
) -> tuple[str, str | None, str | None]:
    step = stored.sequence.step(stored.keys[claim.step_id])
    assert step is not None  # judge has looked
    variables = merged_variables(stored.sequence, claim.contact_variables, claim.variables)
    try:
        return "send", None, composer.message(stored, step, claim, variables, now).subject
    except RenderFailed as error:
        return "fail", f"{Reason.RENDER.value}: {error.message}", None


def _counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    found = Counter(row["action"] for row in rows)
    return {action: found[action] for action in ("send", "skip", "defer", "cancel", "fail")}


def _show(invocation: Invocation, rows: list[dict[str, Any]], due: int) -> None:
    if not rows:
        line("nothing would be sent")
        return
    cells = [
        (
            row["action"],
            row["sequence_id"],
            row["step"],
            row["email"],
            row["subject"] or row["reason"],
            moment(row["due_at"], invocation.zone),
        )
        for row in rows
    ]
    show_table(["would", "sequence", "step", "email", "subject or reason", "due"], cells)
    line(clean(", ".join(f"{number} to {action}" for action, number in _counts(rows).items() if number)))
    if due > len(rows):
        note(f"{count(due - len(rows), 'person is', 'people are')} due besides: --limit N looks at more")
