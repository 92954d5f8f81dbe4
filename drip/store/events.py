"""Facts, appended in the transaction that makes them true."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drip.core.event_ids import event_id
from drip.core.events import EventType
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.engine.points import Point, reached
from drip.engine.records import Event
from drip.store.database import EVERYTHING, Database
from drip.store.rows import dump, marks
from drip.store.webhooks import Webhooks

_INSERT = "INSERT INTO event (type, at, sequence_id, subscription_id, step_id, data) VALUES {values}"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An event as `drip log` shows it."""

    number: int
    type: str
    at: datetime
    sequence: str | None
    email: str | None
    step: str | None
    data: dict[str, Any]

    @property
    def id(self) -> str:
        """The event's public id: `evt_`, then time and number in Crockford's base32, sortable."""
        return event_id(self.number, self.at)


class _Block(threading.local):
    """What a thread has appended and not written."""

    events: list[Event] | None = None
    """None: whatever is appended is written at once."""


class Events:
    """The log of facts."""

    def __init__(self, database: Database, webhooks: Webhooks) -> None:
        self._database = database
        self._webhooks = webhooks
        self._block = _Block()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread appends in the block is written at its end, in order; inside another it joins that one."""
        if self._block.events is not None:
            yield
            return
        events: list[Event] = []
        self._block.events = events
        try:
            yield
        finally:
            self._block.events = None
        if events:
            self.append(events)

    def append(self, events: Iterable[Event]) -> None:
        """Append in order, with what is to be posted of them; call it inside the transaction of the facts."""
        events = list(events)
        if self._block.events is not None:
            self._block.events += events
            return
        with self._database.transaction(alone=False):
            numbers = self._database.insert_events(_INSERT, _rows(events))
            if self._webhooks.wants(events):
                self._webhooks.fan_out(
                    [(number, event_id(number, event.at), event) for number, event in zip(numbers, events, strict=True)]
                )
        reached(Point.EVENT_WRITTEN)

    def last(self) -> int:
        """The number of the newest event there ever was, 0 before the first: those up to it can all be read."""
        return self._database.last_event()

    def after(self, number: int, types: Iterable[EventType], limit: int) -> list[tuple[int, Event]]:
        """Events of these types with a greater number, oldest first, each with its number.

        Of a sequence that was deleted there is nothing to tell any more, also where a webhook still waits for it.
        """
        kinds = [kind.value for kind in types]
        rows = self._database.rows(
            "SELECT id, type, at, sequence_id, subscription_id, step_id, data FROM event"
            f" WHERE id > ? AND id <= ? AND type IN ({marks(len(kinds))})"
            " AND EXISTS (SELECT 1 FROM subscription s WHERE s.id = event.subscription_id) ORDER BY id LIMIT ?",
            *(number, self._database.last_event(), *kinds, limit),
        )
        return [(row[0], _event(row)) for row in rows]

    def entries(
        self,
        *,
        after: int = 0,
        since: datetime | None = None,
        sequence_id: int | None = None,
        email_key: str | None = None,
        subscription_id: int | None = None,
        types: Iterable[EventType] = (),
        limit: int | None = 100,
        newest: bool = False,
    ) -> list[LogEntry]:
        """Events as they are shown, oldest first.

        Args:
            after: only those with a greater number.
            limit: at most so many; None is no limit.
            newest: keep the newest of them when there are more than `limit`, else the oldest.
        """
        where, params = ["e.id > ?", "e.id <= ?"], [after, self._database.last_event()]
        for clause, value in (
            ("e.at >= ?", to_milliseconds(since) if since else None),
            ("e.sequence_id = ?", sequence_id),
            ("e.subscription_id = ?", subscription_id),
        ):
            if value is not None:
                where.append(clause)
                params.append(value)
        extra: list[Any] = []
        if email_key is not None:
            where.append(
                "(e.subscription_id IN (SELECT s2.id FROM subscription s2 JOIN contact c2 ON c2.id = s2.contact_id"
                f" WHERE c2.email_key = ?) OR {self._database.json_text('e.data', 'email')} = ?)"
            )
            extra += [email_key, email_key]
        kinds = [kind.value for kind in types]
        if kinds:
            where.append(f"e.type IN ({marks(len(kinds))})")
            extra += kinds
        rows = self._database.rows(
            "SELECT e.id, e.type, e.at, q.slug, c.email, t.key, e.data FROM event e"
            " LEFT JOIN sequence q ON q.id = e.sequence_id"
            " LEFT JOIN subscription s ON s.id = e.subscription_id"
            " LEFT JOIN contact c ON c.id = s.contact_id"
            " LEFT JOIN step t ON t.id = e.step_id"
            f" WHERE {' AND '.join(where)} ORDER BY e.id {'DESC' if newest else 'ASC'} LIMIT ?",
            *params,
            *extra,
            EVERYTHING if limit is None else limit,
        )
        entries = [
            LogEntry(number, kind, from_milliseconds(at), slug, email, key, json.loads(data) if data else {})
            for number, kind, at, slug, email, key, data in rows
        ]
        return entries[::-1] if newest else entries


def _rows(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    return [
        (
            event.type.value,
            to_milliseconds(event.at),
            event.sequence_id,
            event.subscription_id,
            event.step_id,
            dump(event.data) if event.data else None,
        )
        for event in events
    ]


def _event(row: tuple[Any, ...]) -> Event:
    _, kind, at, sequence_id, subscription_id, step_id, data = row
    known = json.loads(data) if data else None
    return Event(EventType(kind), from_milliseconds(at), sequence_id, subscription_id, step_id, known)
