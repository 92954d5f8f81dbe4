"""What the dashboard asks of a database: the same answers on every one, and no look through a growing table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from drip.core.delivery import DeliveryState
from drip.core.subscription import SubscriptionStatus
from drip.engine import people
from drip.store.board import Board, Narrowed
from tests.lab import DAY, HOUR, Lab, a_sequence, a_step, open_lab
from tests.store.test_statements import Recorder

ACTIVE, PAUSED, CANCELLED = SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED, SubscriptionStatus.CANCELLED


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Five people in `welcome`, who had step one an hour ago, and of whom two stopped; Ada stands in `other` too."""
    with open_lab(tmp_path) as lab:
        lab.apply(*(a_sequence(a_step("one"), a_step("two", "1d"), id=slug) for slug in ("other", "welcome")))
        for name in ("ada", "bob", "cleo", "dora", "emil"):
            lab.subscribe(f"{name}@example.com", name=name.title())
        lab.tick()
        people.pause(lab.store, "welcome", "bob@example.com", lab.now)
        people.cancel(lab.store, "welcome", "cleo@example.com", lab.now)
        lab.move("1h")
        lab.subscribe("Ada@Example.com", "other")
        yield lab


@pytest.fixture
def board(lab: Lab) -> Board:
    return Board(lab.store.database)


def row_id(lab: Lab, slug: str) -> int:
    stored = lab.store.sequences.by_slug(slug)
    assert stored is not None
    return stored.id


def test_what_was_sent_and_what_is_to_come_is_counted_by_slot(lab: Lab, board: Board) -> None:
    welcome, other = row_id(lab, "welcome"), row_id(lab, "other")
    # sent an hour ago, in the last but one of the slots that end 30 minutes from now
    assert board.sent(lab.now - 5 * HOUR, lab.now + HOUR / 2, HOUR) == {welcome: {4: 5}}
    assert board.sent(lab.now, lab.now + DAY, HOUR) == {}
    # three wait for step two, due in 23 hours: the eighth slot of three hours; Ada's first of `other` is due now
    assert board.coming(lab.now, lab.now + 2 * DAY, 3 * HOUR) == {welcome: {7: 3}, other: {0: 1}}
    assert board.coming(lab.now, lab.now + HOUR, HOUR) == {other: {0: 1}}


def test_the_overdue_are_the_active_whose_time_has_come(lab: Lab, board: Board) -> None:
    welcome = row_id(lab, "welcome")
    due = lab.now + 23 * HOUR
    assert board.overdue(welcome, due - timedelta(milliseconds=1)) == 0
    assert board.overdue(welcome, due) == 3


def test_those_who_left_are_counted_after_their_last_step(lab: Lab, board: Board) -> None:
    stored = lab.store.sequences.by_slug("welcome")
    assert stored is not None
    first = lab.store.database.value("SELECT id FROM step WHERE key = 'one' AND sequence_id = ?", stored.id)
    assert board.left(stored.id) == {first: 1}


def test_people_come_in_pages_by_status_and_step(lab: Lab, board: Board) -> None:
    welcome = row_id(lab, "welcome")
    first = board.faces(Narrowed(welcome), limit=3)
    rest = board.faces(Narrowed(welcome), beyond=first[-1].id, limit=3)
    assert [face.name for face in (*first, *rest)] == ["Emil", "Dora", "Cleo", "Bob", "Ada"]
    assert [face.name for face in board.faces(Narrowed(welcome), oldest_first=True, limit=2)] == ["Ada", "Bob"]
    assert [face.name for face in board.faces(Narrowed(welcome, PAUSED))] == ["Bob"]
    two = lab.store.database.value("SELECT id FROM step WHERE key = 'two' AND sequence_id = ?", welcome)
    assert [face.name for face in board.faces(Narrowed(welcome, ACTIVE, two))] == ["Emil", "Dora", "Ada"]
    ada = board.faces(Narrowed(welcome), oldest_first=True, limit=1)[0]
    assert (ada.next_step, ada.next_send_at, ada.last_sent_at) == ("two", lab.now + 23 * HOUR, lab.now - HOUR)


def test_the_state_of_the_next_delivery_is_seen(lab: Lab, board: Board) -> None:
    welcome = row_id(lab, "welcome")
    assert {face.state for face in board.faces(Narrowed(welcome))} == {None}
    lab.store.database.run(
        "INSERT INTO delivery (subscription_id, step_id, state, reason, at)"
        " SELECT s.id, s.next_step_id, 'deferred', 'window', 0 FROM subscription s"
        " WHERE s.sequence_id = ? AND s.status = 'paused'",
        welcome,
    )
    assert {face.name for face in board.faces(Narrowed(welcome)) if face.state is DeliveryState.DEFERRED} == {"Bob"}


def test_people_are_found_by_the_beginning_of_their_address_and_by_any_part(lab: Lab, board: Board) -> None:
    welcome = row_id(lab, "welcome")
    assert [face.name for face in board.starting_with(Narrowed(welcome), "B")] == ["Bob"]
    looked = board.look_for(Narrowed(welcome), "or", None)
    assert ([face.name for face in looked.found], looked.below) == (["Dora"], None)
    assert board.look_for(Narrowed(welcome, PAUSED), "or", None).found == ()
    page = board.look_for(Narrowed(welcome), "example", None, limit=2)
    assert [face.name for face in board.look_for(Narrowed(welcome), "example", page.below).found] == [
        "Cleo",
        "Bob",
        "Ada",
    ]


def test_where_people_stand_is_found_over_all_sequences(lab: Lab, board: Board) -> None:
    assert board.whereabouts("AD") == [
        ("ada@example.com", "other", ACTIVE),
        ("ada@example.com", "welcome", ACTIVE),
    ]
    assert board.whereabouts("cleo") == [("cleo@example.com", "welcome", CANCELLED)]
    assert board.whereabouts("d%") == []
    ada = board.faces(Narrowed(row_id(lab, "welcome")), oldest_first=True, limit=1)[0]
    assert board.sequences_of(ada.contact_id) == [("other", ACTIVE), ("welcome", ACTIVE)]


def test_workers_at_work_have_a_lease_that_holds(lab: Lab, board: Board) -> None:
    standing = board.at_work(lab.now)
    lab.store.claims.register("elsewhere", 1, "1", lab.now, lab.now + HOUR)
    assert board.at_work(lab.now + HOUR) == standing + 1
    assert board.at_work(lab.now + 2 * HOUR) == 0


@pytest.mark.sqlite
def test_its_questions_look_through_no_growing_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_lab(tmp_path) as lab:
        lab.apply(*(a_sequence(a_step("one"), a_step("two", "1d"), id=slug) for slug in ("other", "welcome")))
        lab.crowd(300)
        lab.tick(limit=100)
        lab.store.database.run("ANALYZE")
        welcome, board, recorder = row_id(lab, "welcome"), Board(lab.store.database), Recorder(lab)
        with monkeypatch.context() as patched:
            recorder.install(patched)
            board.sent(lab.now - DAY, lab.now, HOUR)
            board.overdue(welcome, lab.now)
            board.faces(Narrowed(welcome, ACTIVE), limit=20)
            board.starting_with(Narrowed(welcome), "p1")
            board.whereabouts("p1")
            board.look_for(Narrowed(welcome), "p1", None)
            board.sequences_of(1)
            board.coming(lab.now, lab.now + DAY, HOUR)
            lab.store.overview.steps(welcome)
            lab.store.overview.state(lab.now)
            assert len(recorder.seen) >= 15
        assert recorder.scans() == [], "\n".join(recorder.scans())
