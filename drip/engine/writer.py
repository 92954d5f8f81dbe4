"""Who has something to write writes for all who wait, in one transaction, so that marks share their commit.

There is no thread for it: one that hands the interpreter back and forth with those who send slows both down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import TypeVar

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.immutable import immutable
from drip.engine.ledger import Ledger
from drip.engine.points import Point, reached
from drip.engine.ports import Store
from drip.engine.records import Claim, Marked
from drip.engine.results import Fact, Result
from drip.errors import DatabaseBusy, DatabaseUnavailable

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that a failed record is tried again, with the results kept in memory."""
RETRY_EVERY = 0.5
"""Seconds between two tries."""
LARGEST_GROUP = 500
"""Entries that share one transaction at the most."""
REACHING = (OutcomeKind.NO_MAILBOX, OutcomeKind.REFUSED, OutcomeKind.OUR_FAULT)
"""Outcomes whose record touches people whom other workers may hold."""


@immutable
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
    """Runs everything that changes the database for one worker, in the order it came, one transaction at a time."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        clock: Callable[[], datetime],
        told: Callable[[Fact], None],
    ) -> None:
        """`told` is called for each fact after it is committed, by one thread at a time."""
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._told = told
        self._queue: SimpleQueue[Entry] = SimpleQueue()
        self._turn = threading.Lock()
        self._broken: BaseException | None = None

    def check(self) -> None:
        """Raise what broke the writer, if anything did."""
        if self._broken is not None:
            raise self._broken

    def call(self, job: Callable[[], T], *, alone: bool = False) -> T:
        """Run a job in a transaction; its answer, after the commit.

        Args:
            alone: it touches what other workers hold.
        """
        return self._submit(job, (), alone=alone)

    def mark(self, marked: Sequence[Marked], results: Sequence[Result] = ()) -> list[bool]:
        """Mark; the answer comes after the commit, and False means that the dot must not be sent.

        Args:
            results: recorded in the same transaction, and before.
        """
        reached(Point.MARK)
        return self._submit(lambda: self._ledger.mark(marked, self._clock()), results)

    def try_mark(self, marked: Sequence[Marked], results: Sequence[Result]) -> list[bool] | None:
        """As `mark`; None, and nothing is begun, where somebody else writes now."""
        try:
            return self._mark_at_once(marked, results)
        except DatabaseUnavailable:
            if results:
                self.record(results)  # facts, whatever becomes of the marks
            raise

    def _mark_at_once(self, marked: Sequence[Marked], results: Sequence[Result]) -> list[bool] | None:
        if not self._turn.acquire(blocking=False):
            return None
        try:
            self.check()
            reached(Point.MARK)
            future: Future[object] = Future()
            facts = self._commit(
                [Entry(results, lambda: self._ledger.mark(marked, self._clock()), future)], patient=False
            )
            self._tell(facts)
            return future.result()  # type: ignore[return-value]
        except DatabaseBusy:
            return None
        except DatabaseUnavailable:
            raise
        except BaseException as error:
            self._broken = error
            raise
        finally:
            self._turn.release()

    def release(self, claims: Sequence[Claim]) -> None:
        """Give back claims that nothing was done with."""
        self.call(lambda: self._ledger.release(claims, self._clock()))

    def record(self, results: Sequence[Result]) -> None:
        """Record, for as long as it may take; nothing is raised here but by `check`."""
        self._put(Entry(results))

    def _submit(self, job: Callable[[], T], results: Sequence[Result], *, alone: bool = False) -> T:
        future: Future[T] = Future()
        self._put(Entry(results, job, future, alone))  # type: ignore[arg-type]
        return future.result()

    def _put(self, entry: Entry) -> None:
        self._queue.put(entry)
        with self._turn:  # when it comes, the entry may be written already
            try:
                self.check()
                while group := self._next_group():
                    self._write(group)
            except BaseException as error:
                self._broken = error
                while group := self._next_group():
                    _fail(group, error)

    def _next_group(self) -> list[Entry]:
        """What waits; empty when nothing does."""
        group: list[Entry] = []
        with suppress(Empty):
            while len(group) < LARGEST_GROUP:
                group.append(self._queue.get_nowait())
        return group

    def _write(self, group: list[Entry]) -> None:
        self._tell(self._commit_patiently(group))

    def _tell(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
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

    def _commit(self, group: list[Entry], *, patient: bool = True) -> list[Fact]:
        results = [result for entry in group for result in entry.results]
        with self._store.transaction(alone=any(entry.reaches for entry in group), patient=patient):
            facts = self._ledger.record(results, self._clock()) if results else []
            answers = [(entry.future, entry.job() if entry.job else None) for entry in group]
        if results:
            reached(Point.RECORDED)
        for future, answer in answers:
            if future is not None:
                future.set_result(answer)
        return facts


def _fail(entries: Iterable[Entry], error: BaseException) -> None:
    for entry in entries:
        if entry.future is not None:
            entry.future.set_exception(error)
