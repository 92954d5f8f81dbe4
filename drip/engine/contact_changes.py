"""What a contact was before it changed, kept in the log of its subscriptions: `why` follows it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drip.core.events import EventType
from drip.engine.ports import Store
from drip.engine.records import Event


@dataclass(frozen=True, slots=True)
class ContactChange:
    """One contact's change."""

    contact_id: int
    name: str | None = None
    """What it was; None: it stays."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What each changed variable was; None where there was none."""


def note_changes(store: Store, changes: Iterable[ContactChange], now: datetime) -> None:
    """Append an event to every subscription of the contacts, ended ones too. Call it in the change's transaction."""
    known = {change.contact_id: change for change in changes}
    if not known:
        return
    events = []
    for contact_id, row_id, sequence_id in store.subscriptions.standing_of(sorted(known)):
        change = known[contact_id]
        data: dict[str, Any] = {"of": "contact", "variables": sorted(change.variables), "was": dict(change.variables)}
        if change.name is not None:
            data |= {"variables": ["name", *data["variables"]], "was_name": change.name}
        events.append(Event(EventType.CHANGED, now, sequence_id, row_id, data=data))
    store.events.append(events)
