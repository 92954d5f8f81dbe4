"""What is shown: counts, lists and pages. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drip.core.address import email_key
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.core.subscription import CancelReason, Subscription, SubscriptionStatus
from drip.store.counting import deliveries_by_state, people_by_status, waiting_by_step
from drip.store.database import EVERYTHING, Database
from drip.store.glance import COUNT_DUE, DUE_SEQUENCES
from drip.store.rows import given, load, marks, moment

_SUBSCRIPTION = """
    SELECT s.id, q.slug, c.email, c.name, s.status, s.started_at, (SELECT COUNT(*) FROM step l
        JOIN step p ON p.sequence_id = l.sequence_id AND p.rank <= l.rank AND p.position IS NOT NULL
        WHERE l.id = s.last_step_id), t.key, s.next_send_at, s.variables,
        COALESCE(d.attempts, 0), s.last_sent_at, s.paused_at, s.completed_at, s.cancelled_at, s.cancel_reason,
        s.created_at, s.updated_at, s.key_id, q.status, d.state
    FROM subscription s JOIN sequence q ON q.id = s.sequence_id JOIN contact c ON c.id = s.contact_id
    LEFT JOIN step t ON t.id = s.next_step_id
    LEFT JOIN delivery d ON d.subscription_id = s.id AND d.step_id = s.next_step_id
"""

_CONTACT = "JOIN contact c ON c.id = s.contact_id"
# The index by time has both and not which: no row of what was sent is looked at, only those that failed.
_SENT_SINCE = """
    SELECT (SELECT COUNT(*) FROM delivery WHERE state IN ('sent', 'failed') AND at >= ?)
        - (SELECT COUNT(*) FROM delivery WHERE state = 'failed'
            AND state IN ('sending', 'unknown', 'deferred', 'failed') AND at >= ?)
"""


@dataclass(frozen=True, slots=True)
class SequenceCounts:
    """The people of one sequence."""

    by_status: Mapping[SubscriptionStatus, int]
    """Every status is there."""
    next_due_at: datetime | None
    """When the next one is due, whether the sequence sends or not; None when nobody waits."""


@dataclass(frozen=True, slots=True)
class StepCounts:
    """What became of one step."""

    sent: int = 0
    waiting: int = 0
    """Active and paused people whose next step it is."""
    failed: int = 0
    skipped: int = 0
    deferred: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """The state of the whole."""

    due_now: int
    next_due_at: datetime | None
    sending: int
    unknown: int
    failed: int
    deferred: Mapping[str, int]
    """By reason."""
    sent_today: int
    """Since midnight UTC."""
    last_run_at: datetime | None
    """When a worker last ended or showed a sign of life; None before the first."""
    workers: int
    """How many are at work now."""


class Overview:
    """Answers for the commands that show something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, sequence_id: int | None = None) -> dict[int, SequenceCounts]:
        """The people of each sequence that has any, or of one of them, by its row's id."""
        due = dict(self._database.rows(DUE_SEQUENCES.replace("WHERE q.status = 'active'", "")))
        return {
            row_id: SequenceCounts(by_status, moment(due.get(row_id)))
            for row_id, by_status in people_by_status(self._database, sequence_id).items()
            if any(by_status.values())
        }

    def counts_of(self, sequence_id: int) -> dict[SubscriptionStatus, int]:
        """The people of one sequence by status; every status is there."""
        none = dict.fromkeys(SubscriptionStatus, 0)
        return people_by_status(self._database, sequence_id).get(sequence_id, none)

    def steps(self, sequence_id: int) -> dict[int, StepCounts]:
        """What became of each step of a sequence, by its row's id; those that nothing happened to are left out."""
        states = deliveries_by_state(self._database, sequence_id)
        waiting = waiting_by_step(self._database, sequence_id)
        names = ("sent", "failed", "skipped", "deferred", "unknown")
        return {
            step_id: StepCounts(
                waiting=waiting.get(step_id, 0), **{name: states.get(step_id, {}).get(name, 0) for name in names}
            )
            for step_id in states.keys() | waiting.keys()
        }

    def step_times(self, sequence_id: int) -> dict[int, tuple[datetime, datetime]]:
        """When each step of a sequence was made and last changed, by its row's id; removed ones included."""
        rows = self._database.rows("SELECT id, created_at, updated_at FROM step WHERE sequence_id = ?", sequence_id)
        return {row_id: (from_milliseconds(made), from_milliseconds(changed)) for row_id, made, changed in rows}

    def state(self, now: datetime) -> State:
        """The state of the whole."""
        open_states = dict(
            self._database.rows(
                "SELECT state, COUNT(*) FROM delivery WHERE state IN ('sending', 'unknown', 'deferred', 'failed')"
                " GROUP BY state"
            )
        )
        deferred = dict(
            # The second condition is that of the index.
            self._database.rows(
                "SELECT reason, COUNT(*) FROM delivery WHERE state = 'deferred'"
                " AND state IN ('sending', 'unknown', 'deferred', 'failed') GROUP BY reason"
            )
        )
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        firsts = [first for _, first in self._database.rows(DUE_SEQUENCES) if first is not None]
        ended, lease, alive = self._database.rows(
            "SELECT MAX(ended_at), MAX(CASE WHEN ended_at IS NULL THEN started_at END),"
            " COUNT(*) - COUNT(ended_at) FROM worker"
        )[0]
        seen = max((at for at in (ended, lease) if at is not None), default=None)
        return State(
            due_now=int(self._database.value(COUNT_DUE, to_milliseconds(now))),
            next_due_at=from_milliseconds(min(firsts)) if firsts else None,
            sending=open_states.get("sending", 0),
            unknown=open_states.get("unknown", 0),
            failed=open_states.get("failed", 0),
            deferred=deferred,
            sent_today=int(self._database.value(_SENT_SINCE, *[to_milliseconds(midnight)] * 2)),
            last_run_at=moment(seen),
            workers=alive,
        )

    def subscription(self, row_id: int) -> Subscription | None:
        """One subscription, or None."""
        row = self._database.row(_SUBSCRIPTION + " WHERE s.id = ?", row_id)
        return None if row is None else _subscription(row)

    def subscriptions(self, row_ids: Sequence[int]) -> dict[int, Subscription]:
        """Subscriptions by id; at most some thousands at once."""
        rows = self._database.rows(f"{_SUBSCRIPTION} WHERE s.id IN ({marks(len(row_ids))})", *row_ids)
        return {row[0]: _subscription(row) for row in rows}

    def of_contact(self, contact_id: int) -> list[Subscription]:
        """A contact's standing subscriptions, the oldest first."""
        rows = self._database.rows(
            f"{_SUBSCRIPTION} WHERE s.contact_id = ? AND s.replaced = 0 ORDER BY s.id", contact_id
        )
        return [_subscription(row) for row in rows]

    def subscribers(
        self,
        *,
        sequence_id: int | None = None,
        status: SubscriptionStatus | None = None,
        search: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
        before: int | None = None,
    ) -> list[Subscription]:
        """Standing subscriptions, newest first. A limit of None is no limit.

        Args:
            before: only those with a smaller id: pages that cost the same however far they are.
        """
        where, params = _filters(sequence_id, status, search)
        if before is not None:
            where += " AND s.id < ?"
            params.append(before)
        # The page is found first: in one statement, everything about everybody would be read to be sorted.
        join = _CONTACT if search else ""
        page = f"SELECT s.id FROM subscription s {join} {where} ORDER BY s.id DESC LIMIT ? OFFSET ?"
        rows = self._database.rows(
            f"{_SUBSCRIPTION} WHERE s.id IN ({page}) ORDER BY s.id DESC",
            *params,
            EVERYTHING if limit is None else limit,
            offset,
        )
        return [_subscription(row) for row in rows]

    def count_subscribers(
        self,
        *,
        sequence_id: int | None = None,
        status: SubscriptionStatus | None = None,
        search: str | None = None,
    ) -> int:
        """How many `subscribers` there are without a limit."""
        where, params = _filters(sequence_id, status, search)
        join = _CONTACT if search else ""
        return int(self._database.value(f"SELECT COUNT(*) FROM subscription s {join} {where}", *params))


def _filters(sequence_id: int | None, status: SubscriptionStatus | None, search: str | None) -> tuple[str, list[Any]]:
    where, params = given(("s.sequence_id = ?", sequence_id), ("s.status = ?", status))
    if search:
        # The database's own lower() knows ASCII alone: other letters are found as they are written.
        where += " AND (instr(c.email_key, ?) > 0 OR instr(lower(c.name), ?) > 0 OR instr(c.name, ?) > 0)"
        params += [email_key(search) if "@" in search else search.casefold(), search.casefold(), search]
    return f"WHERE s.replaced = 0{where}", params


def _subscription(row: tuple[Any, ...]) -> Subscription:
    status, next_key, next_send_at = SubscriptionStatus(row[4]), row[7], moment(row[8])
    return Subscription(
        id=row[0],
        sequence_id=row[1],
        email=row[2],
        name=row[3],
        status=status,
        started_at=from_milliseconds(row[5]),
        current_step=row[6],
        next_step=next_key,
        next_send_at=next_send_at,
        variables=load(row[9]),
        retry_count=row[10],
        last_sent_at=moment(row[11]),
        paused_at=moment(row[12]),
        completed_at=moment(row[13]),
        cancelled_at=moment(row[14]),
        cancel_reason=CancelReason(row[15]) if row[15] else None,
        created_at=from_milliseconds(row[16]),
        updated_at=from_milliseconds(row[17]),
        key_id=row[18],
        hold=_hold(status, next_key, next_send_at, row[19], row[20]),
    )


def _hold(
    status: SubscriptionStatus, next_key: str | None, next_send_at: datetime | None, sequence: str, state: str | None
) -> str | None:
    if status is not SubscriptionStatus.ACTIVE:
        return None
    if state == "unknown":
        return "unknown"
    if next_key is None:
        return "no_steps"
    return None if sequence == "active" else f"sequence_{sequence}"
