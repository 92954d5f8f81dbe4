"""A database that went back in time: it is noticed, what may have been sent since is held, no id is used twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.core.subscription import SubscriptionStatus
from drip.engine import people
from drip.engine import worker as worker_module
from drip.engine.report import Report
from drip.engine.restore import accept_restored
from drip.engine.worker import Worker
from drip.errors import DatabaseRestored, DatabaseUnavailable, Refused
from drip.store.highwater import HighWaterMark
from drip.store.invariants import violations
from tests.databases import put_back
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, open_lab

STEPS = (a_step("one"), a_step("two", "1d"), a_step("three", "1d"))


class MarkedLab(Lab):
    """A lab whose workers keep a high-water mark, and whose database can be put back."""

    def worker(self, clock: object = None) -> Worker:
        return Worker(
            *(self.store, self.settings, self.transport, self.processes),
            clock=lambda: self.now,
            told=self.facts.append,
            high_water=HighWaterMark(self.store, self.folder),
        )

    def back_up(self) -> None:
        self.store.database.backup_to(self.folder / "backup.db")

    def restore(self) -> None:
        """Yesterday's file in the place of today's, as an operator does it: with nobody connected."""
        put_back(self.store.database, self.folder / "backup.db")

    def accept(self, *, hold: bool) -> int:
        return accept_restored(self.store, HighWaterMark(self.store, self.folder), hold=hold, now=self.now)

    def message_ids(self) -> list[bytes]:
        return [
            line
            for _, content in self.transport.sent
            for line in content.split(b"\r\n")
            if line.startswith(b"Message-ID")
        ]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MarkedLab]:
    lab = MarkedLab(tmp_path)
    with lab.store.opened():
        yield lab
        assert violations(lab.store.database) == []


def lose_two_days(lab: MarkedLab) -> None:
    """A backup after the first step of three people; then two days and two steps, and a fourth person."""
    lab.apply(a_sequence(*STEPS))
    for name in ("ada", "bob", "eve"):
        lab.subscribe(f"{name}@example.com")
    lab.tick()
    lab.back_up()
    lab.move("1d")
    lab.tick()
    lab.subscribe("new@example.com")
    lab.tick()
    lab.move("1d")
    lab.tick()
    assert len(lab.transport.sent) == 3 + 3 + 1 + 3 + 1
    lab.restore()


def test_a_worker_does_not_start_on_a_database_that_went_back_in_time(lab: MarkedLab) -> None:
    lose_two_days(lab)
    sent = len(lab.transport.sent)
    with pytest.raises(DatabaseRestored) as refused:
        lab.tick()
    marked = json.loads((lab.folder / "drip.db.mark").read_text())["numbers"]["event"]
    last = lab.store.events.last()
    assert f"its last event is {last}, but {marked} were written until 2026-03-04" in refused.value.message
    assert refused.value.hint is not None
    assert "resolve --restored" in refused.value.hint
    assert len(lab.transport.sent) == sent
    assert lab.store.claims.workers() == []


def test_the_loop_ends_when_the_database_goes_back_in_time(lab: MarkedLab) -> None:
    lab.apply(a_sequence(a_step("one")))
    behind = (lab.folder / "drip.db.mark").write_text

    def after_pass(report: Report) -> None:
        mark = {"database": lab.store.identity(), "at": "2026-03-04T00:00:00.000Z", "numbers": {"event": 1000}}
        behind(json.dumps(mark))

    with lab.worker() as worker, pytest.raises(DatabaseRestored, match="gone back in time"):
        worker.run_loop(0.01, after_pass)


def test_the_loop_waits_for_a_database_that_can_not_be_asked_for_its_mark(
    lab: MarkedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away is away at the first question of a pass."""
    monkeypatch.setattr(worker_module, "FIRST_WAIT", 0.01)
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    reports: list[Report] = []
    last = lab.store.events.last

    def away() -> int:
        raise DatabaseUnavailable("the database server can't be reached")

    def after_pass(report: Report) -> None:
        reports.append(report)
        monkeypatch.setattr(lab.store.events, "last", away if len(reports) == 1 else last)
        if len(reports) == 3:
            worker.stop()

    with lab.worker() as worker:
        worker.run_loop(0.01, after_pass)
    assert [report.trouble is not None for report in reports] == [False, True, False]
    assert [report.counts["sent"] for report in reports] == [1, 0, 0]


def test_a_backup_from_before_the_first_run_is_known_as_well(lab: MarkedLab) -> None:
    lab.apply(a_sequence(*STEPS))
    lab.subscribe("ada@example.com")
    lab.back_up()
    secret = lab.store.secret()
    lab.tick()
    lab.restore()
    with pytest.raises(DatabaseRestored, match="gone back in time"):
        lab.tick()
    assert lab.store.secret() == secret


def test_a_pass_that_was_killed_is_known_though_nothing_of_it_is_left(
    lab: MarkedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write-ahead log of a killed worker is thrown away, or yesterday's backup takes the database's place."""
    lab.apply(a_sequence(*STEPS))
    lab.subscribe("ada@example.com")
    lab.tick()
    lab.back_up()
    lab.move("1d")
    with monkeypatch.context() as patched:
        patched.setattr(HighWaterMark, "note", lambda self, now: None)
        lab.tick()
    lab.restore()
    HighWaterMark(lab.store, lab.folder).protect_ids()
    with pytest.raises(DatabaseRestored, match="its last worker is number 1, but there were 2 until 2026-03-03"):
        lab.tick()
    assert lab.accept(hold=True) == 1
    lab.tick()
    assert len(lab.transport.sent) == 2


def test_a_copy_that_went_on_by_itself_is_known_when_it_comes_back(lab: MarkedLab) -> None:
    """Its numbers are higher, and what they name is something else."""
    lab.apply(a_sequence(*STEPS))
    lab.subscribe("ada@example.com")
    lab.subscribe("bob@example.com")
    lab.back_up()
    lab.subscribe("here@example.com")
    lab.tick()
    mark = (lab.folder / "drip.db.mark").read_bytes()
    lab.restore()
    (lab.folder / "drip.db.mark").unlink()  # on another host, where nothing tells of the first
    lab.move("1h")
    for number in range(20):
        lab.subscribe(f"there{number}@example.com", started_at=lab.now - HOUR)
    (lab.folder / "drip.db.mark").write_bytes(mark)
    with lab.store.transaction():
        lab.store.claims.register("there", 1, "1", lab.now, lab.now)
    with pytest.raises(DatabaseRestored, match="a copy that went on by itself: event"):
        lab.tick()
    assert lab.accept(hold=True) == 22
    sent = len(lab.transport.sent)
    lab.tick()
    lab.move("1d")
    lab.tick()
    assert len(lab.transport.sent) == sent


def test_what_was_due_in_the_gap_is_held_step_by_step_and_nothing_is_sent_twice(lab: MarkedLab) -> None:
    lose_two_days(lab)
    assert lab.accept(hold=True) == 3
    lab.subscribe("other@example.com", started_at=lab.now + DAY)
    for _ in range(5):
        lab.tick()
        lab.move("1d")
        held = lab.store.deliveries.unknown()
        for delivery in held:
            assert delivery.reason == "restored"
            people.resolve(lab.store, lab.settings, delivery.id, sent=True, now=lab.now)
    ids = lab.message_ids()
    assert len(ids) == len(set(ids))
    for name in ("ada", "bob", "eve"):
        assert lab.person(f"{name}@example.com").status is SubscriptionStatus.COMPLETED
        assert lab.steps_sent(f"{name}@example.com") == ["one", "two", "three"]
    assert lab.steps_sent("other@example.com") == ["one", "two", "three"]
    assert lab.events().count("database.restored") == 1


def test_a_held_step_that_was_not_sent_goes_out_and_the_next_waits_its_time(lab: MarkedLab) -> None:
    lab.apply(a_sequence(*STEPS))
    lab.subscribe("ada@example.com")
    lab.tick()
    lab.back_up()
    lab.move("1d")
    lab.subscribe("bob@example.com")
    lab.tick()
    lab.restore()
    lab.transport.sent.clear()
    lab.accept(hold=True)
    (held,) = lab.store.deliveries.unknown()
    people.resolve(lab.store, lab.settings, held.id, sent=False, now=lab.now)
    lab.tick()
    assert lab.steps_sent() == ["two"]
    assert lab.person("ada@example.com").next_send_at == lab.now + DAY


def test_going_on_takes_the_database_as_it_is(lab: MarkedLab) -> None:
    lose_two_days(lab)
    lab.transport.sent.clear()
    assert lab.accept(hold=False) == 0
    lab.tick()
    assert lab.steps_sent() == ["two"] * 3
    lab.tick()


def test_ids_that_were_given_out_in_the_gap_are_not_given_to_others(lab: MarkedLab) -> None:
    lose_two_days(lab)
    lab.accept(hold=True)
    lab.subscribe("mallory@example.com")
    # the fourth subscription was somebody else's, and its links are in their mailbox
    assert lab.person("mallory@example.com").id > 4
    lab.apply(a_sequence(*STEPS, a_step("four")))
    assert lab.store.events.last() > json.loads((lab.folder / "drip.db.mark").read_text())["numbers"]["event"]
    lab.tick()


def test_nor_while_nobody_has_noticed_yet(lab: MarkedLab) -> None:
    lose_two_days(lab)
    HighWaterMark(lab.store, lab.folder).protect_ids()
    lab.subscribe("mallory@example.com")
    assert lab.person("mallory@example.com").id > 4
    with pytest.raises(DatabaseUnavailable):
        lab.tick()


def test_there_is_nothing_to_accept_when_all_is_well(lab: MarkedLab) -> None:
    lab.apply(a_sequence(*STEPS))
    lab.subscribe("ada@example.com")
    lab.tick()
    with pytest.raises(Refused):
        lab.accept(hold=True)
    assert lab.store.restored_until() is None


def test_a_new_database_in_the_same_place_is_no_cause_for_alarm(lab: MarkedLab, tmp_path: Path) -> None:
    lose_two_days(lab)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(lab.folder / "drip.db.mark", other / "drip.db.mark")
    fresh = MarkedLab(other)
    with fresh.store.opened():
        fresh.apply(a_sequence(*STEPS))
        fresh.subscribe("ada@example.com")
        assert fresh.tick().counts == {"sent": 1}
    said = json.loads((other / "drip.db.mark").read_text())
    assert said["database"] != json.loads((lab.folder / "drip.db.mark").read_text())["database"]


def test_the_mark_is_written_after_a_pass_that_did_something_and_never_goes_back(lab: MarkedLab) -> None:
    mark = lab.folder / "drip.db.mark"
    lab.apply(a_sequence(*STEPS))
    lab.subscribe("ada@example.com")
    lab.tick()
    written = json.loads(mark.read_text())
    assert written["numbers"]["event"] == lab.store.events.last()
    assert written["at"] == "2026-03-02T09:01:00.000Z", "a minute ahead of what was sent"
    mark.write_text(json.dumps({**written, "numbers": {**written["numbers"], "event": 3}}))
    HighWaterMark(lab.store, lab.folder).note(START)
    assert json.loads(mark.read_text())["numbers"]["event"] == lab.store.events.last()
    stamp = mark.stat().st_mtime_ns
    lab.tick()
    assert mark.stat().st_mtime_ns == stamp
    assert sorted(path.name for path in lab.folder.glob("*.tmp")) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"database": "x"}', '{"database": 1, "at": "soon", "numbers": {}}'])
def test_a_mark_that_can_not_be_read_stops_the_run_with_a_sentence(lab: MarkedLab, text: str) -> None:
    lab.apply(a_sequence(*STEPS))
    (lab.folder / "drip.db.mark").write_text(text)
    with pytest.raises(DatabaseUnavailable, match=r"drip\.db\.mark can't be read"):
        lab.tick()


def test_a_mark_that_can_not_be_written_sends_nothing_and_leaves_nothing(
    lab: MarkedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.apply(a_sequence(*STEPS))
    lab.subscribe("ada@example.com")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("drip.store.highwater.os.fsync", full)
        with pytest.raises(DatabaseUnavailable, match=r"drip\.db\.mark can't be written"):
            lab.tick()
    assert lab.transport.sent == []
    assert [path.name for path in lab.folder.glob("*.tmp")] == []
    assert lab.tick().counts == {"sent": 1}


def test_a_transport_that_writes_files_keeps_no_mark(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        lab.apply(a_sequence(*STEPS))
        lab.tick()
        assert not (tmp_path / "drip.db.mark").exists()
