"""The worker's own life: passes and waits, stops, bugs, a database that can't be used, and what it leaves behind."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine import worker as worker_module
from drip.engine import writer as writer_module
from drip.engine.ledger import Ledger
from drip.engine.ports import Envelope
from drip.engine.report import Report
from drip.engine.results import Fact
from drip.engine.worker import Worker
from drip.errors import DatabaseUnavailable
from drip.store import sqlite as sqlite_module
from drip.store.invariants import violations
from tests.engine.late import once_marked
from tests.lab import Lab, a_sequence, a_step, accept, open_lab, sqlite

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab that waits for locks and records only a moment."""
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr(writer_module, "RETRY_EVERY", 0.05)
    with open_lab(tmp_path) as lab:
        yield lab
        assert violations(lab.store.database) == []


def crowd(lab: Lab, count: int) -> None:
    lab.apply(a_sequence(a_step("one")))
    for number in range(count):
        lab.subscribe(f"p{number}@example.com")


def owned(lab: Lab) -> int:
    return int(lab.store.database.value("SELECT COUNT(*) FROM subscription WHERE owner IS NOT NULL"))


def say(kind: OutcomeKind) -> Callable[[Envelope, bytes], Outcome]:
    return lambda envelope, content: Outcome(kind, None, None, "no", in_hand=False)


class Holder:
    """Another program that holds the write lock."""

    def __init__(self, lab: Lab) -> None:
        self._path = lab.folder / "drip.db"
        self._free = threading.Event()
        self._held = threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        self._held.set()
        self._free.wait(30)
        connection.execute("ROLLBACK")
        connection.close()

    def take(self, seconds: float | None = None) -> None:
        """Hold it until `release`, or for so long."""
        self._thread.start()
        assert self._held.wait(10)
        if seconds is not None:
            threading.Timer(seconds, self._free.set).start()

    def release(self) -> None:
        self._free.set()
        self._thread.join()


# ---- the loop


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
    assert time.monotonic() - started < 5
    assert len(lab.transport.sent) == 1


def test_a_worker_that_was_stopped_does_nothing_more(lab: Lab) -> None:
    crowd(lab, 2)
    with lab.worker() as worker:
        worker.stop()
        assert worker.run_once().counts == {}
        worker.run_loop(600.0)
    assert lab.transport.sent == []


# ---- stops and losses in the middle


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
    started = time.monotonic()
    report = lab.tick()
    assert time.monotonic() - started < 10
    assert set(report.counts) == {"released"}
    assert report.remaining_due == 3


# ---- bugs


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


# ---- leases


def test_a_worker_shows_that_it_is_alive_while_it_waits(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "RENEW_EVERY", 0.05)
    crowd(lab, 1)
    with lab.worker() as worker:
        (before,) = lab.store.claims.workers()
        worker.run_loop(0.3, lambda report: threading.Timer(0.2, worker.stop).start())
        (after,) = lab.store.claims.workers()
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


# ---- a database that can't be used


@pytest.mark.sqlite
def test_a_busy_database_at_the_claim_is_said_and_the_next_pass_goes_on(hasty: Lab) -> None:
    crowd(hasty, 3)
    other = Holder(hasty)
    with hasty.worker() as worker:
        other.take()
        with pytest.raises(DatabaseUnavailable, match="another program holds the database"):
            worker.run_once()
        other.release()
        assert worker.run_once().counts["sent"] == 3


@pytest.mark.sqlite
def test_the_loop_waits_for_a_database_that_is_busy(hasty: Lab) -> None:
    crowd(hasty, 3)
    other = Holder(hasty)
    reports: list[Report] = []

    def after_pass(report: Report) -> None:
        reports.append(report)
        other.release()
        if len(reports) == 2:
            worker.stop()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worker_module, "FIRST_WAIT", 0.01)
        with hasty.worker() as worker:
            other.take()
            worker.run_loop(0.01, after_pass)
    assert reports[0].trouble is not None
    assert reports[0].trouble.text.startswith("another program holds the database")
    assert reports[1].counts["sent"] == 3


@pytest.mark.sqlite
def test_a_busy_database_at_the_mark_sends_nothing_and_loses_nobody(hasty: Lab) -> None:
    crowd(hasty, 5)
    other = Holder(hasty)
    once = iter([other.take])
    hasty.transport.connections = 1
    hasty.transport.before_mark = lambda: next(once, lambda: None)()
    with hasty.worker() as worker:
        with pytest.raises(DatabaseUnavailable):  # the claims can't be given back either while the lock is held
            worker.run_once()
        assert hasty.transport.sent == []
        other.release()
        # a living worker takes back what it could not give back then
        assert worker.run_once().counts["sent"] == 5
    assert len({envelope.recipient for envelope, _ in hasty.transport.sent}) == len(hasty.transport.sent) == 5


@pytest.mark.sqlite
def test_a_busy_database_at_the_record_is_tried_until_it_lands(hasty: Lab) -> None:
    crowd(hasty, 5)
    other = Holder(hasty)
    once_marked(hasty, lambda: other.take(0.7))
    # who wants to mark meanwhile waits, or is refused and gives the claim back
    sent = hasty.tick().counts["sent"]
    assert sent >= 1
    assert sent + hasty.tick().counts["sent"] == 5
    assert hasty.store.deliveries.unknown() == []
    other.release()


@pytest.mark.sqlite
def test_an_answer_that_can_not_be_recorded_is_unknown_and_not_sent_again(
    hasty: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "PATIENCE", 0.3)
    crowd(hasty, 5)
    other = Holder(hasty)
    once_marked(hasty, other.take)
    with pytest.raises(DatabaseUnavailable):
        hasty.tick()
    other.release()
    sent = len(hasty.transport.sent)
    hasty.processes.all_gone = True
    assert hasty.tick().swept == sent == 1
    recipients = [envelope.recipient for envelope, _ in hasty.transport.sent]
    assert len(recipients) == len(set(recipients)) == 5


@pytest.mark.sqlite
@pytest.mark.parametrize("pages", [0, 1, 2, 4, 8])
def test_a_full_disk_is_said_and_once_there_is_space_everything_goes_on(
    hasty: Lab, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    monkeypatch.setattr(writer_module, "PATIENCE", 0.2)
    crowd(hasty, 300)
    database = hasty.store.database
    most = database.value("PRAGMA page_count") + pages
    sqlite(database).peewee.pragma("max_page_count", most, permanent=True)
    # Full while claiming or recording ends the pass; full at the mark of one message is the pass's trouble.
    with pytest.raises(DatabaseUnavailable, match="disk is full"):
        raise hasty.tick().unavailable or AssertionError("the disk was not full")
    sqlite(database).peewee.pragma("max_page_count", 1_000_000, permanent=True)
    hasty.processes.all_gone = True
    hasty.tick()
    recipients = [envelope.recipient for envelope, _ in hasty.transport.sent]
    unknown = {delivery.email for delivery in hasty.store.deliveries.unknown()}
    assert len(recipients) == len(set(recipients)) == 300
    assert len(unknown) <= 2 * hasty.transport.connections
    assert unknown <= set(recipients)
    assert database.value("PRAGMA integrity_check") == "ok"


@pytest.mark.sqlite
def test_a_database_that_can_not_be_written_is_said_before_anything_is_claimed(hasty: Lab) -> None:
    crowd(hasty, 3)
    sqlite(hasty.store.database).peewee.pragma("query_only", 1, permanent=True)
    with pytest.raises(DatabaseUnavailable, match="can't be written"):
        hasty.tick()
    sqlite(hasty.store.database).peewee.pragma("query_only", 0, permanent=True)
    assert hasty.tick().counts["sent"] == 3


@pytest.mark.sqlite
def test_nothing_is_claimed_when_the_disk_is_nearly_full(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(lab, 3)
    monkeypatch.setattr(sqlite_module, "FREE_SPACE_FLOOR", 1 << 62)
    with pytest.raises(DatabaseUnavailable, match="MB are free"):
        lab.tick()
    assert owned(lab) == 0
    assert lab.transport.sent == []


LIMITED = """
    import resource, sys
    from pathlib import Path
    from drip.engine import writer
    from drip.errors import DatabaseUnavailable
    from tests.lab import open_lab

    writer.PATIENCE, writer.RETRY_EVERY = 0.2, 0.05
    folder, most = Path(sys.argv[1]), int(sys.argv[2])
    with open_lab(folder) as lab:
        lab.processes.all_gone = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        try:
            lab.tick()
        except DatabaseUnavailable as error:
            print(error.message, file=sys.stderr)
            sent = [envelope.recipient for envelope, _ in lab.transport.sent]
            Path(sys.argv[3]).write_text("\\n".join(sent))
            raise SystemExit(3)
    Path(sys.argv[3]).write_text("\\n".join(envelope.recipient for envelope, _ in lab.transport.sent))
"""


@pytest.mark.sqlite
def test_a_limit_on_the_size_of_files_is_met_without_a_traceback_and_loses_nothing(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        crowd(lab, 200)
    size = (tmp_path / "drip.db").stat().st_size
    sent: list[str] = []
    codes = []
    for most in (size // 4, size // 2, 1 << 30):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path), str(most), str(tmp_path / "sent")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        codes.append(done.returncode)
        sent += (tmp_path / "sent").read_text().split()
    assert codes[-1] == 0
    assert 3 in codes
    with open_lab(tmp_path) as lab:
        assert violations(lab.store.database) == []
        assert len(sent) == len(set(sent)) == 200
        assert {delivery.email for delivery in lab.store.deliveries.unknown()} <= set(sent)
