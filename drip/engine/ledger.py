"""The discipline of the ledger: claim, mark, record. Runs inside the caller's transaction, on one thread.

Everything that changes people because of a message begins here, once per result; see `recording`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from random import Random

from drip.core.delivery import Outcome, OutcomeKind, Reason
from drip.core.settings import Settings
from drip.engine.breaker import Breaker
from drip.engine.catalogue import Catalogue
from drip.engine.limits import Allowance, Room
from drip.engine.onward import Onward
from drip.engine.points import Point, reached
from drip.engine.ports import Store
from drip.engine.recording import Case, Recording
from drip.engine.records import Claim, Marked
from drip.engine.results import Fact, Result


class Ledger:
    """Records for one worker."""

    def __init__(self, store: Store, settings: Settings, catalogue: Catalogue, worker_id: int, random: Random) -> None:
        self._store = store
        self._catalogue = catalogue
        self._worker_id = worker_id
        self._random = random
        self._onward = Onward(store, settings, catalogue)
        self._allowance = Allowance(store, settings)
        self._breaker = Breaker(store, self._onward)
        self._recording = Recording(store, settings, catalogue, random, self._onward, self._breaker)

    def begin(self, now: datetime) -> None:
        """A pass begins: the breaker is closed."""
        self._breaker.close(now)

    def claim(self, now: datetime, limit: int) -> tuple[list[Claim], Room, list[Fact]]:
        """Claim what is due, as much as the limits leave; see `store.claims.claim`.

        Returns:
            What may go, the room there was, and the facts of those that were deferred for their domain's sake.
        """
        self._allowance.begin_day(now)
        room = self._allowance.room(now, limit)
        claims = self._store.claims.claim(self._worker_id, now, room.count) if room.count else []
        reached(Point.CLAIM_WRITTEN)
        if not claims:
            return [], room, []
        self._catalogue.refresh(claim.sequence_id for claim in claims)
        going, held = self._allowance.reserve(claims, now)
        results = [Result(claim, defer, self._catalogue.get(claim.sequence_id).revision) for claim, defer in held]
        if held:
            room = replace(room, held_until=max(defer.until for _, defer in held))
        return going, room, self._record(results, now) if results else []

    def mark(self, marked: Sequence[Marked], now: datetime) -> list[bool]:
        """The fence and the last look at consent, of each: False means that its dot must not be sent."""
        done = self._store.claims.mark(self._worker_id, marked, now)
        reached(Point.MARK_WRITTEN)
        return [one.claim.subscription_id in done for one in marked]

    def release(self, claims: Sequence[Claim], now: datetime) -> None:
        """Give back claims that nothing was done with."""
        self._allowance.begin_day(now)
        released = self._store.claims.release(self._worker_id, claims)
        self._allowance.give_back([claim.email for claim in released], now)
        reached(Point.RELEASE_WRITTEN)

    def record(self, results: Sequence[Result], now: datetime) -> list[Fact]:
        """Write what came of each claim, move the people on, append the events."""
        # What others took from this worker meanwhile they have given back too.
        unused = self._store.claims.held(self._worker_id, [one.claim for one in results if not _left(one)])
        refused = {(one.claim.subscription_id, one.claim.number) for one in results if _was_refused(one)}
        untried = [one.email for one in unused if (one.subscription_id, one.number) not in refused]
        self._allowance.give_back(untried, now, refused=len(unused) - len(untried))
        with self._store.events.together():
            facts = self._record(results, now)
        reached(Point.RECORD_WRITTEN)
        return facts

    def _record(self, results: Sequence[Result], now: datetime) -> list[Fact]:
        ids = [result.claim.subscription_id for result in results]
        self._catalogue.refresh(result.claim.sequence_id for result in results)
        people = self._store.subscriptions.people(ids)
        handled = self._store.subscriptions.handled(ids)
        facts = []
        accepted: dict[int, tuple[Case, Outcome]] = {}
        for result in results:
            claim = result.claim
            stored = self._catalogue.get(claim.sequence_id)
            case = Case(
                claim=claim,
                person=people[claim.subscription_id],
                handled=frozenset(stored.keys[step_id] for step_id in handled[claim.subscription_id]),
                step=stored.keys[claim.step_id],
                revision=result.revision,
                marked=result.marked,
                at=result.at or now,
                message_id=result.message_id,
            )
            if isinstance(result.outcome, Outcome) and result.outcome.kind is OutcomeKind.SENT:
                if case.person.id in accepted:  # what this worker claimed before it was taken for dead, and after
                    facts += self._recording.sent(accepted.values())
                    accepted = {}
                accepted[case.person.id] = (case, result.outcome)
                continue
            facts += self._recording.sent(accepted.values())
            accepted = {}
            if isinstance(result.outcome, Outcome):
                facts.append(self._recording.answered(case, result.outcome))
            elif result.revision == stored.revision:
                facts.append(self._recording.decided(case, result.outcome))
            else:
                facts.append(self._recording.outdated(case))
        facts += self._recording.sent(accepted.values())
        # Whatever was not moved on is given back: the person was paused, cancelled or edited meanwhile.
        self._store.claims.release(self._worker_id, [result.claim for result in results])
        return facts

    def sweep(self, worker_id: int, now: datetime) -> int:
        """Take back all that a worker held that is gone; how many deliveries became unknown."""
        doubtful = self.take_back(worker_id, now)
        self._store.claims.end(worker_id, now)
        reached(Point.SWEEP_WRITTEN)
        return doubtful

    def take_back(self, worker_id: int, now: datetime) -> int:
        """Take back all that a worker holds; how many deliveries became unknown."""
        self._allowance.begin_day(now)
        marked = self._store.claims.sending_of(worker_id)
        for sending in marked:
            self._onward.doubt(sending, Reason.INTERRUPTED, now, jitter=self._random.uniform(-1, 1))
        self._allowance.give_back(self._store.claims.free_all(worker_id), now)
        return len(marked)


def _left(result: Result) -> bool:
    """Whether a message left, or may have."""
    sent = (OutcomeKind.SENT, OutcomeKind.UNKNOWN)
    return isinstance(result.outcome, Outcome) and result.outcome.kind in sent


def _was_refused(result: Result) -> bool:
    """Whether a server was asked to take a message, and did not."""
    refusals = (OutcomeKind.DEFERRED, OutcomeKind.REFUSED, OutcomeKind.NO_MAILBOX)
    return isinstance(result.outcome, Outcome) and result.outcome.kind in refusals and result.outcome.code is not None
