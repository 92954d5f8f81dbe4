"""Write what a new revision does to everybody in a sequence: one way for files and for the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

from drip.core.settings import Settings
from drip.engine.ports import Store
from drip.engine.recompute import Move, keeps_everybody, recompute
from drip.engine.records import Event, EventType, Reschedule, StoredSequence

CHUNK = 5000
"""People written at once."""


def move_people(
    store: Store,
    settings: Settings,
    before: StoredSequence,
    stored: StoredSequence,
    now: datetime,
    progress: Callable[[int], None] = lambda people: None,
) -> None:
    """Move people from one revision to the next, inside the transaction that saved it.

    Args:
        before: the sequence as it was.
        stored: as it was saved.
        progress: told how many people were looked at since it was last called.
    """
    if keeps_everybody(before.sequence, stored.sequence):
        return
    moves = recompute(store, before, stored.sequence, settings.timezone)
    while chunk := list(islice(moves, CHUNK)):
        _write_moves(store, stored, [move for move in chunk if move.moves], now)
        progress(len(chunk))
    store.subscriptions.drop_deferred_passed(stored.id)


def _write_moves(store: Store, stored: StoredSequence, moves: Sequence[Move], now: datetime) -> None:
    going = [
        Reschedule(move.person.id, stored.ids[move.now] if move.now else None, move.due_at)
        for move in moves
        if not move.completes
    ]
    store.subscriptions.reschedule(going, now)
    done = [move.person.id for move in moves if move.completes]
    store.subscriptions.complete(done, now)
    store.events.append(Event(EventType.COMPLETED, now, stored.id, row_id) for row_id in done)
