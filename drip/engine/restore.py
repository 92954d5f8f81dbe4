"""After the database went back in time: what may have been sent since is held, or the operator goes on."""

from __future__ import annotations

from datetime import datetime

from drip.core.events import EventType
from drip.engine.ports import HighWater, Store
from drip.engine.records import Event
from drip.errors import Refused


def accept_restored(store: Store, high_water: HighWater, *, hold: bool, now: datetime) -> int:
    """Go on with a database that is behind its high-water mark; how many people are held.

    Nothing can bring back who subscribed or opted out in what is lost.

    Args:
        hold: everybody whose step was due until the mark waits as `unknown` (`restored`), for `drip resolve`; when one
            is settled as sent, their next step is held likewise if it was due until then. False: all are sent what the
            database knows nothing of, also where they had it.

    Raises:
        Refused: it is not behind.
    """
    with store.transaction():
        mark = high_water.ahead()
        if mark is None:
            raise Refused("already_exists", "the database has not gone back in time: there is nothing to resolve")
        last = store.events.last()
        high_water.accept(mark)
        held = store.subscriptions.hold_due(mark.at, now) if hold else []
        data = {"event": last, "was": mark.event, "until": mark.at.isoformat(), "held": len(held)}
        store.events.append([Event(EventType.RESTORED, now, data=data)])
    return len(held)
