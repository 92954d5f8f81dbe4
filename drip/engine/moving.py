"""Write what a new revision does to everybody in a sequence: one way for files and for the API."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TypeVar

from drip.core.events import EventType
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.core.settings import Settings
from drip.engine.ports import Store
from drip.engine.recompute import Move, keeps_everybody, recompute
from drip.engine.records import Event, Reschedule, StoredSequence

T = TypeVar("T")

CHUNK = 5000
"""People written at once."""


class Moves:
    """Who moves where, kept small: 16 octets a person, as a plan of a million people is remembered until it is done."""

    def __init__(self) -> None:
        self._retimed = _Times()
        self._going: dict[str | None, _Times] = {}
        self._completed = array("q")

    def add(self, move: Move) -> None:
        """Remember a move; somebody who stays is left out."""
        if not move.moves:
            return
        way = move.way
        if way.completes:
            self._completed.append(move.person.id)
        elif way.before == way.now:
            self._retimed.add(move)
        else:
            self._going.setdefault(way.now, _Times()).add(move)

    def retimed(self) -> Iterator[tuple[int, datetime | None]]:
        """Who waits for the same step, until another time."""
        return iter(self._retimed)

    def going(self, stored: StoredSequence) -> Iterator[Reschedule]:
        """Who waits for another step, and until when.

        Args:
            stored: the sequence with the steps that they go to.
        """
        for key, times in self._going.items():
            step_id = stored.ids[key] if key else None
            for row_id, due in times:
                yield Reschedule(row_id, step_id, due)

    def completed(self) -> Iterator[int]:
        """Who has nothing left."""
        return iter(self._completed)


class _Times:
    """People, and when something is due for each."""

    def __init__(self) -> None:
        self._people = array("q")
        self._due = array("q")

    def add(self, move: Move) -> None:
        self._people.append(move.person.id)
        self._due.append(_NEVER if move.due_at is None else to_milliseconds(move.due_at))

    def __iter__(self) -> Iterator[tuple[int, datetime | None]]:
        for row_id, due in zip(self._people, self._due, strict=True):
            yield row_id, None if due == _NEVER else from_milliseconds(due)


_NEVER = -(2**63)


def write_moves(
    store: Store,
    stored: StoredSequence,
    moves: Moves,
    now: datetime,
    progress: Callable[[int], None] = lambda people: None,
) -> None:
    """Move people to a revision, inside the transaction that saved it, in which the moves were found too.

    Args:
        stored: as it was saved.
        progress: told how many people were written since it was last called.
    """
    for times in _chunks(moves.retimed()):
        store.subscriptions.retime(times, now)
        progress(len(times))
    for chunk in _chunks(moves.going(stored)):
        store.subscriptions.reschedule(chunk, now)
        progress(len(chunk))
    for done in _chunks(moves.completed()):
        store.subscriptions.complete(done, now)
        store.events.append(Event(EventType.COMPLETED, now, stored.id, row_id) for row_id in done)
        progress(len(done))
    store.subscriptions.drop_deferred_passed(stored.id)


def move_people(
    store: Store, settings: Settings, before: StoredSequence, stored: StoredSequence, now: datetime
) -> None:
    """Move people from one revision to the next, inside the transaction that saved it.

    Args:
        before: the sequence as it was.
        stored: as it was saved.
    """
    if keeps_everybody(before.sequence, stored.sequence):
        return
    moves = Moves()
    for move in recompute(store, before, stored.sequence, settings.timezone):
        moves.add(move)
    write_moves(store, stored, moves, now)


def _chunks(items: Iterable[T]) -> Iterator[Sequence[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
