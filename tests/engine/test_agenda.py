from __future__ import annotations

from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.sequence import DelayFrom, SendWindow, Sequence, SequenceStatus
from drip.engine import people
from drip.engine.agenda import entries
from drip.store.agenda import WAITING
from tests.benchmarks.bench_agenda import fill
from tests.lab import MADRID, START, Lab, a_sequence, a_step


def days(lab: Lab, length: str = "7d", slug: str = "welcome", zone: ZoneInfo = MADRID) -> list[tuple[str, str, int]]:
    """(day, step, messages), as the agenda of the lab's database has them."""
    stored = lab.store.sequences.by_slug(slug)
    assert stored is not None
    until = START + timedelta(days=int(length.removesuffix("d")))
    waiting = lab.store.agenda.waiting(stored.id, until)
    found = entries(stored, waiting, now=lab.now, until=until, shown=zone)
    return [(f"{entry.day:%m-%d}", entry.step, entry.total) for entry in found]


def test_what_is_next_and_what_follows_is_counted_by_day(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("a"), a_step("b", "2d"), a_step("c", "1d", at=time(10)), a_step("d", "30d")))
    lab.subscribe("ada@example.com")
    lab.subscribe("bob@example.com", started_at=START + timedelta(days=1))
    assert days(lab) == [
        ("03-02", "a", 1),
        ("03-03", "a", 1),
        ("03-04", "b", 1),
        ("03-05", "b", 1),
        ("03-05", "c", 1),
        ("03-06", "c", 1),
    ]


def test_it_is_what_the_worker_then_sends(lab: Lab) -> None:
    steps = [a_step("a"), a_step("b", "26h"), a_step("c", "3d", at=time(7)), a_step("d", "1d")]
    lab.apply(a_sequence(*steps, timezone="Europe/Madrid"))
    for index in range(7):
        lab.subscribe(f"p{index}@example.com", started_at=START + timedelta(hours=5 * index))
    predicted = {(day, step): count for day, step, count in days(lab)}
    sent: dict[tuple[str, str], int] = {}
    while (due := lab.store.claims.next_due()) is not None and due <= START + timedelta(days=7):
        lab.now = due
        lab.tick()
        for fact in lab.facts:
            at = f"{lab.now.astimezone(MADRID):%m-%d}", fact.step
            sent[at] = sent.get(at, 0) + 1
        lab.facts.clear()
    assert sent == predicted


def test_what_counts_from_the_start_is_not_added_up(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("a", "1d"), a_step("b", "3d"), a_step("c", "5d"), delay_from=DelayFrom.START))
    lab.subscribe("ada@example.com")
    assert days(lab) == [("03-03", "a", 1), ("03-05", "b", 1), ("03-07", "c", 1)]


def test_the_overdue_are_of_today(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("a"), a_step("b", "1d")))
    lab.subscribe("ada@example.com", started_at=START - timedelta(days=3))
    assert days(lab) == [("03-02", "a", 1), ("03-03", "b", 1)]


def test_the_overdue_wait_for_their_window(lab: Lab) -> None:
    opens, closes = (START + timedelta(hours=hours) for hours in (-1, 1))
    window = SendWindow(opens=opens.time(), closes=closes.time())
    lab.apply(a_sequence(a_step("a"), a_step("b", "1d"), send_window=window, timezone="UTC"))
    lab.subscribe("ada@example.com")
    lab.move("2h")
    assert days(lab) == [("03-03", "a", 1), ("03-04", "b", 1)]
    lab.tick()
    assert lab.facts[0].kind == "deferred"
    assert days(lab) == [("03-03", "a", 1), ("03-04", "b", 1)]


def test_who_is_held_and_why(lab: Lab) -> None:
    def applied(status: SequenceStatus) -> list[Sequence]:
        draft = a_sequence(a_step("a"), id="draft", status=SequenceStatus.DRAFT)
        return [a_sequence(a_step("a"), status=status), draft, a_sequence(id="empty")]

    lab.apply(*applied(SequenceStatus.ACTIVE))
    lab.subscribe("ada@example.com", "draft")
    lab.subscribe("ada@example.com", "empty")
    for name in ("ada", "bob", "eve"):
        lab.subscribe(f"{name}@example.com")
    people.pause(lab.store, "welcome", "bob@example.com", lab.now)
    assert [(held.sequence, held.reason, held.count) for held in lab.store.agenda.held()] == [
        ("draft", "sequence_draft", 1),
        ("empty", "no_steps", 1),
        ("welcome", "paused", 1),
    ]
    lab.apply(*applied(SequenceStatus.ARCHIVED))
    assert ("welcome", "sequence_archived", 2) in [
        (held.sequence, held.reason, held.count) for held in lab.store.agenda.held()
    ]


def test_who_is_held_by_what_a_server_said(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("a"), a_step("b", "1d")))
    said = {
        "ada": OutcomeKind.DEFERRED,
        "bob": OutcomeKind.REFUSED,
        "eve": OutcomeKind.UNKNOWN,
        "joe": OutcomeKind.SENT,
    }
    for name in said:
        lab.subscribe(f"{name}@example.com")
    lab.transport.script = lambda envelope, content: Outcome(
        said[envelope.recipient.partition("@")[0]], 450, None, "no"
    )
    lab.tick()
    assert [(held.sequence, held.reason, held.count) for held in lab.store.agenda.held()] == [
        ("welcome", "failed", 1),
        ("welcome", "temporary", 1),
        ("welcome", "unknown", 1),
    ]
    people.pause(lab.store, "welcome", "ada@example.com", lab.now)
    assert ("welcome", "paused", 1) in [(held.sequence, held.reason, held.count) for held in lab.store.agenda.held()]


@pytest.mark.sqlite
def test_a_look_ahead_reads_the_due_alone(lab: Lab) -> None:
    fill(lab, 1000)
    statement = WAITING.replace("?", "1")
    lab.store.database.run(
        "INSERT INTO event (type, at, sequence_id, subscription_id)"
        " SELECT 'sequence.subscribed', 0, sequence_id, id FROM subscription"
    )
    assert "USING INDEX subscription_due" in lab.store.database.rows(f"EXPLAIN QUERY PLAN {statement}")[0][3]
