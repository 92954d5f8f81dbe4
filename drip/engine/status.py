"""Whether a sequence sends: set by command, API and dashboard alike."""

from __future__ import annotations

from datetime import datetime

from drip.core.events import EventType
from drip.core.sequence import SequenceStatus
from drip.engine.ports import Store
from drip.engine.records import Event
from drip.engine.subscribe import find_sequence


def set_status(store: Store, slug: str, status: SequenceStatus, now: datetime) -> bool:
    """Set a sequence's status; False when it has it already. An apply leaves it until the file's own status changes.

    Raises:
        NotFound: there is no such sequence.
    """
    with store.transaction():
        stored = find_sequence(store, slug)
        changed = store.sequences.set_status(stored.id, status, now)
        if changed:
            data = {"status": status.value, "before": stored.status.value}
            store.events.append([Event(EventType.STATUS, now, stored.id, data=data)])
    return changed
