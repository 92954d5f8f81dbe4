"""A worker whose database can't be used: another program holds it, the disk is full."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.engine import worker as worker_module
from drip.engine import writer as writer_module
from drip.engine.report import Report
from drip.errors import DatabaseUnavailable
from drip.store import sqlite as sqlite_module
from drip.store.invariants import violations
from tests.engine.crowds import crowd, owned
from tests.engine.late import once_marked
from tests.lab import Lab, open_lab, sqlite

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab that waits for locks and records only a moment."""
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr(writer_module, "RETRY_EVERY", 0.05)
    with open_lab(tmp_path) as lab:
        yield lab
        assert violations(lab.store.database) == []


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
def test_who_is_in_no_hurry_to_wait_learns_at_once_that_somebody_writes(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        other = Holder(lab)
        other.take()
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="another program"), lab.store.transaction(patient=False):
            raise AssertionError("it was not to begin")
        assert time.monotonic() - started < sqlite_module.BUSY_TIMEOUT / 3
        other.release()
        with lab.store.transaction(patient=False):
            assert lab.store.database.value("PRAGMA busy_timeout") == sqlite_module.BUSY_TIMEOUT * 1000


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
