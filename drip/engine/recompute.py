"""What a change of steps does to everybody in a sequence: computed once, for `plan` to count and `apply` to write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from drip.core.delivery import DeliveryState
from drip.core.edits import merge_order, next_step, same_schedule
from drip.core.schedule import base_of, due_at, subscriber_zone
from drip.core.sequence import Sequence
from drip.core.subscription import SubscriptionStatus
from drip.engine.ports import Store
from drip.engine.records import Person, StoredSequence

PAGE = 1000
"""People read at once."""


@dataclass(frozen=True, slots=True)
class Move:
    """What an edit does to one person."""

    person: Person
    before: str | None
    """The key of the step they wait for as applied; None when nothing is pending."""
    now: str | None
    """The key of the step they will wait for; None when nothing is left."""
    due_at: datetime | None
    """When it will be due; None when nothing is left, or they wait for a decision."""
    completes: bool
    ahead: frozenset[str]
    """The keys that they will still get, when nothing else changes."""

    @property
    def moves(self) -> bool:
        """Whether anything at all changes for them."""
        return self.completes or self.before != self.now or self.due_at != self.person.next_send_at


def recompute(store: Store, stored: StoredSequence, after: Sequence, default_zone: ZoneInfo) -> Iterator[Move]:
    """Each live person of a sequence, and what comes for them if its steps become those of `after`.

    Nothing is written. People whose delivery is being sent or is unknown stay where they are.
    """
    rule = _Rule(stored, after, default_zone)
    last_id = 0
    while people := store.subscriptions.page_of_people(stored.id, after=last_id, limit=PAGE):
        last_id = people[-1].id
        handled = store.subscriptions.handled([person.id for person in people])
        for person in people:
            yield rule.move(person, {stored.keys[step_id] for step_id in handled[person.id]})


class _Rule:
    """One edit, applied to person after person."""

    def __init__(self, stored: StoredSequence, after: Sequence, default_zone: ZoneInfo) -> None:
        self._stored = stored
        self._before = stored.sequence
        self._after = after
        self._zone = default_zone
        self._live = {step.key: step for step in after.steps}
        self._order = merge_order(stored.order, [step.key for step in after.steps])
        self._rank = {key: rank for rank, key in enumerate(self._order)}
        self._kept = {
            step.key
            for step in self._before.steps
            if step.key in self._live and same_schedule(self._before, after, step, self._live[step.key])
        }

    def move(self, person: Person, handled: set[str]) -> Move:
        last = None if person.last_step_id is None else self._stored.keys[person.last_step_id]
        before = None if person.next_step_id is None else self._stored.keys[person.next_step_id]
        start = -1 if last is None else self._rank[last]
        ahead = frozenset(key for key in self._live if self._rank[key] > start and key not in handled)
        if before is not None and self._stays(person, before):
            # Settled either way, they go on from there: what was put before it is not for them.
            later = frozenset(key for key in ahead if self._rank[key] > self._rank[before])
            return Move(person, before, before, person.next_send_at, False, later)
        now = next_step(self._order, self._live, last=last, handled=handled - {before} if before else handled)
        if now is None:
            completes = bool(self._live) and person.status is not SubscriptionStatus.FAILED
            return Move(person, before, None, None, completes, ahead)
        if now == before and (now in self._kept or not person.follows_schedule):
            return Move(person, before, now, person.next_send_at, False, ahead)
        return Move(person, before, now, self._due(person, now), False, ahead)

    def _stays(self, person: Person, before: str) -> bool:
        """Held by a delivery in doubt, or failed at a step that is still there."""
        if person.open_state in (DeliveryState.SENDING, DeliveryState.UNKNOWN):
            return True
        return person.open_state is DeliveryState.FAILED and before in self._live

    def _due(self, person: Person, key: str) -> datetime:
        previous = None if person.last_step_id is None else person.base_at
        base = base_of(self._after, origin=person.origin_at, previous=previous)
        local = subscriber_zone(person.timezone, self._after, self._zone)
        return due_at(self._live[key], self._after, base=base, local=local)
