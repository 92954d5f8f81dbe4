"""Rows of subscriptions as the engine's persons and standings. Only reading, and by the hundred thousand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drip.core.delivery import DeliveryState, Reason
from drip.core.moments import from_milliseconds
from drip.core.subscription import LIVE, CancelReason, SubscriptionStatus
from drip.engine.records import Person, Place, Standing
from drip.store.database import Database
from drip.store.rows import load, moment

_STATUSES = {status.value: status for status in SubscriptionStatus}
_STATES = {state.value: state for state in DeliveryState}

_ZONES = """
    CASE WHEN instr(s.variables, '"timezone"') > 0 THEN s.variables END,
    CASE WHEN instr(c.variables, '"timezone"') > 0 THEN c.variables END
"""
_AROUND = """
    FROM subscription s JOIN contact c ON c.id = s.contact_id
    LEFT JOIN delivery d ON d.subscription_id = s.id AND d.step_id = s.next_step_id
"""
PERSON = f"""
    s.id, s.sequence_id, s.contact_id, s.status, s.cancel_reason, s.claim, s.started_at, s.origin_at, s.base_at,
    s.last_step_id, s.next_step_id, s.next_send_at, s.paused_at, {_ZONES}, d.state, d.reason {_AROUND}
"""
"""The columns that `person_of` takes, and where they are from."""
# In the order of the index that finds them: nothing is sorted, however many there are.
_STANDING = f"""
    SELECT s.id, s.origin_at, s.base_at, s.next_send_at, {_ZONES}, s.last_step_id, s.next_step_id, d.state, d.reason
    {_AROUND} WHERE s.replaced = 0 AND s.sequence_id = ? AND s.status = ? ORDER BY s.next_step_id, s.id
"""


def person_of(row: tuple[Any, ...]) -> Person:
    """A row of `PERSON`."""
    # Positions and look-ups cost half of names and calls.
    row_id, sequence_id, contact_id, status, reason, claim, started_at, origin_at, base_at, *rest = row
    last_step_id, next_step_id, next_send_at, paused_at, own, contacts, state, why = rest
    return Person(
        row_id,
        sequence_id,
        contact_id,
        _STATUSES[status],
        CancelReason(reason) if reason else None,
        claim,
        from_milliseconds(started_at),
        from_milliseconds(origin_at),
        moment(base_at),
        last_step_id,
        next_step_id,
        moment(next_send_at),
        moment(paused_at),
        None if own is None and contacts is None else _zone(own, contacts),
        _STATES[state] if state else None,
        Reason(why) if why else None,
    )


def standing_in(database: Database, sequence_id: int) -> Iterator[Standing]:
    """Everybody in a sequence whom an edit may move, active and paused and failed, place by place."""
    for status in LIVE:
        places: dict[tuple[Any, ...], Place] = {}
        for row_id, origin_at, base_at, next_send_at, own, contacts, *at in database.stream(
            _STANDING, sequence_id, status.value
        ):
            place = places.get(key := tuple(at))
            if place is None:
                place = places[key] = _place(status, *at)
            yield Standing(
                row_id,
                place,
                from_milliseconds(origin_at),
                None if base_at is None else from_milliseconds(base_at),
                None if next_send_at is None else from_milliseconds(next_send_at),
                None if own is None and contacts is None else _zone(own, contacts),
            )


def _place(
    status: SubscriptionStatus, last_step_id: int | None, next_step_id: int | None, state: str | None, why: str | None
) -> Place:
    return Place(status, last_step_id, next_step_id, _STATES[state] if state else None, Reason(why) if why else None)


def _zone(own: str | None, contacts: str | None) -> str | None:
    """The variable `timezone` of a subscription, else of its contact, where it is text."""
    zone = load(own).get("timezone") if own else None
    if zone is None and contacts:
        zone = load(contacts).get("timezone")
    return zone if isinstance(zone, str) else None
