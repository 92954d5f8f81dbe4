"""Adding people to a sequence, one or a million: the same rules for command, import and API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from drip.core.address import clean_line, email_key, parse_email
from drip.core.events import EventType
from drip.core.moments import floor_to_millisecond
from drip.core.progress import Progress, upcoming
from drip.core.schedule import subscriber_zone
from drip.core.sequence import SequenceStatus, Step
from drip.core.settings import Settings
from drip.core.subscription import Subscription, SubscriptionStatus, may_resubscribe
from drip.engine.contact_changes import ContactChange, note_changes
from drip.engine.ports import Store
from drip.engine.records import Contact, Event, NewSubscription, StoredSequence
from drip.errors import NotFound, Refused

_FINAL = (SubscriptionStatus.COMPLETED, SubscriptionStatus.CANCELLED)


class Answer(StrEnum):
    """What became of one request."""

    CREATED = "created"
    EXISTING = "existing"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Request:
    """One person to subscribe."""

    email: str
    """As it came; checked here."""
    name: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    """None is now."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request."""

    answer: Answer
    email: str
    code: str | None = None
    """Why not, in the API's vocabulary; None unless refused."""
    message: str = ""
    """Why not, in words."""
    subscription_id: int | None = None
    """None when refused."""


def subscribe(
    store: Store, settings: Settings, slug: str, request: Request, now: datetime, *, key_id: str | None = None
) -> Answered:
    """Subscribe one person.

    Raises:
        NotFound: there is no such sequence.
        Refused: it may not be; the code says why.
    """
    answered = subscribe_many(store, settings, slug, [request], now, key_id=key_id)[0]
    if answered.answer is Answer.REFUSED:
        raise Refused(answered.code or "refused", answered.message)
    return answered


def subscribe_many(
    store: Store,
    settings: Settings,
    slug: str,
    requests: Sequence[Request],
    now: datetime,
    *,
    key_id: str | None = None,
) -> list[Answered]:
    """Subscribe people in one transaction; one that is refused stops no other.

    Args:
        requests: at most some thousands.
        key_id: the API key that asks; None for the command line.

    Returns:
        An answer for each request, in order.

    Raises:
        NotFound: there is no such sequence.
    """
    return _subscribe(store, settings, slug, requests, now, key_id)[0]


def subscribe_with(
    store: Store,
    settings: Settings,
    slug: str,
    requests: Sequence[Request],
    now: datetime,
    *,
    key_id: str | None = None,
) -> list[tuple[Answered, Callable[[], Subscription] | None]]:
    """As `subscribe_many`; with each answer what tells the subscription as it was made, None where none was."""
    answers, batch = _subscribe(store, settings, slug, requests, now, key_id)
    return [(answered, batch.made(index) if batch else None) for index, answered in enumerate(answers)]


def _subscribe(
    store: Store, settings: Settings, slug: str, requests: Sequence[Request], now: datetime, key_id: str | None
) -> tuple[list[Answered], _Batch | None]:
    """The answers, and who was there to give them; nobody where the sequence takes nobody."""
    with store.transaction():
        stored = find_sequence(store, slug)
        if stored.status is SequenceStatus.ARCHIVED:
            message = f"the sequence {slug!r} is archived, it takes nobody new"
            return [_refused(request.email, "sequence_archived", message) for request in requests], None
        batch = _Batch(store, settings, stored, now, key_id)
        return batch.subscribe(requests), batch


def find_sequence(store: Store, slug: str) -> StoredSequence:
    """A sequence by its id.

    Raises:
        NotFound: with the nearest id that exists.
    """
    stored = store.sequences.by_slug(slug)
    if stored is None:
        known = store.sequences.slugs()
        hint = None if known else "no sequence is applied yet: run `drip apply`"
        raise NotFound("sequence", slug, known, hint)
    return stored


class _Batch:
    """One call's people, looked up and inserted together."""

    def __init__(
        self, store: Store, settings: Settings, stored: StoredSequence, now: datetime, key_id: str | None
    ) -> None:
        self._store = store
        self._settings = settings
        self._stored = stored
        self._now = now
        self._at = floor_to_millisecond(now)
        self._key_id = key_id
        self._required = [name for name, variable in stored.sequence.variables.items() if variable.required]
        self._answers: dict[int, Answered] = {}
        self._upcoming: dict[tuple[datetime, str | None], tuple[Step, datetime] | None] = {}
        """What comes first, and when, for whoever starts at that moment and names that zone."""
        self._keys: dict[int, str] = {}
        """Of each usable address: index -> key."""
        self._contacts: dict[str, Contact] = {}
        """Those that were there before, by their key."""
        self._again: dict[int, tuple[str, str]] = {}
        """Who is in this batch already: index -> (address, key)."""
        self._made: dict[int, tuple[int, Contact, str, NewSubscription]] = {}

    def subscribe(self, requests: Sequence[Request]) -> list[Answered]:
        wanted = self._check(requests)
        fresh = self._sort_out(wanted)
        if fresh:
            self._insert(fresh)
        return [self._answers[index] for index in range(len(requests))]

    def made(self, index: int) -> Callable[[], Subscription] | None:
        """What tells the subscription that was made for a request; None where none was."""
        return partial(self._as_made, *self._made[index]) if index in self._made else None

    def _check(self, requests: Sequence[Request]) -> dict[int, tuple[str, Request]]:
        """Those with a usable address: index -> (address, request)."""
        wanted = {}
        for index, request in enumerate(requests):
            try:
                wanted[index] = (parse_email(request.email), request)
            except ValueError as error:
                self._answers[index] = _refused(request.email, "invalid_field", str(error))
        return wanted

    def _sort_out(self, wanted: Mapping[int, tuple[str, Request]]) -> dict[int, tuple[str, Request]]:
        """Answer those who are there already or may not be; the others are returned."""
        keys = self._keys = {index: email_key(email) for index, (email, _) in wanted.items()}
        every = sorted({*keys.values()})
        contacts = self._contacts = self._store.contacts.by_keys(every)
        suppressed = self._store.suppressions.among(every)
        standing = self._store.subscriptions.newest(self._stored.id, [contact.id for contact in contacts.values()])
        fresh: dict[int, tuple[str, Request]] = {}
        seen: set[str] = set()
        replaced = []
        for index, (email, request) in wanted.items():
            key = keys[index]
            contact = contacts.get(key)
            row_id, status, reason = standing.get(contact.id if contact else 0, (None, None, None))
            if status is not None and status not in _FINAL:
                self._answers[index] = Answered(Answer.EXISTING, email, subscription_id=row_id)
            elif key in suppressed:
                message = f"{email} is suppressed ({suppressed[key]}), it is never mailed"
                self._answers[index] = _refused(email, "contact_suppressed", message)
            elif status is not None and not may_resubscribe(self._stored.sequence.resubscribe, status, reason):
                why = f"{status}, {reason}" if reason else str(status)
                message = f"{email} has ended {self._stored.slug!r} ({why}) and may not start it again"
                self._answers[index] = _refused(email, "subscription_terminal", message)
            elif missing := self._missing(request, contact):
                message = f"{email} lacks the variable{'s' * (len(missing) > 1)} {', '.join(missing)}"
                self._answers[index] = _refused(email, "invalid_field", message)
            elif key not in seen:
                seen.add(key)
                fresh[index] = (email, request)
                if row_id is not None:
                    replaced.append(row_id)
            else:
                self._again[index] = (email, key)
        self._store.subscriptions.replace(replaced)
        return fresh

    def _missing(self, request: Request, contact: Contact | None) -> list[str]:
        if not self._required:
            return []
        given = {"email": request.email, **(contact.variables if contact else {}), **request.variables}
        if name := clean_line(request.name) or (contact.name if contact else ""):
            given["name"] = name
        return [name for name in self._required if given.get(name) is None]

    def _insert(self, fresh: Mapping[int, tuple[str, Request]]) -> None:
        people = [(email, clean_line(request.name)) for email, request in fresh.values()]
        keys = [self._keys[index] for index in fresh]
        unknown = [person for person, key in zip(people, keys, strict=True) if key not in self._contacts]
        known = self._contacts | self._store.contacts.add(unknown, self._now)
        contacts = [known[key] for key in keys]
        renamed = [
            (contact, name)
            for contact, (_, name) in zip(contacts, people, strict=True)
            if name and contact.name != name
        ]
        self._store.contacts.rename([(contact.id, name) for contact, name in renamed], self._now)
        note_changes(self._store, [ContactChange(contact.id, contact.name) for contact, _ in renamed], self._now)
        new = [self._new(contact, request) for contact, (_, request) in zip(contacts, fresh.values(), strict=True)]
        made = self._store.subscriptions.add(self._stored.id, new, self._now)
        for index, person, contact, (email, name) in zip(fresh, new, contacts, people, strict=True):
            row_id = made[contact.id]
            self._answers[index] = Answered(Answer.CREATED, email, subscription_id=row_id)
            self._made[index] = (row_id, contact, name, person)
        for index, (email, key) in self._again.items():
            row_id = made[known[key].id]
            self._answers[index] = Answered(Answer.EXISTING, email, subscription_id=row_id)
        self._store.events.append(
            Event(EventType.SUBSCRIBED, self._now, self._stored.id, made[person.contact_id]) for person in new
        )

    def _new(self, contact: Contact, request: Request) -> NewSubscription:
        sequence = self._stored.sequence
        started_at = self._at if request.started_at is None else floor_to_millisecond(request.started_at)
        wanted = request.variables.get("timezone", contact.variables.get("timezone"))
        place = (started_at, wanted if isinstance(wanted, str) else None)
        if place not in self._upcoming:
            local = subscriber_zone(wanted, sequence, self._settings.timezone)
            progress = Progress(origin=started_at, previous=None, last=None)
            self._upcoming[place] = upcoming(sequence, self._stored.order, progress, local)
        found = self._upcoming[place]
        return NewSubscription(
            contact_id=contact.id,
            variables=request.variables,
            started_at=started_at,
            next_step_id=self._stored.ids[found[0].key] if found else None,
            next_send_at=found[1] if found else None,
            key_id=self._key_id,
        )

    def _as_made(self, row_id: int, contact: Contact, name: str, person: NewSubscription) -> Subscription:
        next_step = person.next_step_id
        return Subscription(
            id=row_id,
            sequence_id=self._stored.slug,
            email=contact.email,
            name=name or contact.name,
            status=SubscriptionStatus.ACTIVE,
            started_at=person.started_at,
            current_step=0,
            next_step=None if next_step is None else self._stored.keys[next_step],
            next_send_at=person.next_send_at,
            variables=person.variables,
            retry_count=0,
            last_sent_at=None,
            paused_at=None,
            completed_at=None,
            cancelled_at=None,
            cancel_reason=None,
            created_at=self._at,
            updated_at=self._at,
            key_id=self._key_id,
        )


def _refused(email: str, code: str, message: str) -> Answered:
    return Answered(Answer.REFUSED, email, code, message)
