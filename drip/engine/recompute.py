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

PAGE = 2000
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
    ids = store.subscriptions.live(stored.id)
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        people = store.subscriptions.people(page)
        handled = store.subscriptions.handled(page)
        for row_id in page:
            yield rule.move(people[row_id], frozenset(handled[row_id]))


def keeps_everybody(before: Sequence, after: Sequence) -> bool:
    """Whether two versions have the same steps at the same times, so that nobody moves."""
    same_keys = [step.key for step in before.steps] == [step.key for step in after.steps]
    return same_keys and all(
        same_schedule(before, after, old, new) for old, new in zip(before.steps, after.steps, strict=True)
    )


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
        self._places: dict[tuple[int | None, str | None, frozenset[int], bool], tuple[str | None, frozenset[str]]] = {}
        self._kept = {
            step.key
            for step in self._before.steps
            if step.key in self._live and same_schedule(self._before, after, step, self._live[step.key])
        }

    def move(self, person: Person, handled: frozenset[int]) -> Move:
        before = None if person.next_step_id is None else self._stored.keys[person.next_step_id]
        stays = before is not None and self._stays(person, before)
        place = (person.last_step_id, before, handled, stays)
        if place not in self._places:
            self._places[place] = self._look_ahead(*place)
        now, ahead = self._places[place]
        if stays:
            return Move(person, before, before, person.next_send_at, False, ahead)
        if now is None:
            completes = bool(self._live) and person.status is not SubscriptionStatus.FAILED
            return Move(person, before, None, None, completes, ahead)
        if now == before and (now in self._kept or not person.follows_schedule):
            return Move(person, before, now, person.next_send_at, False, ahead)
        return Move(person, before, now, self._due(person, now), False, ahead)

    def _look_ahead(
        self, last_id: int | None, before: str | None, handled: frozenset[int], stays: bool
    ) -> tuple[str | None, frozenset[str]]:
        """The next step, and all that are still to come, for everybody at the same place."""
        last = None if last_id is None else self._stored.keys[last_id]
        keys = {self._stored.keys[step_id] for step_id in handled}
        # Who is held at a step goes on from there when it is settled: what was put before it is not for them.
        behind = before if stays else last
        start = -1 if behind is None else self._rank[behind]
        ahead = frozenset(key for key in self._live if self._rank[key] > start and key not in keys)
        return next_step(self._order, self._live, last=last, handled=keys - {before}), ahead

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
