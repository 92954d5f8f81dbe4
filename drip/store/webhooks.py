"""What is to be posted and what was: rows made with their event, claimed by one process at a time. Posts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from drip.core.event_ids import event_id, event_number
from drip.core.events import PUBLIC_EVENTS, EventType
from drip.core.moments import format_moment
from drip.core.subscription import CancelReason
from drip.core.webhooks import PostState, event_body
from drip.engine.records import Backlog, Endpoint, Event, Post, WebhookDelivery
from drip.store.database import EVERYTHING, Database
from drip.store.endpoints import Endpoints
from drip.store.rows import given, load, marks, moment, ms

_CHUNK = 500

_INSERT = """
    INSERT INTO webhook_delivery (event_id, endpoint_id, public_id, body, next_attempt_at) VALUES (?, ?, ?, ?, ?)
"""

_PEOPLE = """
    SELECT s.id, q.slug, c.email, s.variables
    FROM subscription s JOIN sequence q ON q.id = s.sequence_id JOIN contact c ON c.id = s.contact_id
    WHERE s.id IN ({})
"""

_DUE = """
    FROM webhook_delivery WHERE endpoint_id = ? AND state = 'waiting' AND next_attempt_at <= ?
        AND (lease_until IS NULL OR lease_until <= ?)
"""

_CLAIM = f"""
    WITH due AS MATERIALIZED (SELECT id {_DUE} ORDER BY next_attempt_at, id LIMIT ? {{skipping}})
    UPDATE webhook_delivery SET owner = ?, lease_until = ?
    WHERE state = 'waiting' AND id IN (SELECT id FROM due)
    RETURNING id, endpoint_id, public_id, body, attempts,
        (SELECT subscription_id FROM event WHERE event.id = webhook_delivery.event_id)
"""

_RECORD = """
    UPDATE webhook_delivery SET state = ?, attempts = ?, next_attempt_at = ?, owner = NULL, lease_until = NULL,
        last_attempt_at = ?, status = ?, answer = ?
    WHERE id = ? AND owner = ? AND state = 'waiting'
"""

_SHOWN = """
    SELECT d.id, d.public_id, e.type, d.endpoint_id, n.key_id, n.url, d.state, d.attempts, d.next_attempt_at,
        d.last_attempt_at, d.status, d.answer
    FROM webhook_delivery d JOIN event e ON e.id = d.event_id JOIN webhook_endpoint n ON n.id = d.endpoint_id
"""


class Webhooks:
    """The outbox of events."""

    def __init__(self, database: Database, endpoints: Endpoints, project: str) -> None:
        """`project` is the `app` of what goes to drip.yaml's endpoints."""
        self._database = database
        self._endpoints = endpoints
        self._project = project

    def wants(self, events: Iterable[Event]) -> bool:
        """Whether any of these is told to anybody."""
        return any(event.type in PUBLIC_EVENTS for event in events) and bool(self._endpoints.active())

    def fan_out(self, numbered: Sequence[tuple[int, str, Event]]) -> None:
        """Make a row for each endpoint that wants an event; call it in the transaction of the events.

        Args:
            numbered: the row's number, the public id and the event.
        """
        endpoints = self._endpoints.active()
        told = [entry for entry in numbered if entry[2].type in PUBLIC_EVENTS]
        for start in range(0, len(told), _CHUNK):
            self._fan_out(told[start : start + _CHUNK], endpoints)

    def _fan_out(self, numbered: Sequence[tuple[int, str, Event]], endpoints: Sequence[Endpoint]) -> None:
        people = self._people([event for _, _, event in numbered])
        steps = self._steps([event for _, _, event in numbered])
        rows = []
        for number, public_id, event in numbered:
            bodies: dict[str, bytes] = {}
            for endpoint in endpoints:
                if endpoint.events is not None and event.type.value not in endpoint.events:
                    continue
                app = endpoint.key_id or self._project
                if app not in bodies:
                    bodies[app] = _body(event, app, public_id, people, steps)
                rows.append((number, endpoint.id, public_id, bodies[app], ms(event.at)))
        self._database.run_many(_INSERT, rows)

    def told(self, numbered: Sequence[tuple[int, Event]], app: str) -> list[bytes]:
        """Events as they would be posted, for whoever asks instead. `app` is as in the posts."""
        people = self._people([event for _, event in numbered])
        steps = self._steps([event for _, event in numbered])
        return [_body(event, app, event_id(number, event.at), people, steps) for number, event in numbered]

    def _people(self, events: Sequence[Event]) -> dict[int, dict[str, Any]]:
        ids = list({event.subscription_id for event in events if event.subscription_id is not None})
        return {
            row_id: {
                "sequence_id": slug,
                "subscription_id": row_id,
                "contact_email": email,
                "variables": load(variables),
            }
            for row_id, slug, email, variables in self._database.rows(_PEOPLE.format(marks(len(ids))), *ids)
        }

    def _steps(self, events: Sequence[Event]) -> dict[int, dict[str, Any]]:
        ids = list({event.step_id for event in events if event.step_id is not None})
        rows = self._database.rows(f"SELECT id, key, position FROM step WHERE id IN ({marks(len(ids))})", *ids)
        return {row_id: {"step_id": row_id, "step_key": key, "position": position} for row_id, key, position in rows}

    def any_due(self, endpoint_id: int, now: datetime, awake: datetime) -> bool:
        """Whether something for an endpoint is due and nobody posts it.

        Args:
            now: the moment as schedules see it.
            awake: the real one, which leases run by.
        """
        return self._database.row(f"SELECT 1 {_DUE} LIMIT 1", endpoint_id, ms(now), ms(awake)) is not None

    def claim(
        self, endpoint_id: int, owner: str, now: datetime, awake: datetime, lease_until: datetime, limit: int
    ) -> list[Post]:
        """Claim what is due for an endpoint, the longest due first; call it in a transaction.

        Args:
            owner: names the courier; nobody else posts these before `lease_until`.
            now: the moment as schedules see it.
            awake: the real one, which leases run by.
        """
        rows = self._database.rows(
            _CLAIM.format(skipping=self._database.skipping),
            *(endpoint_id, ms(now), ms(awake), limit, owner, ms(lease_until)),
        )
        return [Post(*row) for row in sorted(rows)]

    def record(
        self,
        post: Post,
        owner: str,
        state: PostState,
        now: datetime,
        *,
        next_attempt_at: datetime | None,
        status: int | None,
        answer: str | None,
    ) -> bool:
        """Write what came of a try; False when it is no longer this owner's, or was given up meanwhile."""
        return bool(
            self._database.run(
                _RECORD,
                *(state.value, post.attempts + 1, ms(next_attempt_at), ms(now), status, answer, post.id, owner),
            )
        )

    def release(self, owner: str, post_ids: Sequence[int]) -> None:
        """Give back what was claimed and not posted."""
        self._database.run_many(
            "UPDATE webhook_delivery SET owner = NULL, lease_until = NULL WHERE id = ? AND owner = ?",
            [(post_id, owner) for post_id in post_ids],
        )

    def replay(self, post_ids: Sequence[int], now: datetime) -> int:
        """Let deliveries that ended be posted anew, the same octets; how many there were."""
        self._database.run_many(
            "UPDATE webhook_delivery SET state = 'waiting', attempts = 0, next_attempt_at = ?"
            " WHERE id = ? AND state <> 'waiting'",
            [(ms(now), post_id) for post_id in post_ids],
        )
        return len(post_ids)

    def get(self, post_id: int) -> WebhookDelivery | None:
        """One delivery, or None."""
        row = self._database.row(_SHOWN + " WHERE d.id = ?", post_id)
        return None if row is None else _shown(row)

    def of_event(self, public_id: str) -> list[WebhookDelivery]:
        """Where an event was posted to."""
        number = event_number(public_id)
        rows = self._database.rows(_SHOWN + " WHERE d.event_id = ? AND d.public_id = ?", number, public_id)
        return [_shown(row) for row in rows]

    def deliveries(
        self, *, state: PostState | None = None, endpoint_id: int | None = None, limit: int | None = 100
    ) -> list[WebhookDelivery]:
        """What was posted or is to be, newest first. A limit of None is no limit."""
        where, params = given(("d.state = ?", state), ("d.endpoint_id = ?", endpoint_id))
        rows = self._database.rows(
            f"{_SHOWN} WHERE 1 = 1{where} ORDER BY d.id DESC LIMIT ?", *params, EVERYTHING if limit is None else limit
        )
        return [_shown(row) for row in rows]

    def count_deliveries(self, *, state: PostState | None = None, endpoint_id: int | None = None) -> int:
        """How many `deliveries` gives without a limit."""
        where, params = given(("d.state = ?", state), ("d.endpoint_id = ?", endpoint_id))
        return int(self._database.value(f"SELECT COUNT(*) FROM webhook_delivery d WHERE 1 = 1{where}", *params))

    def backlog(self, endpoint_id: int | None = None) -> Backlog:
        """What is still to be posted, to one endpoint or in all."""
        where, params = ("AND endpoint_id = ?", [endpoint_id]) if endpoint_id is not None else ("", [])
        waiting, first = self._database.rows(
            f"SELECT COUNT(*), MIN(next_attempt_at) FROM webhook_delivery WHERE state = 'waiting' {where}", *params
        )[0]
        dead = self._database.value(f"SELECT COUNT(*) FROM webhook_delivery WHERE state = 'dead' {where}", *params)
        return Backlog(waiting, int(dead), moment(first))

    def prune(self, before: datetime, limit: int) -> int:
        """Forget what was delivered of events older than that, at most `limit`; how many there were."""
        return self._database.run(
            "DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM webhook_delivery WHERE state = 'delivered'"
            " AND event_id <= (SELECT MAX(id) FROM event WHERE at < ?) LIMIT ?)",
            *(ms(before), limit),
        )


def _body(
    event: Event,
    app: str,
    public_id: str,
    people: Mapping[int, Mapping[str, Any]],
    steps: Mapping[int, Mapping[str, Any]],
) -> bytes:
    return event_body(
        event.type.value,
        ts=format_moment(event.at),
        app=app,
        public_id=public_id,
        subject=people.get(event.subscription_id or 0, {}),
        extra=_extra(event, steps.get(event.step_id or 0, {})),
    )


def _extra(event: Event, step: Mapping[str, Any]) -> dict[str, Any]:
    """What an event carries besides whom it is about: the table of `http-api.md`."""
    data = event.data or {}
    match event.type:
        case EventType.STEP_SENT:
            return {**step, "message_id": data.get("message_id")}
        case EventType.STEP_FAILED:
            return {**step, **{name: data.get(name) for name in ("error", "smtp_code", "attempts")}}
        case EventType.CANCELLED:
            # The event's five reasons are fixed; what `stop_when` does is the operator's doing.
            stopped = data.get("reason") == CancelReason.STOPPED
            return {
                "reason": CancelReason.MANUAL.value if stopped else data.get("reason"),
                "detail": "stop_when" if stopped else data.get("detail"),
            }
        case _:
            return {}


def _shown(row: tuple[Any, ...]) -> WebhookDelivery:
    row_id, event_id, event, endpoint_id, key_id, url, state, attempts, next_at, last_at, status, answer = row
    return WebhookDelivery(
        *(row_id, event_id, event, endpoint_id, key_id, url, PostState(state), attempts),
        *(moment(next_at), moment(last_at), status, answer),
    )
