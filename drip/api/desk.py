"""The threads that talk to the database for the API: some that read, one that writes.

Handlers run on the event loop and hand their work over. What waits when the writer is free shares one transaction, as
a durable commit costs more than most requests; each piece has a savepoint of its own in it, and is answered after the
commit. Pieces of one kind are done in one call where the kind knows how.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from drip.store.store import Store

T = TypeVar("T")
Item = TypeVar("Item")

READERS = 2
LARGEST_GROUP = 64
"""Pieces of work that share one transaction at the most."""


@dataclass(frozen=True, slots=True)
class Together(Generic[Item, T]):
    """Work that is done for many at once: one call for all items that wait with the same key."""

    key: Hashable
    item: Item
    work: Callable[[Sequence[Item]], Sequence[T]]


@dataclass(frozen=True, slots=True)
class _Errand:
    """Work for the database, and who waits for it."""

    work: Callable[[], Any] | Together[Any, Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Desk:
    """Runs work on threads that hold a connection. Use as an async context manager."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reads: SimpleQueue[_Errand | None] = SimpleQueue()
        self._writes: SimpleQueue[list[_Errand] | None] = SimpleQueue()
        self._gathered: list[_Errand] = []
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Desk:
        self._loop = asyncio.get_running_loop()
        runs = [(self._read, f"drip-api-reader-{number}") for number in range(1, READERS + 1)]
        for run, name in [*runs, (self._write, "drip-api-writer")]:
            thread = threading.Thread(target=run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for _ in range(READERS):
            self._reads.put(None)
        self._writes.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    async def read(self, work: Callable[[], T]) -> T:
        """Run something that only reads."""
        assert self._loop is not None
        future = self._loop.create_future()
        self._reads.put(_Errand(work, future))
        result: T = await future
        return result

    async def write(self, work: Callable[[], T]) -> T:
        """Run something that writes; it is durable when this returns."""
        result: T = await self._gather(work)
        return result

    async def write_together(self, work: Together[Item, T]) -> T:
        """As `write`, for work that is cheaper for many at once."""
        result: T = await self._gather(work)
        return result

    def _gather(self, work: Callable[[], Any] | Together[Any, Any]) -> asyncio.Future[Any]:
        """Hand over once a turn of the event loop brings no more: requests that come together share a commit."""
        assert self._loop is not None
        future = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Errand(work, future))
        return future

    def _hand_over(self, gathered_before: int = 0) -> None:
        assert self._loop is not None
        if gathered_before < len(self._gathered) < LARGEST_GROUP:
            self._loop.call_soon(self._hand_over, len(self._gathered))
            return
        self._writes.put(self._gathered)
        self._gathered = []

    def _read(self) -> None:
        with self._store.connected():
            while (errand := self._reads.get()) is not None:
                assert callable(errand.work)
                self._tell([_attempt(errand.future, errand.work)])

    def _write(self) -> None:
        with self._store.connected():
            while group := self._next_group():
                self._tell(self._commit(group))

    def _next_group(self) -> list[_Errand]:
        """At least one errand; empty at the end."""
        first = self._writes.get()
        if first is None:
            return []
        group = first
        while len(group) < LARGEST_GROUP and not self._writes.empty():
            more = self._writes.get()
            if more is None:
                self._writes.put(None)
                break
            group += more
        return group

    def _commit(self, group: list[_Errand]) -> list[_Answer]:
        try:
            with self._store.transaction():
                kinds = _sorted(group)
                if len(kinds) == 1:  # it fails alone, or with the transaction
                    return _done(kinds[0])
                answers: list[_Answer] = []
                for errands in kinds:
                    answers += self._in_savepoint(errands)
        except Exception as error:
            return [_Answer(errand.future, error=error) for errand in group]
        return answers

    def _in_savepoint(self, errands: list[_Errand]) -> list[_Answer]:
        try:
            with self._store.savepoint():
                return _done(errands)
        except Exception as error:
            return [_Answer(errand.future, error=error) for errand in errands]

    def _tell(self, answers: list[_Answer]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:
            # The loop has been closed: nobody waits any more.
            return


def _done(errands: list[_Errand]) -> list[_Answer]:
    """Errands of one kind, all or none."""
    first = errands[0].work
    if isinstance(first, Together):
        results = first.work([errand.work.item for errand in errands if isinstance(errand.work, Together)])
    else:
        results = [first()]
    return [_Answer(errand.future, result) for errand, result in zip(errands, results, strict=True)]


def _attempt(future: asyncio.Future[Any], work: Callable[[], Any]) -> _Answer:
    try:
        return _Answer(future, work())
    except Exception as error:
        return _Answer(future, error=error)


def _sorted(group: list[_Errand]) -> list[list[_Errand]]:
    """The errands in order, those that are done together at the place of the first of them."""
    found: dict[Hashable, list[_Errand]] = {}
    for index, errand in enumerate(group):
        key = ("together", errand.work.key) if isinstance(errand.work, Together) else index
        found.setdefault(key, []).append(errand)
    return list(found.values())


def _resolve(answers: list[_Answer]) -> None:
    for answer in answers:
        if answer.future.done():  # whoever asked has hung up
            continue
        if answer.error is not None:
            answer.future.set_exception(answer.error)
        else:
            answer.future.set_result(answer.result)
