"""The calendar of one new subscriber: what the engine does on a clock that jumps, and the reasons for it. Pure asking.

Times and decisions come from the rehearsal alone; only the words about them are made here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from zoneinfo import ZoneInfo

from drip.core.delivery import Reason
from drip.core.difference import in_words
from drip.core.expectations import SampleSubscriber
from drip.core.policy import merged_variables
from drip.core.schedule import base_of, subscriber_zone
from drip.core.sequence import INHERIT, Definition, Sequence, Step
from drip.core.shifts import reasons, short
from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.engine.people import find_subscription
from drip.engine.rehearsal import Happening, Rehearsal
from drip.engine.subscribe import Request
from drip.errors import Refused


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happens to the subscriber."""

    step: str
    at: datetime
    """UTC."""
    outcome: str
    """`sent`, `skipped`, `deferred`, `failed` or `cancelled`."""
    subject: str | None = None
    """As rendered; None when nothing was sent."""
    reason: str | None = None
    """Why it was not sent, in the vocabulary of the log; None when it was."""
    detail: str = ""
    """The same in words."""
    notes: tuple[str, ...] = ()
    """Why it is at this time."""
    until: datetime | None = None
    """When it is tried again; None when it is not."""
    completed: bool = False
    """Whether the subscription is completed by it."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """What becomes of one subscriber."""

    sequence: str
    started_at: datetime
    zone: ZoneInfo
    """The subscriber's."""
    rows: tuple[Row, ...] = ()
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    """At the end of the rows."""
    pending: tuple[str, datetime | None] | None = None
    """The step that comes next, and when; None when nothing does."""
    refused: str | None = None
    """Why they could not be subscribed at all; None when they were."""


def simulate(
    rehearsal: Rehearsal,
    definition: Definition,
    subscriber: SampleSubscriber,
    *,
    until: datetime | None = None,
    last: str | None = None,
) -> Calendar:
    """Subscribe somebody in a fresh rehearsal, whose clock shows their start, and let time pass.

    Args:
        until: how far to look, inclusive; None is to the end.
        last: the step after which nobody looks any further, once it is sent or skipped; empty looks at none.
    """
    sequence = definition.sequence
    rehearsal.take([definition])
    variables = dict(subscriber.variables)
    if subscriber.timezone is not None:
        variables["timezone"] = subscriber.timezone
    wanted = merged_variables(sequence, {}, variables).get("timezone")
    local = subscriber_zone(wanted, sequence, rehearsal.settings.timezone)
    calendar = Calendar(sequence.id, subscriber.at, local)
    try:
        rehearsal.subscribe(sequence.id, Request(subscriber.email, subscriber.name, variables, subscriber.at))
    except Refused as error:
        return replace(calendar, refused=error.message)
    teller = _Teller(sequence, rehearsal, subscriber.at, local)
    rows: list[Row] = []
    for happening in rehearsal.run(until) if last != "" else ():
        rows.append(teller.row(happening))
        if rows[-1].step == last and rows[-1].outcome in ("sent", "skipped"):
            break
    person = find_subscription(rehearsal.store, sequence.id, subscriber.email).person
    stored = rehearsal.store.sequences.by_id(person.sequence_id)
    assert stored is not None  # it was just saved
    pending = None if person.next_step_id is None else (stored.keys[person.next_step_id], person.next_send_at)
    return replace(calendar, rows=tuple(rows), status=person.status, pending=pending)


class _Teller:
    """Puts what happens into words, one after the other."""

    def __init__(self, sequence: Sequence, rehearsal: Rehearsal, start: datetime, local: ZoneInfo) -> None:
        self._sequence = sequence
        self._stale_after = rehearsal.settings.stale_after
        self._start = start
        self._local = local
        self._previous: datetime | None = None
        self._before: Happening | None = None

    def row(self, happening: Happening) -> Row:
        """What happened, with its reasons."""
        fact = happening.fact
        step = self._sequence.step(fact.step)
        assert step is not None  # the sequence is not edited
        row = Row(
            step=fact.step,
            at=happening.at,
            outcome=fact.kind,
            subject=None if happening.content is None else subject_of(happening.content),
            reason=fact.reason or None,
            detail=self._detail(step, happening),
            notes=self._notes(step, happening),
            until=happening.until,
            completed=fact.completed,
        )
        self._before = happening
        if fact.kind in ("sent", "skipped"):
            self._previous = happening.at
        return row

    def _notes(self, step: Step, happening: Happening) -> tuple[str, ...]:
        before = self._before
        if before is not None and before.fact.step == step.key:
            return (f"deferred since {short(before.at, self._local)}",)
        return reasons(
            step,
            self._sequence,
            base=base_of(self._sequence, origin=self._start, previous=self._previous),
            due_at=happening.fact.claim.due_at,
            looked_at=happening.at,
            local=self._local,
        )

    def _detail(self, step: Step, happening: Happening) -> str:
        fact = happening.fact
        match fact.reason:
            case "":
                return ""
            case Reason.WHEN:
                return f"{step.when} is not true"
            case Reason.STALE:
                limit = self._stale_after if self._sequence.stale_after == INHERIT else self._sequence.stale_after
                return f"stale: overdue for more than {in_words(limit)}"
            case CancelReason.STOPPED:
                return f"stop_when: {self._sequence.stop_when}"
        until = f"until {short(happening.until, self._local)}" if happening.until else ""
        if fact.reason == Reason.WINDOW:
            return f"outside the window {in_words(self._sequence.window_of(step))}, {until}"
        return ", ".join(words for words in (fact.text or fact.reason, until) if words)


def subject_of(content: bytes) -> str:
    """The subject of a message, decoded."""
    head = content.partition(b"\r\n\r\n")[0]
    raw = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")["Subject"] or ""
    return str(make_header(decode_header(raw.replace("\r\n", "").replace("\n", ""))))
