"""What only many machines on one server bring: claims beside each other, opt-outs that race with marks."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from drip.core.events import EventType
from drip.core.subscription import SuppressionReason
from drip.engine.records import Claim, Event, Marked
from drip.engine.suppress import suppress
from drip.store.opening import open_url
from drip.store.store import Store
from tests.databases import name_of, server
from tests.lab import START, Lab
from tests.store.postgres.conftest import until


def backends(url: str) -> list[tuple[int, str]]:
    """(pid, what it waits for) of whoever is connected to a database."""
    asked = f"SELECT pid, wait_event_type || '' FROM pg_stat_activity WHERE datname = '{name_of(url)}'"
    return [(pid, event or "") for pid, event in server().sql(asked)]


def claim_one(lab: Lab, email: str = "ada@example.com") -> tuple[int, Claim]:
    lab.subscribe(email)
    with lab.store.transaction():
        worker = lab.store.claims.register("here", 1, "1", START, START)
        (claim,) = lab.store.claims.claim(worker, lab.now, 1)
    return worker, claim


def mark(url: str, worker: int, claim: Claim) -> bool:
    """Mark on a connection of its own, as another worker would."""
    store = Store(open_url(url))
    with store.connected(), store.transaction(alone=False):
        return bool(store.claims.mark(worker, [Marked(claim, 1, b"hash")], START))


def test_eight_workers_claim_everybody_once_and_none_waits_for_another(lab: Lab, url: str) -> None:
    lab.crowd(400)
    together = threading.Barrier(8)

    def work(number: int) -> list[int]:
        store, found = Store(open_url(url)), list[int]()
        with store.connected():
            with store.transaction():
                worker = store.claims.register("here", number, "1", START, START)
            together.wait()
            while True:
                with store.transaction(alone=False):
                    claims = store.claims.claim(worker, START, 7)
                if not claims:
                    return found
                assert all(claim.number == 1 for claim in claims)
                found += [claim.subscription_id for claim in claims]

    with ThreadPoolExecutor(8) as pool:
        claimed = Counter(row_id for found in pool.map(work, range(8)) for row_id in found)
    assert len(claimed) == 400
    assert set(claimed.values()) == {1}
    for row in lab.store.claims.workers():
        with lab.store.transaction():
            lab.store.claims.free_all(row.id)


def test_what_another_has_claimed_and_not_committed_is_skipped(lab: Lab, url: str) -> None:
    lab.subscribe("ada@example.com")
    lab.subscribe("ana@example.com")
    first, second = Store(open_url(url)), Store(open_url(url))
    with first.connected(), second.connected():
        worker = lab.store.claims.register("here", 1, "1", START, START)
        with first.transaction(alone=False), ThreadPoolExecutor(1) as pool:
            assert len(first.claims.claim(worker, START, 1)) == 1

            def claim() -> int:
                with second.connected(), second.transaction(alone=False):
                    return len(second.claims.claim(worker, START, 10))

            assert pool.submit(claim).result(timeout=120) == 1
    with lab.store.transaction():
        lab.store.claims.free_all(worker)


def test_a_mark_waits_for_an_opt_out_and_is_refused(lab: Lab, url: str) -> None:
    worker, claim = claim_one(lab)
    with ThreadPoolExecutor(1) as pool:
        with lab.store.transaction():
            suppress(lab.store, "ada@example.com", SuppressionReason.UNSUBSCRIBED, lab.now)
            marking = pool.submit(mark, url, worker, claim)
            until(lambda: any(event == "Lock" for _, event in backends(url)))
            assert not marking.done()
        assert marking.result(timeout=120) is False
    with lab.store.transaction():
        lab.store.claims.free_all(worker)


def test_a_mark_sees_a_cancel_that_takes_no_lock_of_ours(lab: Lab, url: str) -> None:
    worker, claim = claim_one(lab)
    with psycopg.connect(url) as operator, ThreadPoolExecutor(1) as pool:
        operator.execute(
            "UPDATE subscription SET status = 'cancelled', cancel_reason = 'manual', cancelled_at = 1,"
            " next_step_id = NULL, next_send_at = NULL, owner = NULL"
        )
        marking = pool.submit(mark, url, worker, claim)
        until(lambda: any(event == "Lock" for _, event in backends(url)))
        operator.commit()
        assert marking.result(timeout=120) is False
    lab.store.events.append([Event(EventType.CANCELLED, lab.now, claim.sequence_id, claim.subscription_id)])


def test_an_opt_out_waits_for_a_mark_that_is_being_committed(lab: Lab, url: str) -> None:
    worker, claim = claim_one(lab)
    other = Store(open_url(url))
    with ThreadPoolExecutor(1) as pool, other.connected():
        with other.transaction(alone=False):
            assert other.claims.mark(worker, [Marked(claim, 1, b"hash")], START)

            def opt_out() -> None:
                with lab.store.connected():
                    suppress(lab.store, "ada@example.com", SuppressionReason.UNSUBSCRIBED, lab.now)

            leaving = pool.submit(opt_out)
            until(lambda: any(event == "Lock" for _, event in backends(url)))
        leaving.result(timeout=120)
    assert lab.person("ada@example.com").cancel_reason == "unsubscribed"
    with lab.store.transaction():
        lab.store.claims.free_all(worker)
        lab.store.database.run("DELETE FROM delivery")


def test_who_reads_events_on_misses_none_that_commits_late(lab: Lab, url: str) -> None:
    slow, last = Store(open_url(url)), lab.store.events.last()
    with slow.connected(), ThreadPoolExecutor(1) as pool:
        with slow.transaction(alone=False):
            slow.events.append([Event(EventType.APPLIED, START)])
            with lab.store.transaction(alone=False):
                lab.store.events.append([Event(EventType.STATUS, START)])

            def follow() -> list[str]:
                with lab.store.connected():
                    return [entry.type for entry in lab.store.events.entries(after=last)]

            reading = pool.submit(follow)
            until(lambda: any(event == "Lock" for _, event in backends(url)))
        assert reading.result(timeout=120) == [EventType.APPLIED, EventType.STATUS]


def test_what_is_to_be_written_alone_is_not_begun_beside_others(lab: Lab) -> None:
    with lab.store.transaction(alone=False), pytest.raises(AssertionError), lab.store.transaction():
        pass
