"""The worker's ledger: claim, mark, record. Every statement here runs per tick and uses an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from drip.core.delivery import POISON_AFTER, DeliveryState, Reason
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.engine.records import Accepted, Advance, Claim, Marked, Sending, Worker
from drip.store.database import Database
from drip.store.glance import COUNT_DUE, COUNT_DUE_TO, DUE_SEQUENCES, WORKERS
from drip.store.rows import load, marks, ms

PASSED_OVER = timedelta(hours=1)
"""Whoever is overdue for longer is in turn though a connection died on their message, but not time after time."""
# Both are in the index of those who are due.
IN_TURN = ("(s.downs = 0 OR (s.downs < ? AND s.next_send_at <= ?))", POISON_AFTER)

CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT s.id FROM subscription s WHERE s.sequence_id = ? AND s.status = 'active' AND s.owner IS NULL
            AND s.next_send_at IS NOT NULL AND s.next_send_at <= ? AND {whom}
        ORDER BY s.next_send_at LIMIT ? {skipping})
    UPDATE subscription SET owner = ?, claim = claim + 1
    WHERE status = 'active' AND owner IS NULL AND id IN (SELECT id FROM due)
    RETURNING id
"""

CLAIMED = """
    SELECT s.id, s.claim, s.sequence_id, s.contact_id, s.next_step_id, s.next_send_at, c.email, c.name, c.variables,
        s.variables, COALESCE(d.attempts, 0), s.downs,
        EXISTS (SELECT 1 FROM suppression x WHERE x.email_key = c.email_key)
    FROM subscription s JOIN contact c ON c.id = s.contact_id
    LEFT JOIN delivery d ON d.subscription_id = s.id AND d.step_id = s.next_step_id
    WHERE s.id IN ({}) ORDER BY s.next_send_at, s.id
"""

# The fence, and the last look at consent: nothing is marked but what is still this owner's, this claim's, unchanged,
# active, and not suppressed. The unique key on (subscription, step) refuses a step that was handled already.
MARK = """
    WITH v (id, claim, step_id, due, attempts, revision, content_hash) AS (VALUES {values})
    INSERT INTO delivery (subscription_id, step_id, state, attempts, claim, at, revision, content_hash)
    SELECT s.id, s.next_step_id, 'sending', v.attempts, s.claim, ?, v.revision, v.content_hash
    FROM v {join} subscription s ON s.id = v.id
    JOIN sequence q ON q.id = s.sequence_id JOIN contact c ON c.id = s.contact_id
    WHERE s.owner = ? AND s.claim = v.claim AND s.next_step_id = v.step_id AND s.next_send_at = v.due
        AND s.status = 'active' AND q.status = 'active'
        AND NOT EXISTS (SELECT 1 FROM suppression x WHERE x.email_key = c.email_key)
    {holding}
    ON CONFLICT (subscription_id, step_id) DO UPDATE SET state = 'sending', attempts = excluded.attempts,
        claim = excluded.claim, at = excluded.at, revision = excluded.revision, content_hash = excluded.content_hash,
        reason = NULL, code = NULL, answer = NULL
    WHERE delivery.state = 'deferred'
    RETURNING subscription_id
"""

# An answer may come late: after a sweep, and after somebody decided that the message was not sent.
SETTLE = """
    WITH v (subscription_id, step_id, claim, state, reason, at, code, answer, attempts) AS (VALUES {values})
    UPDATE delivery SET state = v.state, reason = v.reason, at = v.at, code = CAST(v.code AS BIGINT),
        answer = v.answer, attempts = COALESCE(CAST(v.attempts AS BIGINT), delivery.attempts)
    FROM v WHERE delivery.subscription_id = v.subscription_id AND delivery.step_id = v.step_id
        AND delivery.claim = v.claim AND (delivery.state IN ('sending', 'unknown')
            OR (delivery.state = 'deferred' AND delivery.reason = 'not_sent'))
    RETURNING delivery.subscription_id
"""

# For what never was marked: refused before the dot, skipped, failed to render.
PUT = """
    INSERT INTO delivery (subscription_id, step_id, state, reason, attempts, claim, at, revision, code, answer)
    SELECT s.id, ?, ?, ?, ?, s.claim, ?, ?, ?, ? FROM subscription s WHERE s.id = ? AND s.claim = ?
        AND s.next_step_id = ? AND s.status IN ('active', 'paused')
    ON CONFLICT (subscription_id, step_id) DO UPDATE SET state = excluded.state, reason = excluded.reason,
        attempts = excluded.attempts, claim = excluded.claim, at = excluded.at, revision = excluded.revision,
        code = excluded.code, answer = excluded.answer
    WHERE delivery.state = 'deferred'
"""

ADVANCE = """
    WITH v (id, claim, step_id, last_step_id, base_at, sent_at, next_step_id, next_send_at, completed, completed_at, at)
        AS (VALUES {values})
    UPDATE subscription SET last_step_id = CAST(v.last_step_id AS BIGINT), base_at = CAST(v.base_at AS BIGINT),
        last_sent_at = COALESCE(CAST(v.sent_at AS BIGINT), subscription.last_sent_at),
        next_step_id = CAST(v.next_step_id AS BIGINT), next_send_at = CAST(v.next_send_at AS BIGINT),
        downs = 0, owner = NULL, status = CASE WHEN v.completed THEN 'completed' ELSE subscription.status END,
        completed_at = CAST(v.completed_at AS BIGINT), updated_at = v.at
    FROM v WHERE subscription.id = v.id AND subscription.claim = v.claim AND subscription.next_step_id = v.step_id
        AND subscription.status IN ('active', 'paused')
    RETURNING subscription.id
"""

RELEASE = """
    WITH v (id, claim) AS (VALUES {values})
    UPDATE subscription SET owner = NULL
    FROM v WHERE subscription.id = v.id AND subscription.claim = v.claim AND subscription.owner = ?
    RETURNING subscription.id, subscription.claim
"""

HELD = """
    WITH v (id, claim) AS (VALUES {values})
    SELECT s.id, s.claim FROM v {join} subscription s ON s.id = v.id WHERE s.claim = v.claim AND s.owner = ?
"""


class Claims:
    """Who sends what, and how far it got."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mark = MARK.format(values="{values}", holding=database.holding, join=database.ordered_join)
        self._held = HELD.format(values="{values}", join=database.ordered_join)

    def register(self, machine: str, pid: int, birth: str, now: datetime, lease_until: datetime) -> int:
        """A new worker's id; what ended before is forgotten but for the last."""
        self._database.run(
            "DELETE FROM worker WHERE ended_at IS NOT NULL"
            " AND id < (SELECT MAX(id) FROM worker WHERE ended_at IS NOT NULL)"
        )
        return int(
            self._database.value(
                "INSERT INTO worker (machine, pid, birth, started_at, lease_until) VALUES (?, ?, ?, ?, ?) RETURNING id",
                *(machine, pid, birth, ms(now), ms(lease_until)),
            )
        )

    def renew(self, worker_id: int, identity: tuple[str, int, str], now: datetime, lease_until: datetime) -> None:
        """The worker is alive, also when it was taken for dead; what was taken from it stays taken."""
        self._database.run(
            "INSERT INTO worker (id, machine, pid, birth, started_at, lease_until) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until, ended_at = NULL",
            *(worker_id, *identity, ms(now), ms(lease_until)),
        )

    def end(self, worker_id: int, now: datetime) -> None:
        """The worker has stopped; it holds nothing any more."""
        self._database.run("UPDATE worker SET ended_at = ? WHERE id = ? AND ended_at IS NULL", ms(now), worker_id)

    def workers(self) -> list[Worker]:
        """Those that have not said that they ended."""
        return [
            Worker(row_id, machine, pid, birth, from_milliseconds(lease))
            for row_id, machine, pid, birth, lease in self._database.rows(WORKERS)
        ]

    def sending_of(self, worker_id: int) -> list[Sending]:
        """What a worker had marked and not recorded."""
        rows = self._database.rows(
            "SELECT d.subscription_id, d.step_id, d.claim, d.at, d.attempts FROM delivery d JOIN subscription s"
            " ON s.id = d.subscription_id WHERE d.state = 'sending' AND s.owner = ?",
            worker_id,
        )
        return [
            Sending(subscription_id, step_id, claim, from_milliseconds(at), attempts)
            for subscription_id, step_id, claim, at, attempts in rows
        ]

    def free_all(self, worker_id: int) -> list[str]:
        """Take back every claim of a worker; the addresses that they were of."""
        rows = self._database.rows(
            "SELECT c.email FROM subscription s JOIN contact c ON c.id = s.contact_id WHERE s.owner = ?", worker_id
        )
        self._database.run("UPDATE subscription SET owner = NULL WHERE owner = ?", worker_id)
        return [email for (email,) in rows]

    def due_sequences(self, now: datetime) -> list[int]:
        """The ids of the active sequences that have somebody due, the longest overdue first."""
        at = to_milliseconds(now)
        rows = self._database.rows(DUE_SEQUENCES)
        return [
            row_id for row_id, first in sorted(rows, key=lambda row: row[1] or 0) if first is not None and first <= at
        ]

    def claim(self, worker_id: int, now: datetime, limit: int) -> list[Claim]:
        """Claim at most `limit` due people, the longest overdue first, in fair shares over the sequences.

        Call it in a transaction of its own.
        """
        ids = self._claim(worker_id, now, limit, *IN_TURN, ms(now - PASSED_OVER))
        # Those that a connection died on go last, so that one of them can't keep the others waiting for ever.
        ids = ids or self._claim(worker_id, now, limit, "s.downs > 0")
        return self._claims(ids)

    def _claim(self, worker_id: int, now: datetime, limit: int, whom: str, *params: Any) -> list[int]:
        sql = CLAIM.format(whom=whom, skipping=self._database.skipping)
        ids: list[int] = []
        sequences = self.due_sequences(now)
        while sequences and len(ids) < limit:
            share = -(-(limit - len(ids)) // len(sequences))
            still: list[int] = []
            for sequence_id in sequences:
                wanted = min(share, limit - len(ids))
                if wanted <= 0:
                    break
                rows = self._database.rows(sql, sequence_id, to_milliseconds(now), *params, wanted, worker_id)
                ids += [row_id for (row_id,) in rows]
                if len(rows) == wanted:
                    still.append(sequence_id)
            sequences = still
        return ids

    def peek(self, now: datetime, limit: int) -> list[Claim]:
        """What `claim` would give, with nothing claimed."""
        ids: list[int] = []
        for sequence_id in self.due_sequences(now):
            rows = self._database.rows(
                "SELECT id FROM subscription WHERE sequence_id = ? AND status = 'active' AND owner IS NULL"
                " AND next_send_at IS NOT NULL AND next_send_at <= ? ORDER BY next_send_at LIMIT ?",
                *(sequence_id, to_milliseconds(now), limit - len(ids)),
            )
            ids += [row_id for (row_id,) in rows]
        return self._claims(ids)

    def count_due(self, now: datetime) -> int:
        """How many people in active sequences are due and unclaimed."""
        return int(self._database.value(COUNT_DUE, to_milliseconds(now)))

    def count_due_to(self, most: int, now: datetime) -> int:
        """As `count_due`, counted no further than to `most`."""
        sql = COUNT_DUE_TO.format(join=self._database.ordered_join)
        return int(self._database.value(sql, to_milliseconds(now), most))

    def next_due(self) -> datetime | None:
        """When the next one of an active sequence is due; None when nobody waits."""
        firsts = [first for _, first in self._database.rows(DUE_SEQUENCES) if first is not None]
        return from_milliseconds(min(firsts)) if firsts else None

    def mark(self, worker_id: int, marked: Sequence[Marked], now: datetime) -> set[int]:
        """Make the deliveries `sending`; the subscriptions of which that was done.

        Not those whose claim is lost or changed, or who may not be mailed.
        """
        rows = [
            (
                *(one.claim.subscription_id, one.claim.number, one.claim.step_id, ms(one.claim.due_at)),
                *(one.claim.attempts + 1, one.revision, one.content_hash),
            )
            for one in marked
        ]
        return {row_id for (row_id,) in self._database.rows_of(self._mark, rows, ms(now), worker_id)}

    def settle(
        self,
        subscription_id: int,
        step_id: int,
        claim: int,
        state: DeliveryState,
        now: datetime,
        *,
        reason: Reason | None = None,
        attempts: int | None = None,
        code: int | None = None,
        answer: str | None = None,
    ) -> bool:
        """Record the answer to a marked delivery; False when it was settled already or belongs to a later claim.

        Args:
            attempts: None leaves the number that the mark wrote.
        """
        why = None if reason is None else reason.value
        row = (subscription_id, step_id, claim, state.value, why, ms(now), code, answer, attempts)
        return bool(self._database.rows_of(SETTLE, [row]))

    def accept(self, accepted: Sequence[Accepted]) -> set[int]:
        """Record that marked deliveries were accepted: `settle` for many; the subscriptions of which that was done."""
        sent = DeliveryState.SENT.value
        rows = [
            (one.subscription_id, one.step_id, one.claim, sent, None, ms(one.at), one.code, one.answer, None)
            for one in accepted
        ]
        return {row_id for (row_id,) in self._database.rows_of(SETTLE, rows)}

    def put(
        self,
        claim: Claim,
        state: DeliveryState,
        reason: Reason,
        now: datetime,
        *,
        attempts: int,
        revision: int | None,
        code: int | None = None,
        answer: str | None = None,
    ) -> bool:
        """Record a delivery that was never marked; False when the claim is not the person's any more."""
        return bool(
            self._database.run(
                PUT,
                *(claim.step_id, state.value, reason.value, attempts, ms(now), revision, code, answer),
                *(claim.subscription_id, claim.number, claim.step_id),
            )
        )

    def advance(self, advances: Sequence[Advance]) -> set[int]:
        """Move people on; the subscriptions of which that was done, not those that are no longer at that step."""
        rows = [
            (
                *(one.subscription_id, one.claim, one.step_id, one.last_step_id, ms(one.base_at), ms(one.sent_at)),
                *(one.next_step_id, ms(one.next_send_at), one.completed),
                *(ms(one.at) if one.completed else None, ms(one.at)),
            )
            for one in advances
        ]
        return {row_id for (row_id,) in self._database.rows_of(ADVANCE, rows)}

    def note_sent(self, subscription_id: int, claim: int, step_id: int, sent_at: datetime) -> None:
        """Remember the message that was on its way when its subscription was cancelled."""
        self._database.run(
            "UPDATE subscription SET last_step_id = ?, base_at = ?, last_sent_at = ?"
            " WHERE id = ? AND claim = ? AND status = 'cancelled'",
            *(step_id, ms(sent_at), ms(sent_at), subscription_id, claim),
        )

    def postpone(self, subscription_id: int, step_id: int, claim: int, until: datetime | None, now: datetime) -> bool:
        """Let a person wait at their step until a time; None: until somebody decides."""
        return bool(
            self._database.run(
                "UPDATE subscription SET next_send_at = ?, owner = NULL, downs = 0, updated_at = ?"
                " WHERE id = ? AND claim = ? AND next_step_id = ? AND status IN ('active', 'paused')",
                *(ms(until), ms(now), subscription_id, claim, step_id),
            )
        )

    def fail(self, claim: Claim, now: datetime) -> bool:
        """Stop a person at a step that can't be sent, until somebody retries; that they were paused is remembered."""
        return bool(
            self._database.run(
                "UPDATE subscription SET status = 'failed', next_send_at = NULL, owner = NULL, downs = 0,"
                " updated_at = ? WHERE id = ? AND claim = ? AND next_step_id = ? AND status IN ('active', 'paused')",
                *(ms(now), claim.subscription_id, claim.number, claim.step_id),
            )
        )

    def release(self, worker_id: int, claims: Sequence[Claim]) -> list[Claim]:
        """Give claims back as they were; not what this worker has claimed anew meanwhile.

        Returns:
            Those that it still held: the others were taken from it before.
        """
        return self._of(RELEASE, worker_id, claims)

    def held(self, worker_id: int, claims: Sequence[Claim]) -> list[Claim]:
        """Those of these that a worker still holds."""
        return self._of(self._held, worker_id, claims)

    def restore_time(self, subscription_id: int, step_id: int, claim: int, due_at: datetime) -> None:
        """Let a person who was held for a decision be due as they were when they were claimed."""
        self._database.run(
            "UPDATE subscription SET next_send_at = ?"
            " WHERE id = ? AND claim = ? AND next_step_id = ? AND next_send_at IS NULL",
            *(ms(due_at), subscription_id, claim, step_id),
        )

    def count_down(self, claim: Claim) -> None:
        """Remember that a connection died on this person's message; the others go first from now on."""
        self._database.run(
            "UPDATE subscription SET downs = downs + 1 WHERE id = ? AND claim = ? AND next_step_id = ?",
            *(claim.subscription_id, claim.number, claim.step_id),
        )

    def _of(self, sql: str, worker_id: int, claims: Sequence[Claim]) -> list[Claim]:
        """Those of these that a statement finds in the hands of a worker."""
        found = set(self._database.rows_of(sql, [(one.subscription_id, one.number) for one in claims], worker_id))
        return [one for one in claims if (one.subscription_id, one.number) in found]

    def _claims(self, ids: Sequence[int]) -> list[Claim]:
        found: list[Claim] = []
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            found += [_claim(row) for row in self._database.rows(CLAIMED.format(marks(len(part))), *part)]
        return found


def _claim(row: tuple[Any, ...]) -> Claim:
    return Claim(
        subscription_id=row[0],
        number=row[1],
        sequence_id=row[2],
        contact_id=row[3],
        step_id=row[4],
        due_at=from_milliseconds(row[5]),
        email=row[6],
        name=row[7],
        contact_variables=load(row[8]),
        variables=load(row[9]),
        attempts=row[10],
        downs=row[11],
        suppressed=bool(row[12]),
    )
