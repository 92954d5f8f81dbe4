"""Sends of the last day: counted once, then only what is new; and the same as counted anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from drip.core.moments import to_milliseconds
from drip.store.board import Board
from drip.tui.tally import DAY, HOUR, SLOT, Tally
from tests.tui.room import Room

MINUTE = timedelta(minutes=1)


class Watched(Board):
    """Remembers how far back it was asked."""

    asked: timedelta

    def sent(self, since: datetime, until: datetime, slot: timedelta) -> dict[int, dict[int, int]]:
        self.asked = until - since
        return super().sent(since, until, slot)


@contextmanager
def watched(room: Room) -> Iterator[Watched]:
    with room.project.opened() as store:
        yield Watched(store.database)


def send(room: Room, subscription: int, at: datetime) -> None:
    room.sql(
        "UPDATE delivery SET state = 'sent', at = ? WHERE subscription_id = ? AND state = 'sent'",
        *(to_milliseconds(at), subscription),
    )


def test_only_what_is_new_is_counted_and_hours_pass(room: Room) -> None:
    for name in ("ada", "grace", "hedy"):
        room.subscribe(f"{name}@example.com")
    room.tick()
    sequence = room.sql("SELECT id FROM sequence WHERE slug = 'welcome'")[0][0]
    send(room, 1, room.now - 23 * HOUR)
    send(room, 2, room.now - HOUR - MINUTE)
    send(room, 3, room.now - 2 * DAY)
    tally = Tally()
    with watched(room) as board:
        # It is 09:00, and the hours end at 09:05: 10:00 lies in the first, 07:59 in the last but one.
        assert tally.look(board, room.now) == {sequence: (1, *[0] * 21, 1, 0)}
        assert board.asked == DAY

        send(room, 3, room.now + 2 * MINUTE)
        assert tally.look(board, room.now + 2 * MINUTE)[sequence][-1] == 1
        assert board.asked == 3 * SLOT

        # They end at 09:55 now.
        assert tally.look(board, room.now + 50 * MINUTE)[sequence] == (1, *[0] * 21, 1, 1)
        later = room.now + 3 * HOUR
        assert tally.look(board, later) == Tally().look(board, later)
        assert sum(tally.look(board, later)[sequence]) == 2  # the oldest is more than a day ago


def test_what_was_settled_long_ago_and_a_clock_put_back_are_seen(room: Room) -> None:
    room.subscribe("ada@example.com")
    room.tick()
    tally = Tally()
    with watched(room) as board:
        assert sum(map(sum, tally.look(board, room.now).values())) == 1
        send(room, 1, room.now - 20 * HOUR)
        assert tally.look(board, room.now + HOUR) == Tally().look(board, room.now + HOUR)
        send(room, 1, room.now - 5 * HOUR)
        assert tally.look(board, room.now - HOUR) == Tally().look(board, room.now - HOUR)
