"""What a change of steps does to everybody in a sequence: computed once, for `plan` to count and `apply` to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from drip.core.delivery import DeliveryState
from drip.core.edits import merge_order, next_step, same_schedule
from drip.core.schedule import base_of, subscriber_zone
from drip.core.sequence import Sequence
from drip.core.subscription import SubscriptionStatus
from drip.core.timetable import Timetable
from drip.engine.ports import Store
from drip.engine.records import Place, Standing, StoredSequence

PAGE = 2000
"""People whose deliveries are asked for at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """What an edit does to all who stand at one place and have had the same."""

    place: Place
    before: str | None
    """The key of the step they wait for as applied; None when nothing is pending."""
    now: str | None
    """The key of the step they will wait for; None when nothing is left."""
    retimed: bool
    """Whether the schedule says anew when that is due; False where the time stays as it is, or nothing is left."""
    completes: bool
    ahead: frozenset[str]
    """The keys that they will still get, when nothing else changes."""


@dataclass(frozen=True, slots=True)
class Move:
    """What an edit does to one person."""

    person: Standing
    way: Way
    due_at: datetime | None
    """When what they wait for will be due; None when nothing is left, or they wait for a decision."""

    @property
    def moves(self) -> bool:
        """Whether anything at all changes for them."""
        way = self.way
        return way.completes or way.before != way.now or self.due_at != self.person.next_send_at


def recompute(store: Store, stored: StoredSequence, after: Sequence, default_zone: ZoneInfo) -> Iterator[Move]:
    """Each live person of a sequence, and what comes for them if its steps become those of `after`.

    Nothing is written. People whose delivery is being sent or is unknown stay where they are.
    """
    rule = _Rule(stored, after, default_zone)
    everybody = store.subscriptions.standing(stored.id)
    while page := list(islice(everybody, PAGE)):
        had = _had(store, rule, page)
        for person in page:
            yield rule.move(person, had.get(person.id, _NOTHING))


_NOTHING: frozenset[int] = frozenset()


def _had(store: Store, rule: _Rule, page: Iterable[Standing]) -> dict[int, frozenset[int]]:
    """The steps that people have had of those that may lie ahead of them; mostly nobody has."""
    asked: dict[tuple[int, ...], list[int]] = {}
    for person in page:
        if steps := rule.to_ask(person.place):
            asked.setdefault(steps, []).append(person.id)
    return {
        row_id: frozenset(handled)
        for steps, row_ids in asked.items()
        for row_id, handled in store.subscriptions.handled_among(row_ids, steps).items()
    }


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
        self._live = {step.key: step for step in after.steps}
        self._order = merge_order(stored.order, [step.key for step in after.steps])
        self._rank = {key: rank for rank, key in enumerate(self._order)}
        self._kept = {
            step.key
            for step in self._before.steps
            if step.key in self._live and same_schedule(self._before, after, step, self._live[step.key])
        }
        self._ways: dict[tuple[Place, frozenset[int]], Way] = {}
        self._asks: dict[Place, tuple[int, ...]] = {}
        self._timetable = Timetable(after)
        # Bounded, as people may name what they like.
        self._local = lru_cache(maxsize=1024)(lambda name: subscriber_zone(name, after, default_zone))

    def move(self, person: Standing, had: frozenset[int]) -> Move:
        """What becomes of somebody.

        Args:
            had: what they have had of `to_ask`.
        """
        key = (person.place, had)
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = self._way(person.place, had)
        if way.retimed:
            return Move(person, way, self._due(person, way))
        return Move(person, way, person.next_send_at if way.now is not None else None)

    def to_ask(self, place: Place) -> tuple[int, ...]:
        """The rows of the steps of which it matters whether somebody at a place has had them.

        Of the one they wait for the place says it.
        """
        steps = self._asks.get(place)
        if steps is None:
            ids, waited = self._stored.ids, self._key(place.next_step_id)
            behind = [self._rank[key] for key in (self._key(place.last_step_id), waited) if key is not None]
            start = min(behind) if place.last_step_id is not None else -1
            steps = self._asks[place] = tuple(
                ids[key] for key in self._live if key in ids and key != waited and self._rank[key] > start
            )
        return steps

    def _way(self, place: Place, had: frozenset[int]) -> Way:
        before, last = self._key(place.next_step_id), self._key(place.last_step_id)
        stays = before is not None and self._stays(place, before)
        keys = {self._stored.keys[step_id] for step_id in had}
        # Who is held at a step goes on from there when it is settled: what was put before it is not for them.
        behind = before if stays else last
        start = -1 if behind is None else self._rank[behind]
        known = keys if place.open_state in (None, DeliveryState.DEFERRED) else {*keys, before}
        ahead = frozenset(key for key in self._live if self._rank[key] > start and key not in known)
        if stays:
            return Way(place, before, before, retimed=False, completes=False, ahead=ahead)
        now = next_step(self._order, self._live, last=last, handled=keys)
        completes = now is None and bool(self._live) and place.status is not SubscriptionStatus.FAILED
        keeps = now is None or (now == before and (now in self._kept or not place.follows_schedule))
        return Way(place, before, now, retimed=not keeps, completes=completes, ahead=ahead)

    def _stays(self, place: Place, before: str) -> bool:
        """Held by a delivery in doubt, or failed at a step that is still there."""
        if place.open_state in (DeliveryState.SENDING, DeliveryState.UNKNOWN):
            return True
        return place.open_state is DeliveryState.FAILED and before in self._live

    def _key(self, step_id: int | None) -> str | None:
        return None if step_id is None else self._stored.keys[step_id]

    def _due(self, person: Standing, way: Way) -> datetime:
        assert way.now is not None
        previous = None if way.place.last_step_id is None else person.base_at
        base = base_of(self._after, origin=person.origin_at, previous=previous)
        return self._timetable.due_at(self._live[way.now], base=base, local=self._local(person.timezone))
