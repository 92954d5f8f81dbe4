"""The worker: one pass until nothing is due, or a loop of passes. Owns the threads; decides nothing about people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from random import Random

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.settings import Settings
from drip.engine.catalogue import Catalogue
from drip.engine.compose import Composer
from drip.engine.desk import Inbox, OneByOne, SendingDesk
from drip.engine.leases import LEASE, has_run_out
from drip.engine.ledger import Fact, Ledger
from drip.engine.limits import Room
from drip.engine.points import Point, reached
from drip.engine.ports import Fleet, HighWater, Processes, Store, Transport
from drip.engine.records import Claim
from drip.engine.report import Report
from drip.engine.sender import Sender
from drip.engine.writer import Writer
from drip.errors import DatabaseRestored, DatabaseUnavailable, Unavailable

RENEW_EVERY = 30.0
"""Seconds between signs of life."""
BATCH = 200
"""People claimed at once; a tick. Nobody is in a batch twice."""
IDLE = timedelta(seconds=30)
"""After which an unused connection is closed."""
FRUITLESS = 3
"""Batches in a row of which everything was given back: then the pass ends, lest it never does."""
LOST_IN_A_ROW = 4
"""Connections lost in a row that mean that the transport is down."""
LONGEST_ROOM_WAIT = 5.0
"""Seconds that a pass waits for the rate; what takes longer is for a later pass."""
SHORTEST_ROOM_WAIT = 0.1
"""Seconds that a pass waits at least, so that a few go together; a rate's bucket holds more than comes in that time."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds the loop waits for a transport that is down: doubling from the first to the longest."""

_STOPPING = (OutcomeKind.DOWN, OutcomeKind.MISCONFIGURED, OutcomeKind.OUR_FAULT)


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
        self._catalogue = Catalogue(store)
        self._composer: Composer | None = None
        self._inbox: Inbox = SimpleQueue()
        self._carriers: list[Fleet] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._in_flight = 0
        self._handed_out = False
        self._room = Room(0)
        self._lost_in_a_row = 0
        self._report = Report()
        self._done = self._fruitless = 0
        self._unsettled = False
        self._halt = threading.Event()
        self._stop = threading.Event()
        self._renewed = 0.0
        self._bug: BaseException | None = None

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
        self._renewed = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        self._halt.set()
        for _ in self._threads:
            self._inbox.put(None)
        for thread in self._threads:
            thread.join()
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
        self._report, self._lost_in_a_row, self._fruitless = Report(), 0, 0
        self._done = 0
        self._recover()
        if not self._stop.is_set():
            self._halt.clear()
        self._ledger.begin(self._clock())
        self._report.swept = self._sweep()
        left = limit
        while not self._halt.is_set() and (left is None or left > 0) and self._gets_on():
            self._renew()
            claims = self._claim(BATCH if left is None else min(BATCH, left))
            if claims:
                left = None if left is None else left - len(claims)
                self._hand_out(claims)
                self._wait_until(lambda: self._in_flight <= BATCH // 2)
            elif not self._settle_down() and not self._waits_for_room():
                break
        self._settle_down()
        return self._finish(started)

    def run_loop(
        self,
        interval: float,
        after_pass: Callable[[Report], None] = lambda report: None,
        before_pass: Callable[[], None] = lambda: None,
    ) -> None:
        """Pass after pass, `interval` seconds apart, until `stop`.

        A transport that is down is waited for, and so is a database that is busy, full or not reachable for a while.

        Raises:
            DatabaseRestored: the database has gone back in time.
            DatabaseUnavailable: an answer could not be recorded.
        """
        wait = FIRST_WAIT
        while not self._stop.is_set():
            report = self._pass(before_pass)
            after_pass(report)
            if report.trouble is None:
                wait, pause = FIRST_WAIT, interval
            elif report.trouble.kind is OutcomeKind.DOWN:
                wait, pause = min(wait * 2, LONGEST_WAIT), wait
            else:
                pause = LONGEST_WAIT
            self._rest(pause)

    def _pass(self, before: Callable[[], None]) -> Report:
        """One pass of the loop; that the database can't be used is in the report."""
        self._report = Report()
        try:
            if self._high_water is not None:
                self._high_water.require()
            before()
            return self.run_once()
        except DatabaseRestored:
            raise
        except DatabaseUnavailable as error:
            self._writer.check()
            self._halt_unavailable(error)
            return self._report

    def _recover(self) -> None:
        """After the database could not be used: take back what this worker could not give back then."""
        if self._unsettled:
            self._wait_until(lambda: self._in_flight == 0)
            self._report.swept += self._writer.call(lambda: self._ledger.take_back(self._id, self._clock()), alone=True)
            self._unsettled = self._handed_out = False

    def _gets_on(self) -> bool:
        """Whether something came of the last few batches; if all was given back again and again, the pass ends."""
        done = self._report.counts.total() - self._report.counts["released"]
        self._fruitless = 0 if done > self._done else self._fruitless + self._handed_out
        self._done = done
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
        self._wait_until(lambda: self._in_flight == 0)
        self._writer.call(lambda: None)
        self._handed_out = False
        return True

    def _claim(self, limit: int) -> list[Claim]:
        # Most passes find nothing: that is seen without taking the write lock.
        next_due = self._store.claims.next_due()
        if next_due is None or next_due > self._clock():
            self._room = Room(0)
            return []
        self._store.require_space()
        if self._high_water is not None:
            self._high_water.begin(self._clock())
        reached(Point.CLAIM)
        claims, self._room, facts = self._writer.call(lambda: self._ledger.claim(self._clock(), limit))
        reached(Point.CLAIMED)
        for fact in facts:
            self._note(fact)
        self._report.room_at = self._room.free_at
        return claims

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

    def _hand_out(self, claims: list[Claim]) -> None:
        self._handed_out = True
        with self._changed:
            self._in_flight += len(claims)
        for claim in claims:
            self._inbox.put(claim)
        if self._composer is None:
            self._composer = Composer(self._settings, self._store.secret())
        if not self._carriers and (fleet := self._transport.fleet()) is not None:
            self._carriers = [fleet]
            self._start_thread(self._composer, fleet)
        elif not self._carriers or isinstance(self._carriers[0], OneByOne):
            while len(self._carriers) < min(self._transport.connections, len(claims)):
                self._carriers.append(OneByOne(self._transport.session()))
                self._start_thread(self._composer, self._carriers[-1])
        for carrier in self._carriers:
            carrier.wake()

    def _start_thread(self, composer: Composer, carrier: Fleet) -> None:
        name = f"drip-sender-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, args=(composer, carrier), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, composer: Composer, carrier: Fleet) -> None:
        sender = Sender(self._settings, self._catalogue, composer, self._clock)
        desk = SendingDesk(self._inbox, sender, self._writer, self)
        try:
            with self._store.connected():
                while self._has_work(desk, carrier):
                    carrier.carry(desk)
        except BaseException as error:
            with self._changed:
                self._bug = self._bug or error
                self._changed.notify_all()
            self._halt.set()
        finally:
            carrier.close()

    def _has_work(self, desk: SendingDesk, carrier: Fleet) -> bool:
        while True:
            try:
                return desk.wait(IDLE)
            except Empty:
                carrier.rest()

    @property
    def halted(self) -> bool:
        """Whether nothing more is to be begun; for the desks, as the next three."""
        return self._halt.is_set()

    def look_at(self, outcome: Outcome) -> None:
        """Stop when an outcome says that the transport is in trouble."""
        if outcome.kind in _STOPPING:
            self._halt_for(outcome)
        if outcome.kind is not OutcomeKind.LOST:
            self._lost_in_a_row = 0
            return
        with self._changed:
            self._lost_in_a_row += 1
            lost = self._lost_in_a_row
        if lost >= LOST_IN_A_ROW:
            text = f"{lost} connections in a row were lost: {outcome.text}"
            self._halt_for(Outcome(OutcomeKind.DOWN, text=text))

    def lost_hold(self, error: Unavailable) -> None:
        """Some claims could not be settled, as the database could not be used."""
        self._halt_unavailable(error)

    def settled(self, count: int) -> None:
        """So many claims are written, or lost."""
        with self._changed:
            before, self._in_flight = self._in_flight, self._in_flight - count
            # Whoever waits, waits for one of these two; woken more often it would only take turns from the others.
            if before > BATCH // 2 >= self._in_flight or self._in_flight == 0:
                self._changed.notify_all()

    def _halt_for(self, outcome: Outcome) -> None:
        with self._changed:
            if self._report.trouble is None:
                self._report.trouble = outcome
        self._halt.set()

    def _halt_unavailable(self, error: Unavailable) -> None:
        self._unsettled = True
        self._report.unavailable = error
        self._halt_for(Outcome(OutcomeKind.DOWN, text=error.message))

    def _note(self, fact: Fact) -> None:
        self._report.counts[fact.kind] += 1
        if fact.completed:
            self._report.counts["completed"] += 1
        if fact.breaker:
            text = f"the server refuses nearly everybody, so the fault must be ours: {fact.text}"
            self._halt_for(Outcome(OutcomeKind.OUR_FAULT, text=text))
        self._told(fact)

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: reached() or self._bug is not None, timeout=1.0):
                    break
            self._check()
            self._renew()
        self._check()

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stop.wait(min(left, RENEW_EVERY)):
            with suppress(DatabaseUnavailable):  # the next pass will say so
                self._renew()

    def _check(self) -> None:
        self._writer.check()
        if self._bug is not None:
            raise self._bug

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
