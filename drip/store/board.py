"""What the dashboard asks besides: sends by hour, what is due by day, people in pages, a search. Reads only.

Every question costs what it shows, or is one pass over an index; a long one can be given up in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drip.core.delivery import DeliveryState
from drip.core.moments import to_milliseconds
from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.store.database import Database
from drip.store.rows import given, marks, moment

SPAN = 20_000
"""Contacts that one look of a search goes through."""

_FACE = """
    SELECT s.id, c.id, c.email, c.name, s.status, s.cancel_reason, t.key, s.next_send_at, s.last_sent_at, d.state
"""
_OPEN = """
    LEFT JOIN step t ON t.id = s.next_step_id
    LEFT JOIN delivery d ON d.subscription_id = s.id AND d.step_id = s.next_step_id
"""

# The index subscription_place ends in the row's id: for one status and one next step, people come in order.
_PLACE = """
    SELECT id FROM (SELECT p.id FROM subscription p WHERE p.replaced = 0 AND p.sequence_id = ? AND p.status = ?
        AND p.next_step_id {step} AND p.id {beyond} ? ORDER BY p.id {order} LIMIT ?) place
"""
_PLACES_AT_ONCE = 100
"""Of one question; SQLite takes 500."""


@dataclass(frozen=True, slots=True)
class Face:
    """A subscriber as a line of a list."""

    id: int
    """The subscription's."""
    contact_id: int
    email: str
    name: str
    status: SubscriptionStatus
    cancel_reason: CancelReason | None
    next_step: str | None
    next_send_at: datetime | None
    last_sent_at: datetime | None
    state: DeliveryState | None
    """Of the delivery of the next step; None when there is none yet."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which people of a sequence are wanted."""

    sequence_id: int
    status: SubscriptionStatus | None = None
    """None: all."""
    step_id: int | None = None
    """Only those whose next step it is; None: all."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One look of a search."""

    found: tuple[Face, ...]
    below: int | None
    """The contact's id that the next look goes on below; None: all were looked at."""


class Board:
    """Answers for the dashboard."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sent(self, since: datetime, until: datetime, slot: timedelta) -> dict[int, dict[int, int]]:
        """How much was sent in each slot of time, by the sequence's row id; slots count from 0 at `since`."""
        begun = to_milliseconds(since)
        rows = self._database.rows(
            "SELECT t.sequence_id, (d.at - ?) / ? AS slot, COUNT(*)"
            f" FROM delivery d {self._database.ordered_join} step t ON t.id = d.step_id"
            " WHERE d.state = 'sent' AND d.state IN ('sent', 'failed') AND d.at >= ? AND d.at < ? GROUP BY 1, 2",
            *(begun, slot // timedelta(milliseconds=1), begun, to_milliseconds(until)),
        )
        return _by_sequence(rows)

    def coming(self, now: datetime, until: datetime, slot: timedelta) -> dict[int, dict[int, int]]:
        """How many next messages are due in each slot from now, by the sequence's row id; the overdue are in slot 0."""
        begun, size = to_milliseconds(now), slot // timedelta(milliseconds=1)
        slots = range(-(-(to_milliseconds(until) - begun) // size))
        bounds = [
            (at, begun + at * size if at else 0, min(begun + (at + 1) * size, to_milliseconds(until))) for at in slots
        ]
        # Each count is one stretch of the index of the due; none of them is looked at.
        rows = self._database.rows(
            f"WITH slot(at, since, until) AS (VALUES {', '.join(['(?, ?, ?)'] * len(bounds))})"
            " SELECT q.id, l.at, (SELECT COUNT(*) FROM subscription s WHERE s.sequence_id = q.id"
            " AND s.status = 'active' AND s.owner IS NULL AND s.next_send_at IS NOT NULL"
            " AND s.next_send_at >= l.since AND s.next_send_at < l.until) FROM sequence q CROSS JOIN slot l",
            *(value for bound in bounds for value in bound),
        )
        return _by_sequence(rows)

    def overdue(self, sequence_id: int, now: datetime) -> int:
        """How many active people of a sequence are due, whether it sends or not."""
        return int(
            self._database.value(
                "SELECT COUNT(*) FROM subscription WHERE sequence_id = ? AND status = 'active' AND owner IS NULL"
                " AND next_send_at IS NOT NULL AND next_send_at <= ?",
                *(sequence_id, to_milliseconds(now)),
            )
        )

    def left(self, sequence_id: int) -> dict[int, int]:
        """How many were cancelled after each step, by its row id; 0 is before the first."""
        rows = self._database.rows(
            "SELECT COALESCE(last_step_id, 0), COUNT(*) FROM subscription"
            " WHERE replaced = 0 AND sequence_id = ? AND status = 'cancelled' GROUP BY 1",
            sequence_id,
        )
        return dict(rows)

    def faces(
        self, wanted: Narrowed, *, beyond: int | None = None, oldest_first: bool = False, limit: int = 100
    ) -> list[Face]:
        """A page of people, newest first; pages cost the same however far they are.

        Args:
            beyond: the id that the page before ended with; None is the first page.
        """
        statuses = [wanted.status.value] if wanted.status else [status.value for status in SubscriptionStatus]
        if beyond is None:
            beyond = 0 if oldest_first else 2**62
        steps = [wanted.step_id] if wanted.step_id is not None else [None, *self._steps(wanted.sequence_id)]
        ways = {"beyond": ">" if oldest_first else "<", "order": "ASC" if oldest_first else "DESC"}
        found: list[int] = []
        places = [(status, step_id) for status in statuses for step_id in steps]
        for start in range(0, len(places), _PLACES_AT_ONCE):
            sql, params = _places(places[start : start + _PLACES_AT_ONCE], wanted.sequence_id, beyond, limit, ways)
            found += [row_id for (row_id,) in self._database.rows(sql, *params, limit)]
        return self._faces(sorted(found, reverse=not oldest_first)[:limit])

    def _steps(self, sequence_id: int) -> list[int]:
        return [row_id for (row_id,) in self._database.rows("SELECT id FROM step WHERE sequence_id = ?", sequence_id)]

    def starting_with(self, wanted: Narrowed, text: str, limit: int = 20) -> list[Face]:
        """People whose address begins with a text, by address: found by an index."""
        key = text.casefold()
        where, params = _filters(wanted)
        rows = self._database.rows(
            f"{_FACE} FROM contact c {self._database.ordered_join} subscription s"
            f" ON s.contact_id = c.id AND s.sequence_id = ? AND s.replaced = 0 {_OPEN}"
            f" WHERE c.email_key >= ? AND c.email_key < ?{where} ORDER BY c.email_key LIMIT ?",
            *(wanted.sequence_id, key, key + "\U0010ffff", *params, limit),
        )
        return [_face(row) for row in rows]

    def whereabouts(self, text: str, limit: int = 12) -> list[tuple[str, str, SubscriptionStatus]]:
        """Where people stand whose address begins with a text: address, sequence, status; found by an index."""
        key = text.casefold()
        rows = self._database.rows(
            "SELECT c.email, q.slug, s.status FROM (SELECT id, email, email_key FROM contact"
            " WHERE email_key >= ? AND email_key < ? ORDER BY email_key LIMIT ?) c"
            " JOIN subscription s ON s.contact_id = c.id AND s.replaced = 0"
            " JOIN sequence q ON q.id = s.sequence_id ORDER BY c.email_key, q.slug LIMIT ?",
            *(key, key + "\U0010ffff", limit, limit),
        )
        return [(email, slug, SubscriptionStatus(status)) for email, slug, status in rows]

    def look_for(self, wanted: Narrowed, text: str, below: int | None, limit: int = 100) -> Looked:
        """Go on with a search for a text anywhere in address or name, newest contacts first, one span of them.

        Args:
            below: as the look before gave it; None begins.
        """
        if below is None:
            below = int(self._database.value("SELECT MAX(id) FROM contact") or 0) + 1
        bottom, key = below - SPAN, text.casefold()
        where, params = _filters(wanted)
        rows = self._database.rows(
            f"{_FACE} FROM contact c {self._database.ordered_join} subscription s"
            f" ON s.contact_id = c.id AND s.sequence_id = ? AND s.replaced = 0 {_OPEN}"
            " WHERE c.id < ? AND c.id >= ? AND (instr(c.email_key, ?) > 0 OR instr(lower(c.name), ?) > 0)"
            f"{where} ORDER BY c.id DESC LIMIT ?",
            *(wanted.sequence_id, below, bottom, key, key, *params, limit),
        )
        found = tuple(_face(row) for row in rows)
        if len(found) == limit:
            return Looked(found, found[-1].contact_id)
        return Looked(found, bottom if bottom > 1 else None)

    def at_work(self, now: datetime) -> int:
        """How many workers have a lease that holds."""
        return int(
            self._database.value(
                "SELECT COUNT(*) FROM worker WHERE ended_at IS NULL AND lease_until >= ?", to_milliseconds(now)
            )
        )

    def sequences_of(self, contact_id: int) -> list[tuple[str, SubscriptionStatus]]:
        """The sequences that a contact stands in, by id."""
        rows = self._database.rows(
            "SELECT q.slug, s.status FROM subscription s JOIN sequence q ON q.id = s.sequence_id"
            " WHERE s.contact_id = ? AND s.replaced = 0 ORDER BY q.slug",
            contact_id,
        )
        return [(slug, SubscriptionStatus(status)) for slug, status in rows]

    def _faces(self, ids: list[int]) -> list[Face]:
        rows = self._database.rows(
            f"{_FACE} FROM subscription s JOIN contact c ON c.id = s.contact_id {_OPEN}"
            f" WHERE s.id IN ({marks(len(ids))})",
            *ids,
        )
        found = {row[0]: _face(row) for row in rows}
        return [found[row_id] for row_id in ids if row_id in found]


def _filters(wanted: Narrowed) -> tuple[str, list[Any]]:
    return given(("s.status = ?", wanted.status), ("s.next_step_id = ?", wanted.step_id))


def _places(
    places: Sequence[tuple[str, int | None]], sequence_id: int, beyond: int, limit: int, ways: Mapping[str, str]
) -> tuple[str, list[Any]]:
    """A question for the first people beyond an id of each of these places, and its parameters but the last."""
    parts, params = [], list[Any]()
    for status, step_id in places:
        parts.append(_PLACE.format(step="IS NULL" if step_id is None else "= ?", **ways))
        params += [sequence_id, status, *([] if step_id is None else [step_id]), beyond, limit]
    return f"SELECT id FROM ({' UNION ALL '.join(parts)}) found ORDER BY id {ways['order']} LIMIT ?", params


def _by_sequence(rows: list[tuple[Any, ...]]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for sequence_id, slot, count in rows:
        if count:
            found.setdefault(sequence_id, {})[slot] = count
    return found


def _face(row: tuple[Any, ...]) -> Face:
    return Face(
        id=row[0],
        contact_id=row[1],
        email=row[2],
        name=row[3],
        status=SubscriptionStatus(row[4]),
        cancel_reason=CancelReason(row[5]) if row[5] else None,
        next_step=row[6],
        next_send_at=moment(row[7]),
        last_sent_at=moment(row[8]),
        state=DeliveryState(row[9]) if row[9] else None,
    )
