"""The worker's own life: passes and waits, stops, leases, bugs, and what it leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine import worker as worker_module
from drip.engine.leases import LEASE
from drip.engine.ledger import Ledger
from drip.engine.points import Point
from drip.engine.ports import Envelope
from drip.engine.report import Report
from drip.engine.results import Fact
from drip.engine.worker import Worker
from tests.engine.crowds import crowd, owned
from tests.engine.late import once_marked
from tests.lab import Lab, accept


def say(kind: OutcomeKind) -> Callable[[Envelope, bytes], Outcome]:
    return lambda envelope, content: Outcome(kind, None, None, "no", in_hand=False)


def pauses_of(lab: Lab, monkeypatch: pytest.MonkeyPatch, passes: int, each: Callable[[int], None]) -> list[float]:
    """How long the loop would have waited after each pass."""
    pauses: list[float] = []
    with lab.worker() as worker:

        def rest(self: Worker, seconds: float) -> None:
            pauses.append(seconds)
            each(len(pauses))
            if len(pauses) == passes:
                worker.stop()

        monkeypatch.setattr(Worker, "_rest", rest)
        worker.run_loop(30.0)
    return pauses


def test_a_transport_that_is_down_is_waited_for_twice_as_long_each_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(lab, 3)
    lab.transport.script = say(OutcomeKind.DOWN)

    def mend(passes: int) -> None:
        lab.transport.script = accept if passes == 8 else say(OutcomeKind.DOWN)
        if passes == 9:
            lab.subscribe("late@example.com")

    pauses = pauses_of(lab, monkeypatch, 10, mend)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 30, 5]
    assert len(lab.transport.sent) == 3


@pytest.mark.parametrize("kind", [OutcomeKind.MISCONFIGURED, OutcomeKind.OUR_FAULT])
def test_what_only_a_person_can_mend_is_looked_at_every_five_minutes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: OutcomeKind
) -> None:
    crowd(lab, 3)
    lab.transport.script = say(kind)
    assert pauses_of(lab, monkeypatch, 3, lambda passes: None) == [300, 300, 300]
    assert lab.person("p0@example.com").retry_count == 0
    assert lab.store.suppressions.list() == []


def test_a_stop_ends_a_rest_at_once(lab: Lab) -> None:
    crowd(lab, 1)
    with lab.worker() as worker:
        started = time.monotonic()
        worker.run_loop(600.0, lambda report: threading.Timer(0.1, worker.stop).start())
        assert worker.stopped
    assert time.monotonic() - started < 60
    assert len(lab.transport.sent) == 1


def test_a_worker_that_was_stopped_does_nothing_more(lab: Lab) -> None:
    crowd(lab, 2)
    with lab.worker() as worker:
        worker.stop()
        assert worker.run_once().counts == {}
        worker.run_loop(600.0)
    assert lab.transport.sent == []


def test_a_stop_finishes_the_messages_in_hand_and_frees_the_rest(lab: Lab) -> None:
    crowd(lab, 150)
    with lab.worker() as worker:

        def script(envelope: Envelope, content: bytes) -> Outcome:
            if len(lab.transport.sent) >= 20:
                worker.stop()
            return accept(envelope, content)

        lab.transport.script = script
        report = worker.run_once()
        assert owned(lab) == 0
    sent = len(lab.transport.sent)
    assert 20 < sent <= 20 + 2 * lab.transport.connections
    assert report.counts["sent"] == sent
    assert report.remaining_due == 150 - sent
    lab.transport.script = accept
    lab.tick()
    assert len(lab.transport.sent) == 150


def test_four_connections_lost_in_a_row_mean_that_the_transport_is_down(lab: Lab) -> None:
    crowd(lab, 50)
    lab.transport.script = say(OutcomeKind.LOST)
    report = lab.tick()
    assert report.trouble is not None
    assert report.trouble.kind is OutcomeKind.DOWN
    assert report.trouble.text == "4 connections in a row were lost: no"
    assert 4 <= report.counts["deferred"] <= 4 + lab.transport.connections
    assert report.remaining_due >= 40


LOST_NOW = {"p5@example.com", "p15@example.com", "p25@example.com"}


def test_connections_lost_now_and_then_are_tried_later_and_stop_nothing(lab: Lab) -> None:
    crowd(lab, 40)

    lab.transport.connections = 1
    lab.transport.script = lambda envelope, content: (
        say(OutcomeKind.LOST)(envelope, content) if envelope.recipient in LOST_NOW else accept(envelope, content)
    )
    report = lab.tick()
    assert (report.trouble, report.counts["sent"], report.counts["deferred"]) == (None, 37, 3)


def test_people_who_are_given_back_again_and_again_end_the_pass(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(lab, 3)
    monkeypatch.setattr(Ledger, "mark", lambda self, marked, now: [False] * len(marked))
    report = lab.tick()
    assert set(report.counts) == {"released"}
    assert report.remaining_due == 3


class Bug(Exception):
    """What nobody foresaw."""


@pytest.mark.parametrize("marked", [False, True])
def test_a_bug_in_the_transport_reaches_the_caller_and_the_claims_come_back(lab: Lab, marked: bool) -> None:
    crowd(lab, 30)

    def fail(*args: object) -> Outcome:
        raise Bug("in the transport")

    if marked:
        once_marked(lab, fail)
    else:
        lab.transport.script = fail
    with pytest.raises(Bug) as bug, lab.worker() as worker:
        worker.run_once()
    assert "fail" in [entry.name for entry in bug.traceback]
    assert owned(lab) == 0
    assert len(lab.store.deliveries.unknown()) == marked
    assert lab.store.claims.workers() == []


def test_a_bug_where_results_are_recorded_reaches_the_caller_and_the_claims_come_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(lab, 30)

    def fail(*args: object) -> list[Fact]:
        raise Bug("in the ledger")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record", fail)
        with pytest.raises(Bug), lab.worker() as worker:
            worker.run_once()
    assert owned(lab) == 0
    # what was accepted and not recorded is in doubt, everybody else is sent theirs
    unknown = {delivery.email for delivery in lab.store.deliveries.unknown()}
    assert unknown == {envelope.recipient for envelope, _ in lab.transport.sent}
    lab.tick()
    assert len({envelope.recipient for envelope, _ in lab.transport.sent}) == len(lab.transport.sent) == 30


def test_a_bug_where_facts_are_told_reaches_the_caller_and_the_facts_stand(lab: Lab) -> None:
    crowd(lab, 5)

    def fail(fact: Fact) -> None:
        raise BrokenPipeError("nobody reads this")

    worker = Worker(lab.store, lab.settings, lab.transport, lab.processes, clock=lambda: lab.now, told=fail)
    with pytest.raises(BrokenPipeError), worker:
        worker.run_once()
    assert owned(lab) == 0
    # what is in doubt is on one of the connections
    assert len(lab.store.deliveries.unknown()) <= lab.transport.connections
    lab.tick()
    assert len({envelope.recipient for envelope, _ in lab.transport.sent}) == len(lab.transport.sent) == 5


def test_no_thread_and_no_claim_outlives_a_worker(lab: Lab) -> None:
    crowd(lab, 20)
    before = set(threading.enumerate())
    for _ in range(3):
        lab.tick(limit=3)
        assert set(threading.enumerate()) == before
        assert owned(lab) == 0
        assert lab.store.claims.workers() == []


def test_a_worker_shows_that_it_is_alive_while_it_waits(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "RENEW_EVERY", 0.05)
    crowd(lab, 1)
    with lab.worker() as worker:
        (before,) = lab.store.claims.workers()
        passes: list[Report] = []

        def listen(point: Point) -> None:
            if point is Point.LEASE_RENEWED and passes:
                worker.stop()

        monkeypatch.setattr(worker_module, "reached", listen)
        worker.run_loop(60.0, passes.append)
        (after,) = lab.store.claims.workers()
    assert len(passes) == 1
    assert after.lease_until > before.lease_until


def test_a_worker_that_slept_through_its_lease_goes_on_with_new_claims(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RENEW_EVERY", 0.0)
    crowd(lab, 2)
    lab.processes.all_gone = True
    with lab.worker() as sleeper:
        lab.tick(limit=0)  # takes the other for dead
        assert lab.store.claims.workers() == []
        assert sleeper.run_once().counts["sent"] == 2
        assert len(lab.store.claims.workers()) == 1


def sizes_of_claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many each claim asks for, from now on."""
    sizes, claim = [], Ledger.claim

    def noted(self: Ledger, now: datetime, limit: int) -> Any:
        sizes.append(limit)
        return claim(self, now, limit)

    monkeypatch.setattr(Ledger, "claim", noted)
    return sizes


def test_of_several_workers_each_claims_a_share_of_what_is_left(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = sizes_of_claims(monkeypatch)
    crowd(lab, 600)
    with lab.store.transaction():
        lab.store.claims.register("elsewhere", 1, "", lab.now, lab.store.awake() + LEASE)
    report = lab.tick()
    assert report.counts["sent"] == 600
    assert shares[:3] == [150, 112, 84]
    assert sorted(shares, reverse=True) == shares
    assert shares[-1] == worker_module.SMALLEST_BATCH


def test_a_worker_alone_claims_whole_batches(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = sizes_of_claims(monkeypatch)
    crowd(lab, 300)
    lab.tick()
    assert min(shares) >= worker_module.BATCH
