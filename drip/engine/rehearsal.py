"""The real engine on a clock that is moved by hand: one thread, a transport that only listens, nothing real written.

The same ledger, policy, schedule and composer as the worker's; the worker only adds threads, leases and connections.
The store is given: one in memory. Nothing here may know more of a step than the worker does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.sequence import Definition, SequenceStatus, Source, Template
from drip.core.settings import Limits, Settings
from drip.engine.catalogue import Catalogue
from drip.engine.compose import Composer
from drip.engine.ledger import Ledger
from drip.engine.ports import Envelope, Store
from drip.engine.records import Marked
from drip.engine.results import Fact
from drip.engine.sender import Sender
from drip.engine.subscribe import Answered, Request, subscribe

Answer = Callable[[Envelope, int], Outcome]
"""What the server would say to a message, at its attempt of that number, from 1."""

BATCH = 200
"""People claimed at once, as by the worker."""


def accepted(envelope: Envelope, attempt: int) -> Outcome:
    """What a server says that takes everything."""
    return Outcome(OutcomeKind.SENT, 250, "2.0.0", "2.0.0 Ok")


def refused_at_first(times: int) -> Answer:
    """A server that says "later" to every message so many times before it takes it."""

    def answer(envelope: Envelope, attempt: int) -> Outcome:
        if attempt > times:
            return accepted(envelope, attempt)
        return Outcome(OutcomeKind.DEFERRED, 451, "4.7.1", "4.7.1 try again later")

    return answer


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that came of one step for one person."""

    at: datetime
    fact: Fact
    sequence: str
    """Its id."""
    content: bytes | None
    """The message as handed over; None when none was taken."""
    until: datetime | None
    """When it is tried again; None when it is not deferred."""


class Rehearsal:
    """A store, a clock, and the engine between them. Limits of drip.yaml do not count: a rehearsal has few people."""

    def __init__(self, store: Store, settings: Settings, now: datetime, *, answer: Answer = accepted) -> None:
        """
        Args:
            store: open, and for this thread alone.
        """
        self.now = now
        self.store = store
        self.settings = replace(settings, limits=Limits())
        self._listener = _Listener(answer)
        with store.transaction():
            worker_id = store.claims.register("rehearsal", 0, "", now, now)
        self._catalogue = catalogue = Catalogue(store)
        self._ledger = Ledger(store, self.settings, catalogue, worker_id, _Even())
        self._sender = Sender(
            *(self.settings, catalogue, Composer(self.settings, store.secret())),
            clock=lambda: self.now,
        )

    def take(self, definitions: Iterable[Definition], templates: Iterable[Template] = ()) -> None:
        """Make these the sequences; drafts and archived ones send too, or there would be nothing to see."""
        with self.store.transaction():
            self.store.sequences.save_templates({template.name: template for template in templates}, self.now)
            for definition in definitions:
                sending = replace(definition, sequence=replace(definition.sequence, status=SequenceStatus.ACTIVE))
                self.store.sequences.save(sending, now=self.now, source=Source.FILE)

    def subscribe(self, slug: str, request: Request) -> Answered:
        """As `drip subscribe` would, at the moment the clock shows."""
        return subscribe(self.store, self.settings, slug, request, self.now)

    def run(self, until: datetime | None = None) -> Iterator[Happening]:
        """What happens up to a moment, that one included; the clock stands there afterwards.

        Args:
            until: None is for ever; then the clock stands at what happened last.
        """
        while (due := self.store.claims.next_due()) is not None and (until is None or due <= until):
            self.now = max(self.now, due)
            happened = self._tick()
            yield from happened
            if all(one.fact.kind == "released" for one in happened):
                break  # nothing came of anything: it would be the same for ever
        self.now = max(self.now, until or self.now)

    def _tick(self) -> list[Happening]:
        happened = []
        with self.store.transaction():
            claims, _, _ = self._ledger.claim(self.now, BATCH)
            for claim in claims:
                facts = self._ledger.record([self._sender.send(claim, self._listener, self._mark)], self.now)
                happened += [self._happening(fact) for fact in facts]
        return happened

    def _mark(self, marked: Marked) -> bool:
        return self._ledger.mark([marked], self.now)[0]

    def _happening(self, fact: Fact) -> Happening:
        until = None
        if fact.kind == "deferred":
            row_id = fact.claim.subscription_id
            until = self.store.subscriptions.people([row_id])[row_id].next_send_at
        content = self._listener.taken if fact.kind == "sent" else None
        sequence = self._catalogue.get(fact.claim.sequence_id).slug
        return Happening(self.now, fact, sequence, content, until)


class _Listener:
    """A session that remembers the last message it took."""

    def __init__(self, answer: Answer) -> None:
        self.taken = b""
        self._answer = answer
        self._attempts: Counter[str] = Counter()

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        self._attempts[envelope.token] += 1
        outcome = self._answer(envelope, self._attempts[envelope.token])
        if outcome.kind is OutcomeKind.SENT:
            if not mark():
                return Outcome(OutcomeKind.NOT_MARKED)
            self.taken = content
        return outcome

    def close(self) -> None:
        """Nothing was opened."""


class _Even(Random):
    """No luck: waits between retries are the middle of what they may be."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2
