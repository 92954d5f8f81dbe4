"""Claims over processes, and what the schema itself refuses."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drip.core.delivery import DeliveryState
from drip.core.event_ids import event_id, event_number
from drip.core.events import EventType
from drip.core.subscription import SuppressionReason
from drip.engine.records import Event, Marked
from tests.databases import refusals
from tests.lab import START, Lab, a_sequence, a_step, open_lab

ROOT = Path(__file__).parents[2]

CLAIM = """
    import sys
    from pathlib import Path
    from tests.lab import START, Lab

    lab = Lab(Path(sys.argv[1]))
    with lab.store.opened():
        with lab.store.transaction():
            worker = lab.store.claims.register("here", int(sys.argv[2]), "1", START, START)
        while True:
            with lab.store.transaction():
                claims = lab.store.claims.claim(worker, START, 7)
            if not claims:
                break
            for claim in claims:
                print(claim.subscription_id, claim.number)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_lab(tmp_path) as lab:
        yield lab


def test_eight_processes_claim_everybody_once(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        lab.apply(*(a_sequence(a_step("one"), id=f"s{number}") for number in range(3)))
        for slug in ("s0", "s1", "s2"):
            lab.crowd(200, slug)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CLAIM), str(tmp_path), str(number)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    said = [process.communicate(timeout=120) for process in running]
    assert [errors for _, errors in said if errors] == []
    claimed = Counter(line for output, _ in said for line in output.splitlines())
    assert len(claimed) == 600
    assert set(claimed.values()) == {1}
    assert {line.split()[1] for line in claimed} == {"1"}


def test_claims_are_shared_fairly_and_the_longest_overdue_come_first(lab: Lab) -> None:
    lab.apply(*(a_sequence(a_step("one"), id=f"s{number}") for number in range(3)))
    for number in range(20):
        lab.subscribe(f"p{number}@example.com", "s0", started_at=START.replace(hour=1, minute=59 - number))
    lab.subscribe("one@example.com", "s1")
    lab.subscribe("two@example.com", "s2")
    worker = lab.store.claims.register("here", 1, "1", START, START)
    with lab.store.transaction():
        claims = lab.store.claims.claim(worker, START, 6)
    assert [claim.email for claim in claims] == [
        *(f"p{number}@example.com" for number in (19, 18, 17, 16)),
        *("one@example.com", "two@example.com"),
    ]
    with lab.store.transaction():
        assert len(lab.store.claims.claim(worker, START, 100)) == 16
        assert lab.store.claims.claim(worker, START, 100) == []


MARKS = {
    "as claimed": ("", True),
    "paused": ("UPDATE subscription SET status = 'paused', paused_at = 1", False),
    "cancelled": (
        "UPDATE subscription SET status = 'cancelled', cancel_reason = 'manual', next_step_id = NULL,"
        " next_send_at = NULL",
        False,
    ),
    "failed": ("UPDATE subscription SET status = 'failed'", False),
    "another owner": ("UPDATE subscription SET owner = 99", False),
    "given back": ("UPDATE subscription SET owner = NULL", False),
    "claimed again": ("UPDATE subscription SET claim = claim + 1", False),
    "another step": ("UPDATE subscription SET next_step_id = 2", False),
    "another time": ("UPDATE subscription SET next_send_at = next_send_at + 1", False),
    "draft": ("UPDATE sequence SET status = 'draft'", False),
    "archived": ("UPDATE sequence SET status = 'archived'", False),
    "suppressed": (
        "INSERT INTO suppression (email_key, email, reason, added_at)"
        " VALUES ('ada@example.com', 'Ada@example.com', 'manual', 1)",
        False,
    ),
    "sending": ("INSERT INTO delivery (subscription_id, step_id, state, at) VALUES (1, 1, 'sending', 1)", False),
    "sent": ("INSERT INTO delivery (subscription_id, step_id, state, at) VALUES (1, 1, 'sent', 1)", False),
    "unknown": (
        "INSERT INTO delivery (subscription_id, step_id, state, reason, at) VALUES (1, 1, 'unknown', 'no_answer', 1)",
        False,
    ),
    "failed before": (
        "INSERT INTO delivery (subscription_id, step_id, state, reason, at) VALUES (1, 1, 'failed', 'refused', 1)",
        False,
    ),
    "skipped": (
        "INSERT INTO delivery (subscription_id, step_id, state, reason, at) VALUES (1, 1, 'skipped', 'when', 1)",
        False,
    ),
    "deferred": (
        "INSERT INTO delivery (subscription_id, step_id, state, reason, at) VALUES (1, 1, 'deferred', 'temporary', 1)",
        True,
    ),
}


@pytest.mark.parametrize("case", MARKS)
def test_nothing_is_marked_but_what_is_as_it_was_claimed(lab: Lab, case: str) -> None:
    change, marked = MARKS[case]
    lab.apply(a_sequence(a_step("one"), a_step("two")))
    lab.subscribe("Ada@example.com")
    worker = lab.store.claims.register("here", 1, "1", START, START)
    with lab.store.transaction():
        (claim,) = lab.store.claims.claim(worker, START, 5)
    if change:
        lab.store.database.run(change)
    assert bool(lab.store.claims.mark(worker, [Marked(claim, 1, b"x" * 16)], START)) is marked
    # never twice
    assert not lab.store.claims.mark(worker, [Marked(claim, 1, b"x" * 16)], START)


REFUSED = [
    "INSERT INTO delivery (subscription_id, step_id, state, at) VALUES (1, 1, 'sent', 1)",  # a second one
    "INSERT INTO delivery (subscription_id, step_id, state, at) VALUES (1, 2, 'deferred', 1)",  # no reason
    "UPDATE delivery SET state = 'queued'",
    "UPDATE delivery SET step_id = 99",
    "UPDATE subscription SET status = 'finished'",
    "UPDATE subscription SET status = 'cancelled'",  # no reason
    "UPDATE subscription SET cancel_reason = 'manual'",  # of a live one
    "UPDATE subscription SET next_step_id = NULL",  # a time without a step
    "UPDATE subscription SET status = 'completed'",  # with a step to come
    "UPDATE subscription SET next_send_at = 'soon'",
    "UPDATE subscription SET contact_id = 99",
    "INSERT INTO subscription (sequence_id, contact_id, status, started_at, origin_at, created_at, updated_at)"
    " VALUES (1, 1, 'active', 1, 1, 1, 1)",  # a second standing one
    "INSERT INTO contact (email, email_key, created_at, updated_at) VALUES ('ADA@b.c', 'ada@example.com', 1, 1)",
    "UPDATE contact SET status = 'away'",
    "UPDATE sequence SET status = 'paused'",
    "UPDATE step SET position = 1",  # two of one position
    "INSERT INTO step (sequence_id, key, rank, created_at, updated_at) VALUES (1, 'one', 9, 1, 1)",
    "INSERT INTO suppression (email_key, email, reason, added_at) VALUES ('x', 'x', 'dislike', 1)",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_illegal_and_double_states_can_not_be_stored(lab: Lab, sql: str) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
    lab.subscribe("ada@example.com")
    lab.tick()
    with pytest.raises(refusals()):
        lab.store.database.run(sql)


def test_event_ids_sort_as_events_happened_and_lead_back(lab: Lab) -> None:
    moments = [datetime(2026, 3, 2, tzinfo=UTC), START, datetime(2126, 1, 1, tzinfo=UTC)]
    numbers = [1, 31, 32, 33, 1024, 2**31, 2**63 - 1]
    ids = [event_id(number, at) for at in moments for number in numbers]
    assert ids == sorted(ids)
    assert [event_number(one) for one in ids] == numbers * len(moments)
    assert {len(one) for one in ids} == {30}
    for nonsense in ("", "evt_", "evt_" + "U" * 26, ids[0][:-1], ids[0].lower(), "evt_" + "Z" * 26):
        assert event_number(nonsense) is None


def test_events_keep_their_order_and_their_numbers_are_never_used_again(lab: Lab) -> None:
    with lab.store.transaction():
        lab.store.events.append(Event(EventType.STATUS, START, data={"n": number}) for number in range(5))
    assert [entry.data["n"] for entry in lab.store.events.entries(limit=10)] == [0, 1, 2, 3, 4]
    assert [entry.data["n"] for entry in lab.store.events.entries(limit=2, newest=True)] == [3, 4]
    lab.store.database.run("DELETE FROM event")
    assert lab.store.events.last() == 5
    with lab.store.transaction():
        lab.store.events.append([Event(EventType.STATUS, START)])
    assert lab.store.events.last() == 6


GRAVITY = ["bounce", "manual", "unsubscribed", "complaint"]


@pytest.mark.parametrize("first", GRAVITY)
@pytest.mark.parametrize("second", GRAVITY)
def test_the_graver_reason_for_a_suppression_stays(lab: Lab, first: str, second: str) -> None:
    suppressions = lab.store.suppressions
    assert suppressions.add("Ada@example.com", SuppressionReason(first), START)
    graver = GRAVITY.index(second) > GRAVITY.index(first)
    assert suppressions.add("ada@EXAMPLE.com", SuppressionReason(second), START) is graver
    entry = suppressions.get("ADA@example.com")
    assert entry is not None
    assert entry.reason == max(first, second, key=GRAVITY.index)
    assert len(suppressions.list()) == 1


def test_a_delivery_is_settled_by_the_claim_that_marked_it(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    worker = lab.store.claims.register("here", 1, "1", START, START)
    with lab.store.transaction():
        (claim,) = lab.store.claims.claim(worker, START, 5)
    lab.store.claims.mark(worker, [Marked(claim, 1, b"x" * 16)], START)
    settle = lab.store.claims.settle
    assert not settle(1, 1, claim.number + 1, DeliveryState.SENT, START)
    assert settle(1, 1, claim.number, DeliveryState.SENT, START)
    assert not settle(1, 1, claim.number, DeliveryState.SENT, START)
