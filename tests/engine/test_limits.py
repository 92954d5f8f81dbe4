"""The limits of drip.yaml: per day exactly, rates over time, domains by themselves; nothing is lost by waiting."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drip.core.delivery import Outcome, OutcomeKind, Reason
from drip.core.limits import (
    Bucket,
    allowed_per_day,
    day_began_at,
    next_day_at,
    next_token_at,
    refilled,
    whole_tokens,
)
from drip.core.policy import Skip
from drip.core.settings import Limits, Ramp, Rate
from drip.engine.catalogue import Catalogue
from drip.engine.dispatch import Dispatch
from drip.engine.leases import LEASE
from drip.engine.ledger import Ledger
from drip.engine.limits import Limited, limited
from drip.engine.ports import Envelope
from drip.engine.records import Marked
from drip.engine.results import Result
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, accept, open_lab

SECOND = timedelta(seconds=1)


def crowd(lab: Lab, count: int, domain: str = "example.com") -> None:
    with lab.store.transaction():
        for number in range(count):
            lab.subscribe(f"p{number}@{domain}")


def elsewhere(lab: Lab, *, gone: bool = False) -> tuple[int, Ledger]:
    """A worker on another machine, alive or with a lease that has run out: its id, and what it writes with."""
    until = lab.now if gone else lab.store.awake() + LEASE
    worker_id = lab.store.claims.register("elsewhere", 1, "1", lab.now, until)
    return worker_id, Ledger(lab.store, lab.settings, Catalogue(lab.store), worker_id, Random(7))


def test_per_day_lets_exactly_so_many_go_and_the_rest_the_next_day(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=7)) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 16)
        reports = []
        for _ in range(3):
            reports.append(lab.tick())
            lab.tick()
            lab.move("1d")
        assert [report.counts["sent"] for report in reports] == [7, 7, 2]
        assert [report.remaining_due for report in reports] == [9, 2, 0]
        # the day ends at midnight in the project's zone, UTC here
        assert reports[0].room_at == START.replace(hour=0) + timedelta(days=1)


def test_who_waits_for_a_limit_and_until_when(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=2)) as lab:
        lab.apply(a_sequence(a_step("one")))
        assert limited(lab.store, lab.settings, lab.now, 0) is None
        crowd(lab, 5)
        assert limited(lab.store, lab.settings, lab.now, 5) is None
        lab.tick()
        waiting = limited(lab.store, lab.settings, lab.now, lab.store.claims.count_due(lab.now))
        assert waiting == Limited(3, START.replace(hour=0) + timedelta(days=1))


def test_what_did_not_leave_does_not_count(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=3)) as lab:
        lab.apply(a_sequence(a_step("one", when="email != 'p1@example.com'")))
        crowd(lab, 6)

        def script(envelope: Envelope, content: bytes) -> Outcome:
            refused = envelope.recipient in ("p0@example.com", "p2@example.com")
            return Outcome(OutcomeKind.REFUSED, 554, None, "no") if refused else accept(envelope, content)

        lab.transport.script = script
        assert lab.tick().counts == {"failed": 2, "skipped": 1, "sent": 3, "completed": 4}


def test_what_a_dead_worker_had_reserved_comes_back(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=3)) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 5)
        _, ledger = elsewhere(lab, gone=True)
        claims, _, _ = ledger.claim(lab.now, 3)
        assert ledger.mark([Marked(claims[0], 1, b"x")], lab.now) == [True]
        # one of the three may have left: two are given back
        assert lab.tick().counts["sent"] == 2


@pytest.mark.parametrize("given_back", ["released", "not marked"])
def test_what_was_taken_back_of_a_worker_that_seemed_dead_comes_back_once(tmp_path: Path, given_back: str) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=3)) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 9)
        _, ledger = elsewhere(lab, gone=True)
        claims, _, _ = ledger.claim(lab.now, 3)
        assert lab.tick().counts["sent"] == 3
        if given_back == "released":
            ledger.release(claims, lab.now)
        else:
            assert ledger.mark([Marked(claim, 1, b"x") for claim in claims], lab.now) == [False] * 3
            ledger.record([Result(claim, Outcome(OutcomeKind.NOT_MARKED), 1) for claim in claims], lab.now)
        assert lab.tick().counts["sent"] == 0


def midnight(lab: Lab) -> None:
    """Half a minute past the next one."""
    lab.now = lab.now.replace(hour=0, minute=0, second=30) + timedelta(days=1)


@pytest.mark.parametrize("given_back", ["released", "skipped", "taken back"])
def test_what_is_given_back_after_midnight_lets_no_more_go_on_the_new_day(tmp_path: Path, given_back: str) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=3)) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 12)
        lab.now = lab.now.replace(hour=23, minute=59)
        slow, ledger = elsewhere(lab)
        claims, _, _ = ledger.claim(lab.now, 3)
        midnight(lab)
        assert lab.tick().counts["sent"] == 0  # those in hand may still go, and it is today that they leave
        with lab.store.transaction():
            if given_back == "released":
                ledger.release(claims, lab.now)
            elif given_back == "skipped":
                ledger.record([Result(claim, Skip(Reason.WHEN), 1) for claim in claims], lab.now)
            else:
                ledger.take_back(slow, lab.now)
        assert lab.tick().counts["sent"] == 3
        assert lab.tick().counts["sent"] == 0


def test_what_leaves_after_midnight_counts_for_the_new_day(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=4)) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 12)
        lab.now = lab.now.replace(hour=23, minute=59)
        _, ledger = elsewhere(lab)
        claims, _, _ = ledger.claim(lab.now, 4)
        midnight(lab)
        sent, given_back = Outcome(OutcomeKind.SENT, 250), Outcome(OutcomeKind.DEFERRED, 451)
        with lab.store.transaction():
            ledger.mark([Marked(claim, 1, b"x") for claim in claims], lab.now)
            ledger.record([Result(claim, sent, 1, marked=True) for claim in claims[:2]], lab.now)
            ledger.record([Result(claim, given_back, 1, marked=True) for claim in claims[2:3]], lab.now)
        assert lab.tick().counts["sent"] == 1  # two have left today, and one is in hand


def test_a_limit_that_is_new_counts_what_has_left_today(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
        crowd(lab, 5)
        assert lab.tick().counts["sent"] == 5
    with open_lab(tmp_path, limits=Limits(per_day=6)) as lab:
        with lab.store.transaction():
            for number in range(4):
                lab.subscribe(f"q{number}@example.com")
        assert limited(lab.store, lab.settings, lab.now, 4) is None
        assert lab.tick().counts["sent"] == 1
        midnight(lab)
        lab.move("10h")
        assert lab.tick().counts["sent"] == 6


def test_a_warm_up_begins_with_the_first_message_that_leaves(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(ramp=Ramp(start=2, factor=2, until=500))) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 30)
        lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.MISCONFIGURED, 535, None, "no")
        lab.tick()
        lab.move("3d")
        lab.transport.script = accept
        sent = []
        for _ in range(3):
            sent.append(lab.tick().counts["sent"])
            lab.move("1d")
        assert sent == [2, 4, 8]


def test_what_the_server_refused_for_now_has_used_up_the_rate(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(rate=Rate(2, SECOND), per_day=3)) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 9)
        lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.DEFERRED, 454, "4.7.0", "too fast")
        assert lab.tick().counts == {"deferred": 2}
        lab.move("1s")
        lab.transport.script = accept
        assert lab.tick().counts["sent"] == 2  # the day has lost nothing
        lab.move("1s")
        assert lab.tick().counts["sent"] == 1


@pytest.mark.parametrize("given_back", ["released", "not marked", "taken back"])
def test_what_did_not_go_leaves_its_domain_the_room_it_had(tmp_path: Path, given_back: str) -> None:
    with open_lab(tmp_path, limits=Limits(per_domain={"example.com": Rate(1, timedelta(days=1))})) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 1, "Example.com")
        down, ledger = elsewhere(lab)
        claims, _, _ = ledger.claim(lab.now, 3)
        with lab.store.transaction():
            if given_back == "released":
                ledger.release(claims, lab.now)
            elif given_back == "not marked":
                ledger.record([Result(claim, Outcome(OutcomeKind.NOT_MARKED), 1) for claim in claims], lab.now)
            else:
                ledger.take_back(down, lab.now)
        assert lab.tick().counts["sent"] == 1


def test_a_rate_is_waited_for_when_it_is_soon_and_left_to_a_later_pass_when_not(tmp_path: Path) -> None:
    limits = Limits(rate=Rate(2, SECOND))
    with open_lab(tmp_path, limits=limits) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 7)
        report = lab.tick()  # the clock stands still: what the bucket holds, and no more
        assert (report.counts["sent"], report.remaining_due) == (2, 5)
        assert report.room_at == START + SECOND / 2
        lab.move("1s")
        assert lab.tick().counts["sent"] == 2


def test_a_rate_holds_over_a_real_run(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(rate=Rate(40, SECOND))) as lab:
        lab.now = datetime.now(UTC)
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 80)
        with lab.worker(clock=lambda: datetime.now(UTC)) as worker:
            report = worker.run_once()
        assert report.counts["sent"] == 80
        # 40 at once, the other 40 at 40 a second; at one a second, or with a pass for each, it would be 40
        assert 0.9 <= report.seconds < 20


def test_a_slow_server_does_not_end_a_pass_whose_rate_lets_one_go_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, everybody, real = [], Event(), Ledger.claim

    def claim(self: Ledger, now: datetime, most: int) -> Any:
        found = real(self, now, most)
        claimed.extend(found[0])
        if len(claimed) == 8:
            everybody.set()
        return found

    def script(envelope: Envelope, content: bytes) -> Outcome:
        assert everybody.wait(20), "nobody is answered before all are in hand"
        return accept(envelope, content)

    monkeypatch.setattr(Ledger, "claim", claim)
    with open_lab(tmp_path, limits=Limits(rate=Rate(1, SECOND))) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 8)
        lab.transport.connections = 8
        lab.transport.script = script
        seconds = count()
        with lab.worker(clock=lambda: START + SECOND * next(seconds)) as worker:
            assert worker.run_once().counts["sent"] == 8


def test_what_a_silent_server_holds_up_does_not_leave_all_at_once_when_it_speaks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, in_hand, waited, wait_for = [0], [0], Event(), Dispatch.wait_for

    def claim(self: Ledger, now: datetime, most: int) -> Any:
        found = real(self, now, most)
        claimed[0] += len(found[0])
        in_hand.append(claimed[0] - len(lab.transport.sent))
        return found

    def wait(self: Dispatch, left: int) -> bool:
        came = wait_for(self, left)
        if not came:
            waited.set()
        return came

    def script(envelope: Envelope, content: bytes) -> Outcome:
        assert waited.wait(20), "it was never waited for the server"
        return accept(envelope, content)

    real = Ledger.claim
    monkeypatch.setattr(Ledger, "claim", claim)
    monkeypatch.setattr(Dispatch, "wait_for", wait)
    monkeypatch.setattr("drip.engine.dispatch.LOOK_UP", 0.05)
    with open_lab(tmp_path, limits=Limits(rate=Rate(2, SECOND))) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 30)
        lab.transport.script = script
        seconds = count()
        with lab.worker(clock=lambda: START + SECOND * next(seconds)) as worker:
            assert worker.run_once().counts["sent"] == 30
        # two on the connections, the two of one second behind them, and the two claimed last
        assert max(in_hand) <= 6


def test_one_domain_waits_while_the_others_go(tmp_path: Path) -> None:
    limits = Limits(per_domain={"gmail.com": Rate(2, SECOND)})
    with open_lab(tmp_path, limits=limits) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 6, "gmail.com")
        crowd(lab, 6)
        report = lab.tick()
        assert report.counts == {"sent": 8, "deferred": 4, "completed": 8}
        assert {fact.reason for fact in lab.facts if fact.kind == "deferred"} == {"limit"}
        for _ in range(4):
            lab.move("1s")
            lab.tick()
        recipients = [envelope.recipient for envelope, _ in lab.transport.sent]
        assert len(recipients) == len(set(recipients)) == 12


def test_a_domains_rate_is_used_up_in_one_pass_and_nobody_is_put_off_twice(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_domain={"gmail.com": Rate(40, SECOND)})) as lab:
        lab.now = datetime.now(UTC)
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 80, "gmail.com")
        with lab.worker(clock=lambda: datetime.now(UTC)) as worker:
            report = worker.run_once()
        assert report.counts["sent"] == 80
        assert report.counts["deferred"] <= 40  # those behind the first forty, once each
        assert report.seconds < 20


def held_until(lab: Lab) -> list[datetime]:
    people = lab.store.overview.subscribers(limit=None)
    return sorted(person.next_send_at for person in people if person.next_send_at is not None)


def test_those_who_wait_for_their_domain_wait_behind_each_other_however_many_are_claimed_at_once(
    tmp_path: Path,
) -> None:
    with open_lab(tmp_path, limits=Limits(per_domain={"gmail.com": Rate(1, SECOND)})) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 500, "gmail.com")
        assert lab.tick().counts == {"sent": 1, "deferred": 499, "completed": 1}
        assert held_until(lab) == [START + number * SECOND for number in range(1, 500)]


def test_many_who_wait_for_their_domain_keep_nobody_else_waiting(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_domain={"gmail.com": Rate(1, HOUR)})) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 1100, "gmail.com")
        lab.move("1m")
        crowd(lab, 5)
        assert lab.tick().counts["sent"] == 6


def test_who_waits_for_their_domain_waits_a_quarter_of_a_day_at_most_and_not_for_what_a_clock_once_said(
    tmp_path: Path,
) -> None:
    with open_lab(tmp_path, limits=Limits(per_domain={"gmail.com": Rate(2, 6 * HOUR)})) as lab:
        lab.apply(a_sequence(a_step("one")))
        crowd(lab, 5, "gmail.com")
        _, ledger = elsewhere(lab)
        with lab.store.transaction():
            ledger.claim(lab.now, 5)
        assert held_until(lab)[1:] == [START + 3 * HOUR, *[START + 6 * HOUR] * 3]
        lab.now -= DAY
        for name in ("ada", "ana"):
            lab.subscribe(f"{name}@gmail.com")
        with lab.store.transaction():
            ledger.claim(lab.now, 5)
        assert held_until(lab)[:2] == [lab.now + 3 * HOUR, lab.now + 6 * HOUR]


RAMP = Ramp(start=50, factor=1.5, until=500)


@pytest.mark.parametrize(
    ("limits", "days", "allowed"),
    [
        (Limits(), 0, None),
        (Limits(per_day=10), 3, 10),
        (Limits(ramp=RAMP), 0, 50),
        (Limits(ramp=RAMP), 1, 75),
        (Limits(ramp=RAMP), 2, 112),  # 112.5
        (Limits(ramp=RAMP), 3650, 500),
        (Limits(ramp=RAMP, per_day=60), 1, 60),
    ],
)
def test_what_a_day_allows(limits: Limits, days: int, allowed: int | None) -> None:
    first = START.date()
    assert allowed_per_day(limits, first + timedelta(days=days), first) == allowed


def test_a_bucket_fills_with_time_holds_one_second_and_never_more() -> None:
    rate = Rate(600, timedelta(minutes=1))  # ten a second
    empty = Bucket(0, START)
    assert whole_tokens(refilled(empty, rate, START + SECOND / 2)) == 5
    assert whole_tokens(refilled(empty, rate, START + timedelta(hours=1))) == 10
    assert whole_tokens(refilled(empty, rate, START - timedelta(hours=1))) == 0
    assert next_token_at(empty, rate) == START + SECOND / 10
    slow = Rate(1, timedelta(minutes=1))
    assert whole_tokens(refilled(None, slow, START)) == 1


def test_clocks_that_differ_fill_a_bucket_once() -> None:
    rate, ahead = Rate(10, SECOND), START + 10 * SECOND
    bucket = Bucket(0, ahead)
    for tenth in range(10):  # two machines take turns; one is ten seconds behind
        bucket = refilled(bucket, rate, START + tenth * SECOND / 10)
        bucket = refilled(bucket, rate, ahead + tenth * SECOND / 10)
    assert bucket.tokens == pytest.approx(9)


def test_a_clock_that_was_put_back_by_much_fills_a_bucket_from_there() -> None:
    bucket = refilled(Bucket(0, START), Rate(10, SECOND), START - timedelta(days=300))
    assert whole_tokens(bucket) == 0
    assert whole_tokens(refilled(bucket, Rate(10, SECOND), START - timedelta(days=300) + SECOND)) == 10


@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid", "America/Havana", "America/Sao_Paulo", "Asia/Beirut"])
def test_days_follow_each_other_without_a_gap_where_midnight_is_twice_or_not_at_all(zone: str) -> None:
    local, began = ZoneInfo(zone), day_began_at(date(2018, 1, 1), ZoneInfo(zone))
    for day in range(1, 366):
        following = day_began_at(date(2018, 1, 1) + timedelta(days=day), local)
        assert next_day_at(began, local) == next_day_at(following - SECOND, local) == following
        assert (following - SECOND).astimezone(local).date() < following.astimezone(local).date()
        began = following
