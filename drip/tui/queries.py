"""All that the dashboard reads from the database, as frozen values.

Called in threads; each call has its own connection. Works with a database that can be written,
one that can only be read, and none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from drip.core.schedule import subscriber_zone
from drip.core.subscription import Subscription, SubscriptionStatus, SuppressionReason
from drip.core.webhooks import PostState
from drip.engine.limits import Limited, limited
from drip.engine.outlook import Coming, outlook
from drip.engine.records import Backlog, Delivery, Person, StoredSequence, WebhookDelivery
from drip.errors import DatabaseUnavailable
from drip.project import Project
from drip.store.board import Board, Face, Looked, Narrowed
from drip.store.events import LogEntry
from drip.store.overview import SequenceCounts, State, StepCounts
from drip.store.reading import may_only_be_read, opened_for_reading
from drip.store.store import Store
from drip.tui.tally import DAY, HOUR, Tally

MOST = 200
"""Rows of a kind that the attention screen lists; the counts are of all."""


class Situation(StrEnum):
    """What can be done with the database."""

    READY = "ready"  # read and written
    READ_ONLY = "read-only"  # looked at
    MISSING = "missing"  # nothing: there is none yet


@dataclass(frozen=True, slots=True)
class Glance:
    """The state of the whole."""

    at: datetime
    state: State
    at_work: int
    """Workers with a lease that holds."""
    backlog: Backlog
    """Of webhooks."""
    limited: Limited | None = None
    """Who is due and waits for a limit; None when nobody does."""


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """A sequence as a line of a list."""

    id: int
    slug: str
    name: str
    status: str
    steps: int
    counts: SequenceCounts | None
    """None: nobody ever was in it, or they are not counted yet."""
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sends of the last 24 hours by hour, and what is due in the next 7 days by 3 hours; by the sequence's row id."""

    sent: Mapping[int, tuple[int, ...]]
    coming: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Funnel:
    """A sequence and what became of each of its steps."""

    stored: StoredSequence
    steps: Mapping[int, StepCounts]
    left: Mapping[int, int]
    """Cancelled after each step; 0 is before the first."""
    counts: SequenceCounts | None
    counted: bool = True
    """Whether the numbers are known yet."""


@dataclass(frozen=True, slots=True)
class Story:
    """One person in one sequence."""

    stored: StoredSequence
    subscription: Subscription
    person: Person
    contact_variables: Mapping[str, object]
    past: tuple[LogEntry, ...]
    """Oldest first."""
    deliveries: Mapping[str, Delivery]
    """By step."""
    coming: tuple[Coming, ...]
    local: ZoneInfo
    """Their zone."""
    suppressed: SuppressionReason | None
    sequences: tuple[tuple[str, SubscriptionStatus], ...]
    """All that they stand in."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """What needs a person."""

    unknown: tuple[Delivery, ...]
    failed: tuple[Delivery, ...]
    dead: tuple[WebhookDelivery, ...]


class Desk:
    """Where the dashboard asks."""

    def __init__(self, project: Project, clock: Callable[[], datetime]) -> None:
        self.project = project
        self.clock = clock
        self._up_to_date = False
        self._tally = Tally()

    @property
    def zone(self) -> ZoneInfo:
        """The zone that times are shown in."""
        return self.project.settings.timezone

    @property
    def situation(self) -> Situation:
        """What can be done with the database now."""
        database = self.project.store.database
        if not database.exists:
            return Situation.MISSING
        return Situation.READ_ONLY if may_only_be_read(database) else Situation.READY

    @contextmanager
    def reading(self, given_up: Callable[[], bool] = lambda: False) -> Iterator[Store]:
        """The store, for questions of this thread.

        Raises:
            DatabaseUnavailable: there is none, or it can't be used.
            GivenUp: `given_up` says that nobody waits any more.
        """
        situation = self.situation
        if situation is Situation.MISSING:
            raise DatabaseUnavailable("there is no database yet", "applying the sequence files makes it")
        if situation is Situation.READ_ONLY:
            with opened_for_reading(self.project.store.database) as store, store.database.interruptible(given_up):
                yield store
            return
        store = self.project.store
        if not self._up_to_date:
            with store.opened():
                self._up_to_date = True
        with store.connected(), store.database.interruptible(given_up):
            yield store

    @contextmanager
    def writing(self) -> Iterator[Store]:
        """The store, for changes of this thread; made when it is missing.

        Raises:
            DatabaseUnavailable: it can't be written.
        """
        if self.situation is Situation.READ_ONLY:
            raise DatabaseUnavailable("the database can only be read", "look at the permissions of the file and folder")
        with self.project.opened() as store:
            yield store

    def glance(self, store: Store) -> Glance:
        """The state of the whole; today begins at midnight of the project's zone."""
        now = self.clock()
        at_work = Board(store.database).at_work(now)
        state = store.overview.state(now.astimezone(self.zone))
        waiting = limited(store, self.project.settings, now, state.due_now)
        return Glance(now, state, at_work, store.webhooks.backlog(), waiting)

    def sequences(self, store: Store, *, count: bool = True) -> tuple[SequenceRow, ...]:
        """All sequences, the active ones first.

        Args:
            count: count their people, which is a pass over an index of all.
        """
        counts = store.overview.counts() if count else {}
        rows = [
            SequenceRow(
                *(one.id, one.slug, one.sequence.name, one.status.value),
                *(len(one.sequence.steps), counts.get(one.id), count),
            )
            for one in store.sequences.all()
        ]
        order = {"active": 0, "draft": 1, "archived": 2}
        return tuple(sorted(rows, key=lambda row: (order[row.status], row.slug)))

    def traffic(self, store: Store) -> Traffic:
        """What went out and what is due."""
        now, board = self.clock(), Board(store.database)
        coming = board.coming(now, now + 7 * DAY, 3 * HOUR)
        return Traffic(self._tally.look(board, now), _slots(coming, 56))

    def log(self, store: Store, after: int | None, limit: int = 200) -> list[LogEntry]:
        """What happened since event `after`, or last; oldest first."""
        return store.events.entries(after=after or 0, limit=limit, newest=True)

    def stored(self, store: Store, slug: str) -> StoredSequence:
        """A sequence as applied.

        Raises:
            NotFound: it is gone.
        """
        from drip.engine.subscribe import find_sequence

        return find_sequence(store, slug)

    def funnel(self, store: Store, slug: str, *, count: bool = True) -> Funnel:
        """A sequence and its steps.

        Args:
            count: count their people and deliveries, which is a pass over an index of all.

        Raises:
            NotFound: it is gone.
        """
        stored = self.stored(store, slug)
        if not count:
            return Funnel(stored, {}, {}, None, counted=False)
        left = Board(store.database).left(stored.id)
        return Funnel(stored, store.overview.steps(stored.id), left, store.overview.counts(stored.id).get(stored.id))

    def overdue(self, store: Store, slug: str) -> int:
        """How many people of a sequence would be due now if it were active.

        Raises:
            NotFound: it is gone.
        """
        return Board(store.database).overdue(self.stored(store, slug).id, self.clock())

    def failed(self, store: Store, slug: str) -> int:
        """How many people of a sequence have failed.

        Raises:
            NotFound: it is gone.
        """
        return len(store.subscriptions.failed(self.stored(store, slug).id, None))

    def people(self, store: Store, wanted: Narrowed, beyond: int | None, oldest_first: bool) -> list[Face]:
        """A page of people."""
        return Board(store.database).faces(wanted, beyond=beyond, oldest_first=oldest_first)

    def starting_with(self, store: Store, wanted: Narrowed, text: str) -> list[Face]:
        """People whose address begins with a text: at once."""
        return Board(store.database).starting_with(wanted, text)

    def whereabouts(self, text: str) -> list[tuple[str, str, SubscriptionStatus]]:
        """Where people stand whose address begins with a text: address, sequence, status.

        Raises:
            DatabaseUnavailable: there is none, or it can't be used.
        """
        with self.reading() as store:
            return Board(store.database).whereabouts(text)

    def look_for(self, store: Store, wanted: Narrowed, text: str, below: int | None) -> Looked:
        """One look of a search through everybody."""
        return Board(store.database).look_for(wanted, text, below)

    def story(self, store: Store, slug: str, email: str) -> Story:
        """One person in one sequence.

        Raises:
            NotFound: there is no such person or sequence.
        """
        from drip.engine.people import find_subscription

        found = find_subscription(store, slug, email)
        subscription = store.overview.subscription(found.person.id)
        contact = store.contacts.by_id(found.person.contact_id)
        suppression = store.suppressions.get(found.email)
        assert subscription is not None  # it was just found
        assert contact is not None
        handled = store.subscriptions.handled([found.person.id])[found.person.id]
        return Story(
            stored=found.stored,
            subscription=subscription,
            person=found.person,
            contact_variables=contact.variables,
            past=tuple(store.events.entries(subscription_id=found.person.id, limit=1000, newest=True)),
            deliveries={one.step: one for one in store.deliveries.of_subscription(found.person.id)},
            coming=tuple(outlook(found.stored, found.person, handled, self.clock(), self.zone)),
            local=subscriber_zone(found.person.timezone, found.stored.sequence, self.zone),
            suppressed=suppression.reason if suppression else None,
            sequences=tuple(Board(store.database).sequences_of(found.person.contact_id)),
        )

    def troubles(self, store: Store) -> Troubles:
        """What needs a person, the newest of each kind."""
        return Troubles(
            unknown=tuple(store.deliveries.unknown()[:MOST]),
            failed=tuple(store.deliveries.failed(MOST)),
            dead=tuple(store.webhooks.deliveries(state=PostState.DEAD, limit=MOST)),
        )


def _slots(counts: Mapping[int, Mapping[int, int]], number: int) -> dict[int, tuple[int, ...]]:
    return {row_id: tuple(found.get(slot, 0) for slot in range(number)) for row_id, found in counts.items()}
