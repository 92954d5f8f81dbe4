"""The breaker: when a server refuses nearly everybody, the fault is ours, and nobody is suppressed for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drip.core.delivery import BREAKER_WINDOW, breaker_opens
from drip.core.events import EventType
from drip.core.subscription import CancelReason
from drip.engine.onward import Onward
from drip.engine.ports import Store
from drip.engine.records import Event
from drip.engine.suppress import welcome_back


class Breaker:
    """Watches hard refusals over all runs, as the database remembers them. Used inside the caller's transaction."""

    def __init__(self, store: Store, onward: Onward) -> None:
        self._store = store
        self._onward = onward
        self._since: datetime | None = None
        self._openings: int | None = None
        self.is_open = False
        """Whether this pass has found the fault to be ours."""

    def close(self, now: datetime) -> None:
        """A new pass may find things mended."""
        self.is_open = False
        self._since = now
        self._openings = self._store.breaker_openings()

    def look(self) -> bool:
        """Whether this pass, or that of another worker meanwhile, has found the fault to be ours."""
        self.is_open = self.is_open or self._openings not in (None, self._store.breaker_openings())
        return self.is_open

    def opens(self, now: datetime) -> bool:
        """Look at the last refusals; when they point at us, put everybody of that window back as they were."""
        window = self._store.deliveries.last_handed_over(BREAKER_WINDOW)
        refused = [delivery_id for delivery_id, hard in window if hard]
        if breaker_opens(len(refused), len(window)):
            self._open(refused, len(window), now)
        return self.is_open

    def open_for_this_pass(self, now: datetime) -> None:
        """The server has said that our domain or relay is at fault: what it refused in this pass says nothing."""
        if self.is_open:
            return
        window = self._store.deliveries.last_handed_over(BREAKER_WINDOW, self._since)
        self._open([delivery_id for delivery_id, hard in window if hard], len(window), now)

    def _open(self, refused: Sequence[int], looked_at: int, now: datetime) -> None:
        self.is_open = True
        self._store.count_breaker_opening()
        if refused:
            self._put_back(refused, now)
        data = {"refused": len(refused), "of": looked_at}
        self._store.events.append([Event(EventType.BREAKER, now, data=data)])

    def _put_back(self, refused: Sequence[int], now: datetime) -> None:
        failed = self._store.subscriptions.failed_with(refused)
        self._store.deliveries.excuse(refused, now)
        for person in self._store.subscriptions.people(failed).values() if failed else ():
            self._onward.reinstate(person, now)
        for email, added_at in self._store.suppressions.remove_made_by(refused):
            welcome_back(self._store, email, now)
            contact = self._store.contacts.by_email(email)
            if contact is not None:
                self._reinstate(contact.id, added_at, now)

    def _reinstate(self, contact_id: int, cancelled_at: datetime, now: datetime) -> None:
        for person in self._store.subscriptions.cancelled_at(contact_id, CancelReason.BOUNCED, cancelled_at):
            self._onward.reinstate(person, now)
