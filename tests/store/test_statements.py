"""A pass costs what is due, not what exists: no statement of it looks through a whole table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.settings import Limits, Rate
from drip.core.subscription import SubscriptionStatus
from drip.engine.leases import LEASE
from tests.lab import DAY, HOUR, Lab, a_sequence, a_step, accept, open_lab

pytestmark = pytest.mark.sqlite

GROWING = ("subscription", "delivery", "contact", "event", "suppression", "webhook_delivery", "report")
"""Tables that may have a million rows. `sequence`, `step`, `worker`, `meta` and templates stay small."""


class Recorder:
    """Every statement that is executed, with a plan of each kind."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._execute: Callable[..., Any] = lab.store.database.execute
        self.seen: dict[str, tuple[Any, ...]] = {}

    def __call__(self, sql: str, params: Any = None, *rest: Any, **named: Any) -> Any:
        if sql.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            self.seen.setdefault(re.sub(r"\?(, ?\?)+", "?", sql), (sql, tuple(params or ())))
        return self._execute(sql, params, *rest, **named)

    def install(self, patched: pytest.MonkeyPatch) -> None:
        patched.setattr(self._lab.store.database, "execute", self)
        run_many = self._lab.store.database.run_many

        def record_many(sql: str, rows: Any) -> None:
            many = list(rows)
            if many:
                self.seen.setdefault(sql, (sql, tuple(many[0])))
            run_many(sql, many)

        patched.setattr(self._lab.store.database, "run_many", record_many)

    def scans(self) -> list[str]:
        """The statements that look through a growing table, with how."""
        found = []
        for sql, params in self.seen.values():
            for row in self._lab.store.database.rows(f"EXPLAIN QUERY PLAN {sql}", *params):
                # `SCAN s USING INDEX` is a look through a whole index: as bad as the table
                scanned = re.match(r"SCAN (\w+)", row[3])
                if scanned and self._table(sql, scanned[1]) in GROWING:
                    found.append(f"{row[3]}: {' '.join(sql.split())}")
        return found

    @staticmethod
    def _table(sql: str, name: str) -> str:
        aliased = re.search(rf"(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)\s+(?:AS\s+)?{name}\b", sql, re.IGNORECASE)
        return aliased[1] if aliased else name


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Lab]:
    limits = Limits(rate=Rate(100_000, HOUR), per_day=100_000, per_domain={"example.com": Rate(100_000, HOUR)})
    with open_lab(tmp_path, limits=limits) as lab:
        for slug in ("welcome", "other"):
            lab.apply(*(a_sequence(a_step("one"), a_step("two", "1d"), id=name) for name in ("other", "welcome")))
            lab.crowd(300, slug)
        lab.tick(limit=100)
        grow(lab)
        yield lab


def grow(lab: Lab) -> None:
    """Let the planner believe in a thousand times as many people; among a few hundred, looking at all is right."""
    database = lab.store.database
    database.run("ANALYZE")
    for table, index, stat in database.rows("SELECT tbl, idx, stat FROM sqlite_stat1"):
        if table in GROWING:
            grown = (word if word == "1" or not word.isdigit() else f"{word}000" for word in stat.split())
            database.run(
                "UPDATE sqlite_stat1 SET stat = ? WHERE tbl = ? AND idx IS ?", *(" ".join(grown), table, index)
            )
    if database.row("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat4'"):
        database.run("DELETE FROM sqlite_stat4")
    database.run("ANALYZE sqlite_schema")  # has the planner read it again


def test_a_pass_looks_through_no_growing_table(crowd: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = list(OutcomeKind)
    kinds.remove(OutcomeKind.MISCONFIGURED)

    def script(envelope: Any, content: bytes) -> Outcome:
        if len(crowd.facts) > 500:
            return accept(envelope, content)
        return Outcome(kinds[len(crowd.facts) % len(kinds)], 450, "4.0.0", "no")

    recorder = Recorder(crowd)
    with monkeypatch.context() as patched:
        recorder.install(patched)
        crowd.transport.script = script
        crowd.processes.all_gone = True
        dead = crowd.store.claims.register("elsewhere", 1, "1", crowd.now, crowd.now)
        with crowd.store.transaction():
            crowd.store.claims.claim(dead, crowd.now, 5)
        for _ in range(40):
            crowd.move("1h")
            crowd.tick()
        crowd.processes.all_gone = False
        crowd.store.claims.register("beside", 1, "1", crowd.now, crowd.store.awake() + LEASE)
        crowd.move("2d")
        crowd.tick()
        assert len(recorder.seen) > 25
    assert recorder.scans() == [], "\n".join(recorder.scans())


def test_subscribing_and_changing_one_person_looks_through_no_growing_table(
    crowd: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drip.core.subscription import SuppressionReason
    from drip.engine import people
    from drip.engine.suppress import suppress

    recorder = Recorder(crowd)
    with monkeypatch.context() as patched:
        recorder.install(patched)
        crowd.subscribe("new@example.com", variables={"plan": "pro"})
        for action in (people.pause, people.cancel):
            action(crowd.store, "welcome", "new@example.com", crowd.now)
        people.pause(crowd.store, "welcome", "p9@example.com", crowd.now)
        people.resume(crowd.store, crowd.settings, "welcome", "p9@example.com", crowd.now + DAY)
        suppress(crowd.store, "p8@example.com", SuppressionReason.UNSUBSCRIBED, crowd.now)
        crowd.store.overview.subscription(3)
    assert recorder.scans() == [], "\n".join(recorder.scans())


def test_what_list_status_and_agenda_show_is_counted_along_indexes(crowd: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = crowd.store.sequences.by_slug("welcome")
    assert stored is not None
    recorder = Recorder(crowd)
    with monkeypatch.context() as patched:
        recorder.install(patched)
        overview, agenda = crowd.store.overview, crowd.store.agenda
        assert sum(overview.counts()[stored.id].by_status.values()) == 300
        assert sum(overview.counts_of(stored.id).values()) == 300
        assert sum(step.waiting for step in overview.steps(stored.id).values()) == 300
        state = overview.state(crowd.now)
        assert state.due_now == 600 - state.sent_today
        assert sum(one.count for one in agenda.waiting(stored.id, crowd.now + DAY)) == 300
        assert agenda.held() == []
    assert recorder.scans() == [], "\n".join(recorder.scans())


@pytest.mark.parametrize("filters", [{}, {"status": SubscriptionStatus.ACTIVE}, {"search": "p1"}], ids=str)
def test_a_page_of_people_is_found_before_anything_else_of_them_is_read(
    crowd: Lab, monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any]
) -> None:
    stored = crowd.store.sequences.by_slug("welcome")
    assert stored is not None
    recorder = Recorder(crowd)
    with monkeypatch.context() as patched:
        recorder.install(patched)
        page = crowd.store.overview.subscribers(sequence_id=stored.id, limit=5, **filters)
        after = crowd.store.overview.subscribers(sequence_id=stored.id, limit=5, before=page[-1].id, **filters)
    found = [one.id for one in (*page, *after)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 10
    for sql, params in recorder.seen.values():
        plan = [row[3] for row in crowd.store.database.rows(f"EXPLAIN QUERY PLAN {sql}", *params)]
        assert plan[0] == "SEARCH s USING INTEGER PRIMARY KEY (rowid=?)", plan


def test_the_check_finds_a_statement_that_does(crowd: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(crowd)
    with monkeypatch.context() as patched:
        recorder.install(patched)
        crowd.store.database.rows("SELECT s.id FROM subscription s WHERE s.updated_at > ?", 0)
    assert recorder.scans() == ["SCAN s: SELECT s.id FROM subscription s WHERE s.updated_at > ?"]


def test_taking_in_what_came_back_looks_through_no_growing_table(crowd: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from drip.core.reports import Finding, Report, ReportKind
    from drip.core.tokens import Purpose, make_token
    from drip.engine.reports import take_in

    recorder = Recorder(crowd)
    with monkeypatch.context() as patched:
        recorder.install(patched)
        for number, kind in enumerate([*[ReportKind.SOFT] * 5, ReportKind.HARD, ReportKind.COMPLAINT]):
            token = make_token(crowd.store.secret(), Purpose.DELIVERY, 1, 1)
            finding = Finding(kind, "p5@example.com", "4.2.2", "full")
            for trusted in (False, True):
                report = Report(f"{number}{trusted}", (finding,), tokens=() if trusted else (token,), trusted=trusted)
                take_in(crowd.store, crowd.settings, report, crowd.now)
        leaving = make_token(crowd.store.secret(), Purpose.UNSUBSCRIBE, 2)
        left = Report("left", (Finding(ReportKind.UNSUBSCRIBE),), leave_token=leaving)
        assert take_in(crowd.store, crowd.settings, left, crowd.now)[0].proven
    assert recorder.scans() == [], "\n".join(recorder.scans())


def test_an_apply_looks_only_at_the_people_of_its_sequence_and_sorts_nobody(
    crowd: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.move("1d")
    crowd.tick(limit=50)
    recorder = Recorder(crowd)
    with monkeypatch.context() as patched:
        recorder.install(patched)
        other = a_sequence(a_step("one"), a_step("two", "1d"), id="other")
        for steps in (("one", "5d"), ("two", "6d")), (("two", "6d"), ("one", "5d")), (("two", "6d"),):
            crowd.apply(other, a_sequence(*(a_step(*step) for step in steps)))
    assert len([sql for sql in recorder.seen if "UPDATE subscription" in sql]) == 3
    assert recorder.scans() == [], "\n".join(recorder.scans())
    (standing,) = [(sql, params) for sql, params in recorder.seen.values() if "ORDER BY s.next_step_id" in sql]
    plan = [row[3] for row in crowd.store.database.rows(f"EXPLAIN QUERY PLAN {standing[0]}", *standing[1])]
    assert plan[0] == "SEARCH s USING INDEX subscription_place (sequence_id=? AND status=?)"
    assert not [step for step in plan if "TEMP B-TREE" in step]
