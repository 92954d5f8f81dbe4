"""One thread that writes: whatever waits when it is free shares one transaction, so marks share their commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import TypeVar

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine.ledger import Fact, Ledger, Result
from drip.engine.points import Point, reached
from drip.engine.ports import Store
from drip.engine.records import Claim, Marked
from drip.errors import DatabaseUnavailable

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that a failed record is tried again, with the results kept in memory."""
RETRY_EVERY = 0.5
"""Seconds between two tries."""
LARGEST_GROUP = 500
"""Entries that share one transaction at the most."""
REACHING = (OutcomeKind.NO_MAILBOX, OutcomeKind.REFUSED, OutcomeKind.OUR_FAULT)
"""Outcomes whose record touches people whom other workers may hold."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits to be written."""

    results: Sequence[Result] = ()
    """Facts: kept until they are written."""
    job: Callable[[], object] | None = None
    """What else is to be done in the transaction; None is nothing."""
    future: Future[object] | None = None
    """Told of the commit and the job's answer; None when nobody waits."""
    alone: bool = False
    """Whether the job touches what other workers hold, so that nobody else may write meanwhile."""

    @property
    def reaches(self) -> bool:
        """Whether it reaches beyond what this worker has claimed: a refusal may suppress, or open the breaker."""
        outcomes = (result.outcome for result in self.results)
        return self.alone or any(isinstance(one, Outcome) and one.kind in REACHING for one in outcomes)


class Writer:
    """Runs everything that changes the database for one worker, in the order it came."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        clock: Callable[[], datetime],
        told: Callable[[Fact], None],
    ) -> None:
        """`told` is called on the writer's thread for each fact, after it is committed."""
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._told = told
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="drip-writer", daemon=True)
        self._broken: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write all that waits, then end the thread; raises what broke it, if anything did."""
        self._queue.put(None)
        self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what broke the writer, if anything did."""
        if self._broken is not None:
            raise self._broken

    def call(self, job: Callable[[], T], *, alone: bool = False) -> T:
        """Run a job in a transaction on the writer's thread and wait for its commit.

        Args:
            alone: it touches what other workers hold.
        """
        return self._call(job, (), alone=alone)

    def mark(self, marked: Sequence[Marked], results: Sequence[Result] = ()) -> Future[list[bool]]:
        """Mark; the answer is there after the commit, and False means that the dot must not be sent.

        Args:
            results: recorded in the same transaction, and before.
        """
        reached(Point.MARK)
        return self._submit(lambda: self._ledger.mark(marked, self._clock()), results)

    def release(self, claims: Sequence[Claim]) -> None:
        """Give back claims that nothing was done with, and wait for the commit."""
        self.call(lambda: self._ledger.release(claims, self._clock()))

    def record(self, results: Sequence[Result], *, wait: bool = False) -> None:
        """Record soon, or wait until it is committed; nothing is claimed before it is written."""
        if wait:
            self._call(lambda: None, results)
        else:
            self._put(Entry(results))

    def _call(self, job: Callable[[], T], results: Sequence[Result], *, alone: bool = False) -> T:
        return self._submit(job, results, alone=alone).result()

    def _submit(self, job: Callable[[], T], results: Sequence[Result], *, alone: bool = False) -> Future[T]:
        future: Future[T] = Future()
        self._put(Entry(results, job, future, alone))  # type: ignore[arg-type]
        return future

    def _put(self, entry: Entry) -> None:
        self._queue.put(entry)
        if self._broken is not None:
            self._fail_waiting(self._broken)

    def _run(self) -> None:
        try:
            with self._store.connected():
                while group := self._next_group():
                    self._write(group)
        except BaseException as error:
            self._broken = error
            self._fail_waiting(error)

    def _next_group(self) -> list[Entry]:
        """At least one entry; empty at the end."""
        first = self._queue.get()
        if first is None:
            return []
        group = [first]
        while len(group) < LARGEST_GROUP and not self._queue.empty():
            entry = self._queue.get()
            if entry is None:
                self._queue.put(None)
                break
            group.append(entry)
        return group

    def _write(self, group: list[Entry]) -> None:
        for fact in self._commit_patiently(group):
            self._told(fact)
            reached(Point.TOLD)

    def _commit_patiently(self, group: list[Entry]) -> list[Fact]:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._commit(group)
            except DatabaseUnavailable as error:
                # Who waits for an answer gets it now; results are facts, and are kept until they are written.
                _fail(group, error)
                group = [Entry(entry.results) for entry in group if entry.results]
                if not group:
                    return []
                if time.monotonic() > deadline:
                    _fail(group, error)
                    raise
                time.sleep(RETRY_EVERY)
            except BaseException as error:
                _fail(group, error)
                raise

    def _commit(self, group: list[Entry]) -> list[Fact]:
        results = [result for entry in group for result in entry.results]
        with self._store.transaction(alone=any(entry.reaches for entry in group)):
            facts = self._ledger.record(results, self._clock()) if results else []
            answers = [(entry.future, entry.job() if entry.job else None) for entry in group]
        if results:
            reached(Point.RECORDED)
        for future, answer in answers:
            if future is not None:
                future.set_result(answer)
        return facts

    def _fail_waiting(self, error: BaseException) -> None:
        while True:
            try:
                entry = self._queue.get_nowait()
            except Empty:
                return
            if entry is not None:
                _fail([entry], error)


def _fail(entries: Iterable[Entry], error: BaseException) -> None:
    for entry in entries:
        if entry.future is not None:
            entry.future.set_exception(error)
