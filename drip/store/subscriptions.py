"""Who is where. State changes are UPDATEs with the expected state in the WHERE, never a row saved whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.moments import to_milliseconds
from drip.core.subscription import LIVE, CancelReason, SubscriptionStatus
from drip.engine.records import NewSubscription, Person, Reschedule, Standing
from drip.store.database import Database
from drip.store.people import PERSON, person_of, standing_in
from drip.store.rows import dump, given, load, marks, moment, ms

OPT_OUTS = (CancelReason.UNSUBSCRIBED, CancelReason.COMPLAINED)
"""The person's own word: no other reason takes its place."""

_LIVE = ", ".join(f"'{status.value}'" for status in LIVE)


class Subscriptions:
    """People in sequences."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(
        self, sequence_id: int, contact_ids: Sequence[int]
    ) -> dict[int, tuple[int, SubscriptionStatus, CancelReason | None]]:
        """The standing subscription of each contact that has one in the sequence: (id, status, reason)."""
        if not contact_ids:
            return {}
        rows = self._database.rows(
            "SELECT contact_id, id, status, cancel_reason FROM subscription"
            f" WHERE replaced = 0 AND sequence_id = ? AND contact_id IN ({marks(len(contact_ids))})",
            sequence_id,
            *contact_ids,
        )
        return {
            contact_id: (row_id, SubscriptionStatus(status), CancelReason(reason) if reason else None)
            for contact_id, row_id, status, reason in rows
        }

    def replace(self, row_ids: Iterable[int]) -> None:
        """Make room for new subscriptions over these final ones."""
        self._database.run_many(
            "UPDATE subscription SET replaced = 1 WHERE id = ? AND status IN ('completed', 'cancelled')",
            [(row_id,) for row_id in row_ids],
        )

    def add(self, sequence_id: int, people: Iterable[NewSubscription], now: datetime) -> dict[int, int]:
        """Insert active subscriptions, and return them by their contact; the unique key refuses a second one."""
        at = to_milliseconds(now)
        rows = self._database.rows_of(
            "INSERT INTO subscription (sequence_id, contact_id, status, variables, key_id, started_at, origin_at,"
            " next_step_id, next_send_at, created_at, updated_at) VALUES {values} RETURNING contact_id, id",
            [
                (
                    *(sequence_id, person.contact_id, "active", dump(person.variables), person.key_id),
                    *(started := to_milliseconds(person.started_at), started),
                    *(person.next_step_id, ms(person.next_send_at), at, at),
                )
                for person in people
            ],
        )
        return dict(rows)

    def find(self, sequence_id: int, contact_id: int) -> int | None:
        """The id of a contact's standing subscription in a sequence, or None."""
        found: int | None = self._database.value(
            "SELECT id FROM subscription WHERE replaced = 0 AND sequence_id = ? AND contact_id = ?",
            *(sequence_id, contact_id),
        )
        return found

    def of_contact(self, contact_id: int) -> list[int]:
        """The ids of a contact's live subscriptions."""
        rows = self._database.rows(
            f"SELECT id FROM subscription WHERE replaced = 0 AND contact_id = ? AND status IN ({_LIVE})", contact_id
        )
        return [row_id for (row_id,) in rows]

    def standing_of(self, contact_ids: Sequence[int]) -> list[tuple[int, int, int]]:
        """(contact, subscription, sequence) of all that these contacts have, ended ones too; some thousands at once."""
        rows = self._database.rows(
            f"SELECT contact_id, id, sequence_id FROM subscription WHERE contact_id IN ({marks(len(contact_ids))})"
            " AND replaced = 0 ORDER BY id",
            *contact_ids,
        )
        return [(contact_id, row_id, sequence_id) for contact_id, row_id, sequence_id in rows]

    def failed(self, sequence_id: int | None = None, contact_id: int | None = None) -> list[int]:
        """The ids of failed subscriptions, of all or of one sequence or contact."""
        where, params = given(("sequence_id = ?", sequence_id), ("contact_id = ?", contact_id))
        rows = self._database.rows(
            f"SELECT id FROM subscription WHERE replaced = 0 AND status = 'failed'{where} ORDER BY id", *params
        )
        return [row_id for (row_id,) in rows]

    def people(self, row_ids: Sequence[int]) -> dict[int, Person]:
        """What schedules depend on, of at most some thousands."""
        rows = self._database.rows(f"SELECT {PERSON} WHERE s.id IN ({marks(len(row_ids))})", *row_ids)
        return {row[0]: person_of(row) for row in rows}

    def standing(self, sequence_id: int) -> Iterator[Standing]:
        """Everybody in a sequence whom an edit may move: active and paused ones, and failed ones. Place by place.

        Write nothing to them meanwhile.
        """
        return standing_in(self._database, sequence_id)

    def handled(self, row_ids: Sequence[int]) -> dict[int, set[int]]:
        """The ids of the steps that each has a delivery of which is not merely deferred."""
        found: dict[int, set[int]] = {row_id: set() for row_id in row_ids}
        for row_id, step_id in self._database.rows(
            "SELECT subscription_id, step_id FROM delivery"
            f" WHERE subscription_id IN ({marks(len(row_ids))}) AND state <> 'deferred'",
            *row_ids,
        ):
            found[row_id].add(step_id)
        return found

    def handled_among(self, row_ids: Sequence[int], step_ids: Sequence[int]) -> dict[int, set[int]]:
        """As `handled`, but only of these steps, and only those people who have one."""
        found: dict[int, set[int]] = {}
        # The plus keeps the steps out of the search: one look at all that a person has had, not one for each step.
        for row_id, step_id in self._database.rows(
            f"SELECT subscription_id, step_id FROM delivery WHERE subscription_id IN ({marks(len(row_ids))})"
            f" AND +step_id IN ({marks(len(step_ids))}) AND state <> 'deferred'",
            *row_ids,
            *step_ids,
        ):
            found.setdefault(row_id, set()).add(step_id)
        return found

    def states(self, row_id: int) -> dict[int, DeliveryState]:
        """The state of each delivery of a subscription, by the step's id."""
        rows = self._database.rows("SELECT step_id, state FROM delivery WHERE subscription_id = ?", row_id)
        return {step_id: DeliveryState(state) for step_id, state in rows}

    def variables(self, row_id: int) -> dict[str, Any]:
        """A subscription's own variables."""
        return load(self._database.value("SELECT variables FROM subscription WHERE id = ?", row_id) or "{}")

    def set_variables(self, row_id: int, variables: Mapping[str, Any], now: datetime) -> None:
        """Replace a subscription's variables."""
        self._database.run(
            "UPDATE subscription SET variables = ?, updated_at = ? WHERE id = ?",
            *(dump(variables), to_milliseconds(now), row_id),
        )

    def pause(self, row_id: int, now: datetime) -> bool:
        """Whether an active one is paused now."""
        at = to_milliseconds(now)
        return bool(
            self._database.run(
                "UPDATE subscription SET status = 'paused', paused_at = ?, updated_at = ?"
                " WHERE id = ? AND status = 'active'",
                *(at, at, row_id),
            )
        )

    def resume(
        self,
        person: Person,
        *,
        origin_at: datetime,
        base_at: datetime | None,
        next_send_at: datetime | None,
        now: datetime,
    ) -> bool:
        """Whether it was still paused as `person` says, and is active now."""
        return bool(
            self._database.run(
                "UPDATE subscription SET status = 'active', paused_at = NULL, origin_at = ?, base_at = ?,"
                " next_send_at = ?, updated_at = ? WHERE id = ? AND status = 'paused' AND paused_at = ?",
                *(ms(origin_at), ms(base_at), ms(next_send_at), ms(now), person.id, ms(person.paused_at)),
            )
        )

    def cancel(self, row_ids: Sequence[int], reason: CancelReason, now: datetime) -> list[tuple[int, int]]:
        """Cancel those that are live: (id, sequence's id) of each."""
        at = to_milliseconds(now)
        rows = self._database.rows(
            "UPDATE subscription SET status = 'cancelled', cancel_reason = ?, cancelled_at = ?, updated_at = ?,"
            " next_step_id = NULL, next_send_at = NULL"
            f" WHERE id IN ({marks(len(row_ids))}) AND status IN ({_LIVE}) RETURNING id, sequence_id",
            *(reason.value, at, at),
            *row_ids,
        )
        self.drop_deferred([row_id for row_id, _ in rows])
        if reason in OPT_OUTS:
            # What was cancelled before, for a lesser reason, is not to start again either.
            self._database.run(
                f"UPDATE subscription SET cancel_reason = ? WHERE id IN ({marks(len(row_ids))})"
                " AND status = 'cancelled' AND cancel_reason NOT IN ('unsubscribed', 'complained')",
                reason.value,
                *row_ids,
            )
        return [(row_id, sequence_id) for row_id, sequence_id in rows]

    def revive(self, row_id: int, step_id: int | None, next_send_at: datetime | None, now: datetime) -> bool:
        """Make a failed subscription active again, and the failed delivery of that step wait for another try."""
        changed = self._database.run(
            "UPDATE subscription SET status = 'active', paused_at = NULL, next_step_id = ?, next_send_at = ?,"
            " downs = 0, updated_at = ? WHERE id = ? AND status = 'failed'",
            *(step_id, ms(next_send_at), ms(now), row_id),
        )
        if changed:
            self._database.run(
                "UPDATE delivery SET state = 'deferred', reason = ?, attempts = 0, at = ?"
                " WHERE subscription_id = ? AND step_id = ? AND state = 'failed'",
                *(Reason.RETRY.value, ms(now), row_id, step_id),
            )
        return bool(changed)

    def cancelled_at(self, contact_id: int, reason: CancelReason, at: datetime) -> list[Person]:
        """A contact's subscriptions that were cancelled for that reason at that moment."""
        rows = self._database.rows(
            f"SELECT {PERSON} WHERE s.contact_id = ? AND s.replaced = 0 AND s.status = 'cancelled'"
            " AND s.cancel_reason = ? AND s.cancelled_at = ?",
            *(contact_id, reason.value, ms(at)),
        )
        return [person_of(row) for row in rows]

    def failed_with(self, delivery_ids: Sequence[int]) -> list[int]:
        """The subscriptions that failed because of one of these deliveries."""
        rows = self._database.rows(
            "SELECT s.id FROM delivery d JOIN subscription s ON s.id = d.subscription_id AND s.next_step_id = d.step_id"
            f" WHERE d.id IN ({marks(len(delivery_ids))}) AND s.status = 'failed'",
            *delivery_ids,
        )
        return [row_id for (row_id,) in rows]

    def when_cancelled(self, row_id: int) -> datetime | None:
        """When a subscription was cancelled; None when it was not."""
        return moment(self._database.value("SELECT cancelled_at FROM subscription WHERE id = ?", row_id))

    def reinstate(
        self, row_id: int, status: SubscriptionStatus, step_id: int | None, next_send_at: datetime | None, now: datetime
    ) -> None:
        """Take back a cancellation or a failure that turned out to be our own fault."""
        self._database.run(
            "UPDATE subscription SET status = ?, cancel_reason = NULL, cancelled_at = NULL, next_step_id = ?,"
            " next_send_at = ?, updated_at = ? WHERE id = ? AND status IN ('cancelled', 'failed')",
            *(status.value, step_id, ms(next_send_at), ms(now), row_id),
        )

    def complete(self, row_ids: Sequence[int], now: datetime) -> None:
        """End those that are active or paused and have nothing to come."""
        at = to_milliseconds(now)
        self._database.run_many(
            "UPDATE subscription SET status = 'completed', completed_at = ?, updated_at = ?, next_step_id = NULL,"
            " next_send_at = NULL WHERE id = ? AND status IN ('active', 'paused')",
            [(at, at, row_id) for row_id in row_ids],
        )

    def reschedule(self, changes: Iterable[Reschedule], now: datetime) -> None:
        """Set what comes next for each, and when."""
        at = to_milliseconds(now)
        self._database.run_many(
            "UPDATE subscription SET next_step_id = ?, next_send_at = ?, updated_at = ? WHERE id = ?",
            [(change.next_step_id, ms(change.next_send_at), at, change.id) for change in changes],
        )

    def retime(self, times: Iterable[tuple[int, datetime | None]], now: datetime) -> None:
        """Set when the step that they wait for is due: half the work of a reschedule."""
        at = to_milliseconds(now)
        self._database.run_many(
            "UPDATE subscription SET next_send_at = ?, updated_at = ? WHERE id = ?",
            [(ms(due), at, row_id) for row_id, due in times],
        )

    def hold_due(self, until: datetime, now: datetime, row_id: int | None = None) -> list[int]:
        """Make everybody wait for a decision whose step was due until then, or one of them; their ids.

        Their deliveries are `unknown`, handed over when they were due.
        """
        where, params = given(("id = ?", row_id))
        rows = self._database.rows(
            f"SELECT id FROM subscription WHERE status IN ('active', 'paused') AND next_send_at <= ?{where}",
            ms(until),
            *params,
        )
        self._database.run_many(
            "INSERT INTO delivery (subscription_id, step_id, state, reason, claim, at)"
            " SELECT id, next_step_id, 'unknown', 'restored', claim, next_send_at FROM subscription WHERE id = ?"
            " ON CONFLICT (subscription_id, step_id) DO UPDATE SET state = excluded.state, reason = excluded.reason,"
            " claim = excluded.claim, at = excluded.at",
            rows,
        )
        self._database.run_many(
            "UPDATE subscription SET next_send_at = NULL, owner = NULL, updated_at = ? WHERE id = ?",
            [(ms(now), held) for (held,) in rows],
        )
        return [held for (held,) in rows]

    def drop_deferred(self, row_ids: Sequence[int]) -> None:
        """Forget the deferred deliveries of subscriptions that will not try them again."""
        self._database.run_many(
            "DELETE FROM delivery WHERE subscription_id = ? AND state = 'deferred'", [(row_id,) for row_id in row_ids]
        )

    def drop_deferred_passed(self, sequence_id: int) -> None:
        """Forget the deferred deliveries of steps that were removed, or lie before what their person waits for."""
        self._database.run(
            f"DELETE FROM delivery {self._database.by_index('delivery_step')} WHERE state = 'deferred'"
            " AND step_id IN (SELECT id FROM step WHERE sequence_id = ?)"
            " AND EXISTS (SELECT 1 FROM subscription s JOIN step t ON t.id = delivery.step_id"
            " LEFT JOIN step n ON n.id = s.next_step_id"
            " WHERE s.id = delivery.subscription_id AND (t.position IS NULL OR n.id IS NULL OR t.rank < n.rank))",
            sequence_id,
        )

    def count_live(self, sequence_id: int) -> int:
        """How many live subscriptions a sequence has."""
        return int(
            self._database.value(
                f"SELECT COUNT(*) FROM subscription WHERE replaced = 0 AND sequence_id = ? AND status IN ({_LIVE})",
                sequence_id,
            )
        )

    def any_to_come(self, sequence_id: int) -> bool:
        """Whether anybody in a sequence is active or paused."""
        return (
            self._database.row(
                "SELECT 1 FROM subscription WHERE replaced = 0 AND sequence_id = ? AND status IN ('active', 'paused')"
                " LIMIT 1",
                sequence_id,
            )
            is not None
        )

    def has_any(self, sequence_id: int) -> bool:
        """Whether anybody ever was in it."""
        return self._database.row("SELECT 1 FROM subscription WHERE sequence_id = ? LIMIT 1", sequence_id) is not None
