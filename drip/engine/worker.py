"""The worker: one pass until nothing is due, or a loop of passes. Decides nothing about people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from random import Random

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.limits import capacity
from drip.core.settings import Settings
from drip.engine.catalogue import Catalogue
from drip.engine.dispatch import Dispatch
from drip.engine.leases import LEASE, has_run_out
from drip.engine.ledger import Ledger
from drip.engine.limits import Room
from drip.engine.points import Point, reached
from drip.engine.ports import HighWater, Processes, Store, Transport
from drip.engine.records import Claim
from drip.engine.report import Report
from drip.engine.results import Fact
from drip.engine.writer import Writer
from drip.errors import DatabaseRestored, DatabaseUnavailable

RENEW_EVERY = 30.0
"""Seconds between signs of life."""
BATCH = 200
"""People claimed at once; a tick. Nobody is in a batch twice."""
LARGEST_BATCH, SOON = 800, 0.1
"""A batch of which half is worked off within so many seconds is followed by one twice as large, as each costs a commit;
one that takes longer is not, as what one process holds is not for the others."""
SMALLEST_BATCH, SHARES = 32, 2
"""Of what is left to do, each of several workers claims one of so many shares at a time and no fewer than the smallest
batch, so that they end together."""
FRUITLESS = 3
"""Batches in a row of which everything was given back: then the pass ends, lest it never does."""
LONGEST_ROOM_WAIT = 5.0
"""Seconds that a pass waits for the rate; what takes longer is for a later pass."""
SHORTEST_ROOM_WAIT = 0.1
"""Seconds that a pass waits at least, so that a few go together; a rate's bucket holds more than comes in that time."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds the loop waits for a transport that is down: doubling from the first to the longest."""


class Worker:
    """One process's work on one database. Use as a context manager: entering registers, leaving frees."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        transport: Transport,
        processes: Processes,
        *,
        clock: Callable[[], datetime],
        told: Callable[[Fact], None] = lambda fact: None,
        high_water: HighWater | None = None,
        random: Random | None = None,
    ) -> None:
        """
        Args:
            clock: the moment as schedules see it; leases use the real one.
            high_water: how far the database had got, as something outside of it remembers; None where a message that
                is sent twice does no harm.
            told: called for each fact after it is committed, by one thread at a time.
        """
        self._store = store
        self._settings = settings
        self._transport = transport
        self._processes = processes
        self._clock = clock
        self._told = told
        self._high_water = high_water
        self._random = random or Random()
        # A rate counts what is claimed: behind a server that is silent for a while no more may gather than leaves soon.
        rate = settings.limits.rate
        self._most_in_hand = LARGEST_BATCH if rate is None else transport.connections + int(capacity(rate))
        self._catalogue = Catalogue(store)
        self._telling = threading.Lock()
        self._room = Room(0)
        self._held_until: datetime | None = None
        self._report = Report()
        self._done = self._released = self._fruitless = 0
        self._handed_out = False
        self._halt = threading.Event()
        self._stop = threading.Event()
        self._renewed = 0.0

    def __enter__(self) -> Worker:
        self._store.require_space()
        if self._high_water is not None:
            self._high_water.require()
        self._identity = self._processes.identity()
        with self._store.transaction():
            self._id = self._store.claims.register(*self._identity, self._clock(), self._store.awake() + LEASE)
            reached(Point.REGISTER_WRITTEN)
        reached(Point.REGISTERED)
        self._ledger = Ledger(self._store, self._settings, self._catalogue, self._id, self._random)
        self._writer = Writer(self._store, self._ledger, self._clock, self._note)
        self._dispatch = Dispatch(
            *(self._store, self._settings, self._transport, self._catalogue, self._writer),
            clock=self._clock,
            halt=self._halt,
        )
        self._renewed = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        self._dispatch.close()
        with self._store.transaction():
            self._ledger.sweep(self._id, self._clock())
        reached(Point.LEFT)
        self._writer.check()

    def stop(self) -> None:
        """Finish the messages in hand and come to an end; may be called from a signal handler or another thread."""
        self._stop.set()
        self._halt.set()
        # No lock may be taken in a signal handler: waiting threads look at the event by themselves.

    @property
    def silence(self) -> float:
        """Seconds since it last showed that it is alive; it does so every `RENEW_EVERY`, also while it waits."""
        return time.monotonic() - self._renewed

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def run_once(self, limit: int | None = None) -> Report:
        """One pass until nothing is due.

        Args:
            limit: take at most so many people; None is no limit.

        Raises:
            DatabaseUnavailable: the database can't be used.
        """
        started = time.monotonic()
        self._begin()
        self._done = self._released = self._fruitless = 0
        self._recover()
        if not self._stop.is_set():
            self._halt.clear()
        self._ledger.begin(self._clock())
        self._report.swept = self._sweep()
        left, batch = limit, BATCH
        while not self._halt.is_set() and (left is None or left > 0) and self._gets_on():
            self._renew()
            begun = time.monotonic()
            wanted = self._share(batch if left is None else min(batch, left))
            claims = self._claim(wanted)
            if claims:
                left = None if left is None else left - len(claims)
                self._hand_out(claims)
                self._wait_for(min(max(wanted // 2, SMALLEST_BATCH), self._most_in_hand))
                batch = min(2 * batch, LARGEST_BATCH) if time.monotonic() - begun < SOON else max(batch // 2, BATCH)
            elif self._room.held_until is None and not self._settle_down() and not self._waits_for_room():
                break  # where all who were claimed had to wait for their domain, others may be due behind them
        self._settle_down()
        return self._finish(started)

    def run_loop(
        self,
        interval: float,
        after_pass: Callable[[Report], None] = lambda report: None,
        before_pass: Callable[[], None] = lambda: None,
        limit: int | None = None,
    ) -> None:
        """Pass after pass, `interval` seconds apart, until `stop`.

        A transport that is down is waited for, and so is a database that is busy, full or not reachable for a while.

        Args:
            limit: take at most so many people in one pass; None is no limit.

        Raises:
            DatabaseRestored: the database has gone back in time.
            DatabaseUnavailable: an answer could not be recorded.
        """
        wait = FIRST_WAIT
        while not self._stop.is_set():
            report = self._pass(before_pass, limit)
            after_pass(report)
            if report.trouble is None:
                wait, pause = FIRST_WAIT, interval
            elif report.trouble.kind is OutcomeKind.DOWN:
                wait, pause = min(wait * 2, LONGEST_WAIT), wait
            else:
                pause = LONGEST_WAIT
            self._rest(pause)

    def _pass(self, before: Callable[[], None], limit: int | None) -> Report:
        """One pass of the loop; that the database can't be used is in the report."""
        self._begin()
        try:
            if self._high_water is not None:
                self._high_water.require()
            before()
            return self.run_once(limit)
        except DatabaseRestored:
            raise
        except DatabaseUnavailable as error:
            self._writer.check()
            self._dispatch.lost_hold(error)
            return self._report

    def _begin(self) -> None:
        self._report = Report()
        self._dispatch.begin(self._report)

    def _hand_out(self, claims: list[Claim]) -> None:
        self._handed_out = True
        self._dispatch.hand_out(claims)

    def _recover(self) -> None:
        """After the database could not be used: take back what this worker could not give back then."""
        if self._dispatch.unsettled:
            self._wait_for(0)
            self._report.swept += self._writer.call(lambda: self._ledger.take_back(self._id, self._clock()), alone=True)
            self._dispatch.unsettled = self._handed_out = False

    def _gets_on(self) -> bool:
        """Whether something came of the last few batches; if all was given back again and again, the pass ends.

        What is still in hand says nothing yet: a rate may let one go at a time, and the server take its own.
        """
        released = self._report.counts["released"]
        done = self._report.counts.total() - released
        self._fruitless = 0 if done > self._done else self._fruitless + (released > self._released)
        self._done, self._released = done, released
        return self._fruitless <= FRUITLESS

    def _sweep(self) -> int:
        now = self._store.awake()
        gone = [
            worker.id
            for worker in self._store.claims.workers()
            if worker.id != self._id and (has_run_out(worker, now) or self._processes.is_gone(worker))
        ]
        swept = sum(
            self._writer.call(partial(self._ledger.sweep, worker_id, self._clock()), alone=True) for worker_id in gone
        )
        reached(Point.SWEPT)
        return swept

    def _settle_down(self) -> bool:
        """Wait until all that was handed out is recorded; False when there was nothing to wait for."""
        if not self._handed_out:
            return False
        self._wait_for(0)
        self._writer.call(lambda: None)
        self._handed_out = False
        return True

    def _claim(self, limit: int) -> list[Claim]:
        # Most passes find nothing: that is seen without taking the write lock.
        next_due = self._store.claims.next_due()
        if next_due is None or next_due > self._clock():
            # Those who wait for their domain are due when it has room again.
            waits = next_due is not None and self._held_until is not None and next_due <= self._held_until
            self._room = Room(0, next_due if waits else None)
            return []
        self._store.require_space()
        if self._high_water is not None:
            self._high_water.begin(self._clock())
        reached(Point.CLAIM)
        claims, self._room, facts = self._writer.call(lambda: self._ledger.claim(self._clock(), limit))
        reached(Point.CLAIMED)
        for fact in facts:
            self._note(fact)
        if self._room.held_until is not None:
            self._held_until = max(self._room.held_until, self._held_until or self._room.held_until)
        self._report.room_at = self._room.free_at
        return claims

    def _share(self, limit: int) -> int:
        """At most `limit`; towards the end less, where others are at work too."""
        workers = len(self._store.claims.workers())
        if workers < 2:
            return limit
        left = self._store.claims.count_due_to(limit * workers * SHARES, self._clock())
        return min(limit, max(SMALLEST_BATCH, left // (workers * SHARES)))

    def _waits_for_room(self) -> bool:
        """Wait until the limits leave room again, if that is soon; False when the pass had better end.

        Of several workers only the oldest waits, so that runs from cron do not pile up behind a slow rate.
        """
        free_at = self._room.free_at
        wait = (free_at - self._clock()).total_seconds() if free_at else LONGEST_ROOM_WAIT + 1
        older = any(worker.id < self._id for worker in self._store.claims.workers())
        if wait > LONGEST_ROOM_WAIT or older:
            return False
        self._halt.wait(max(wait, SHORTEST_ROOM_WAIT))
        return free_at is not None and self._clock() >= free_at

    def _note(self, fact: Fact) -> None:
        with self._telling:
            self._report.counts[fact.kind] += 1
            if fact.completed:
                self._report.counts["completed"] += 1
            if fact.breaker:
                text = f"the server refuses nearly everybody, so the fault must be ours: {fact.text}"
                self._dispatch.halt_for(Outcome(OutcomeKind.OUR_FAULT, text=text))
            self._told(fact)

    def _wait_for(self, left: int) -> None:
        while not self._dispatch.wait_for(left):
            self._writer.check()
            self._renew()
        self._writer.check()

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stop.wait(min(left, RENEW_EVERY)):
            with suppress(DatabaseUnavailable):  # the next pass will say so
                self._renew()

    def _renew(self) -> None:
        if time.monotonic() - self._renewed < RENEW_EVERY:
            return
        # Who slept for longer than the lease has lost its claims, and the fence knows; it may claim anew.
        self._writer.call(
            lambda: self._store.claims.renew(self._id, self._identity, self._clock(), self._store.awake() + LEASE)
        )
        reached(Point.LEASE_RENEWED)
        self._renewed = time.monotonic()
        if self._high_water is not None:
            self._high_water.note(self._clock())

    def _finish(self, started: float) -> Report:
        report = self._report
        if self._high_water is not None:
            self._high_water.note(self._clock())
        report.remaining_due = self._store.claims.count_due(self._clock())
        report.next_due_at = self._store.claims.next_due()
        report.seconds = time.monotonic() - started
        return report
