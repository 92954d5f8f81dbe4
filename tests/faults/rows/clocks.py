"""Rows 15 and 16: clocks that lie, and a machine that was down for days."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch

from drip.core.moments import to_milliseconds
from drip.core.sequence import DelayFrom
from drip.core.settings import Limits
from drip.engine.catalogue import Catalogue
from drip.engine.leases import LEASE
from drip.engine.ledger import Ledger
from drip.engine.limits import Allowance, Room
from drip.engine.records import Worker as WorkerRow
from drip.engine.subscribe import Request, subscribe_many
from drip.store.sqlite import SqliteDatabase
from tests.core import test_schedule, walls
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import look_over, made_once
from tests.lab import DAY, HOUR, Lab, a_sequence, a_step, open_lab

KEYS = ("one", "two", "three")
PEOPLE = 12
JUMPS = 10
JUMP_LENGTHS = (HOUR, DAY, timedelta(days=3652))


def clock_trial(case: Case) -> Figures:
    """The jumps, and once the full table."""
    figures = jump_trial(case)
    if case.number == 0:
        _by_the_full_table(figures)
    return figures


def jump_trial(case: Case) -> Figures:
    """The clock jumps between passes and in them; then it goes on as clocks do, and everything comes to its end."""
    figures = Figures(trials=1)
    with open_lab(case.folder) as lab, patch.object(SqliteDatabase, "now", lambda database: lab.now):
        lab.apply(a_sequence(a_step("one"), a_step("two", "1d"), a_step("three", "36h"), stale_after=None))
        _subscribe(lab, [Request(f"p{number}@example.com") for number in range(PEOPLE)])
        latest = lab.now
        for number in range(JUMPS):
            _jump(lab, case.random, figures)
            if number % 3 == 0:
                _a_worker_dies(lab, case.random, figures)
            if case.random.random() < 0.5:
                lab.transport.before_mark = _Once(lab, case.random, figures)
            _pass(lab, figures)
            latest = max(latest, lab.now)
            lab.move("10m")
        lab.now = latest
        for _ in range(6):
            lab.move("2d")
            _pass(lab, figures)
        _all_had_all(lab, figures)
    return figures


def _subscribe(lab: Lab, requests: list[Request]) -> None:
    subscribe_many(lab.store, lab.settings, "welcome", requests, lab.now)


def _jump(lab: Lab, random: Random, figures: Figures) -> None:
    lab.now += random.choice((-1, 1)) * random.choice(JUMP_LENGTHS)
    figures.faults += 1


class _Once:
    """The clock jumps while a message is on its way, between its body and its mark."""

    def __init__(self, lab: Lab, random: Random, figures: Figures) -> None:
        self._rest = [lambda: _jump(lab, random, figures)]

    def __call__(self) -> None:
        if self._rest:
            self._rest.pop()()


def _a_worker_dies(lab: Lab, random: Random, figures: Figures) -> None:
    """On another machine, with claims; then the clock jumps, and the lease and a bit pass."""
    with lab.store.transaction():
        dead = lab.store.claims.register("elsewhere", 1, "1", lab.now, lab.now + LEASE)
    ledger = Ledger(lab.store, lab.settings, Catalogue(lab.store), dead, Random(1))
    with lab.store.transaction():
        claims, _, _ = ledger.claim(lab.now, 3)
    _jump(lab, random, figures)
    lab.now += 2 * LEASE
    _pass(lab, figures)
    held = lab.store.database.value("SELECT COUNT(*) FROM subscription WHERE owner = ?", dead)
    figures.breach(held > 0, f"{held} of {len(claims)} claims outlived their lease")
    figures.kills += 1


def _pass(lab: Lab, figures: Figures) -> list[str]:
    """One pass: nobody gets two messages in it. Who got one."""
    before = len(lab.transport.sent)
    lab.tick()
    got = [envelope.recipient for envelope, _ in lab.transport.sent[before:]]
    storm = [email for email, count in Counter(got).items() if count > 1]
    figures.breach(bool(storm), f"several steps in one pass: {storm[:3]}")
    return got


def _all_had_all(lab: Lab, figures: Figures) -> None:
    look_over(lab.store.database, figures)
    for number in range(PEOPLE):
        had = tuple(lab.steps_sent(f"p{number}@example.com"))
        figures.duplicates += len(had) - len(set(had))
        figures.lost += len(set(KEYS) - set(had))
        figures.breach(had != KEYS, f"p{number} had {had}")


def _by_the_full_table(figures: Figures) -> None:
    """All zones, all days on which their clocks were changed in seven years, against clocks on a wall."""
    test_schedule.test_at_and_days_follow_the_clocks_on_the_wall_on_every_day_they_change()
    test_schedule.test_windows_open_as_the_clocks_on_the_wall_show_on_every_day_they_change()
    figures.faults += len(walls.transitions())


@contextmanager
def by_the_end_of_the_lease() -> Iterator[None]:
    """A lease runs until its end, however far the clock went back since."""

    def has_run_out(worker: WorkerRow, now: datetime) -> bool:
        return worker.lease_until < now

    with patch("drip.engine.worker.has_run_out", has_run_out):
        yield


CROWD = 150
LARGE = 100_000
STALE = (10_000, LARGE)
"""People who are due where what is stale is skipped, in the last of CI's trials and in every twentieth after it."""
PER_DAY = 40
CROWDS = ("large", "small", "stale", "large", "stale")
"""By the number of the trial: nothing is skipped but where it is stale."""
DAYS = 20


def downtime_trial(case: Case) -> Figures:
    """Days pass with nobody at work; then the limit is kept, the oldest come first, and what is stale is skipped."""
    random = case.random
    kind = CROWDS[case.number % len(CROWDS)]
    down = (3 * DAY, 30 * DAY)[case.number // len(CROWDS) % 2]
    stale = random.choice((2 * DAY, 7 * DAY)) if kind == "stale" else None
    delay_from = random.choice(tuple(DelayFrom))
    crowd = STALE[case.number > 19] if case.number % 20 == 19 else CROWD
    count = LARGE if kind == "large" else crowd
    figures = Figures(trials=1, faults=1)
    if kind == "large":
        shutil.copy(_waiting(count), case.folder / "drip.db")
    with open_lab(case.folder, limits=Limits(per_day=PER_DAY)) as lab:
        if kind != "large":
            _gather(lab, count, random, delay_from, stale)
        for _ in range(random.randint(0, 3)):
            _one_day(lab, stale, figures)
        lab.now += down + timedelta(seconds=random.randrange(3600))
        for _ in range(DAYS):
            _one_day(lab, stale, figures)
        look_over(lab.store.database, figures)
        _in_order(lab, figures, [f"p{number}@example.com" for number in range(count if count == CROWD else 0)], stale)
    return figures


def small_crowd(case: Case) -> Figures:
    """Of these trials, one with few people: the control would mail them all."""
    return downtime_trial(replace(case, number=CROWDS.index("small")))


def _gather(lab: Lab, count: int, random: Random, delay_from: DelayFrom, stale: timedelta | None) -> None:
    """So many people, who came within twelve hours, in a sequence of three steps."""
    third = a_step("three", "1d" if delay_from is DelayFrom.PREVIOUS else "2d")
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d"), third, delay_from=delay_from, stale_after=stale))
    starts = [lab.now - random.uniform(0, 12) * HOUR for _ in range(count)]
    _subscribe(lab, [Request(f"p{number}@example.com", started_at=start) for number, start in enumerate(starts)])


def _waiting(count: int) -> Path:
    """A database in which so many people wait, for trials to copy."""

    def make(folder: Path) -> None:
        with open_lab(folder) as lab:
            _gather(lab, count, Random(count), DelayFrom.PREVIOUS, None)

    return made_once(f"waiting-{count}", make) / "drip.db"


def _one_day(lab: Lab, stale: timedelta | None, figures: Figures) -> None:
    """A pass, then a day: the limit, the order and the age of what is sent."""
    since = 0 if stale is None else to_milliseconds(lab.now - stale)
    fresh = "FROM subscription s WHERE s.status = 'active' AND s.next_send_at BETWEEN ? AND ?"
    bounds = since, to_milliseconds(lab.now)
    rows = lab.store.database.rows(f"SELECT s.next_send_at {fresh} ORDER BY 1 LIMIT {PER_DAY}", *bounds)
    oldest = [moment for (moment,) in rows]
    may = dict(
        lab.store.database.rows(
            f"SELECT (SELECT email FROM contact c WHERE c.id = s.contact_id), s.next_send_at {fresh}",
            *(since, oldest[-1] if oldest else -1),
        )
    )
    got = _pass(lab, figures)
    figures.breach(len(got) > PER_DAY, f"{len(got)} in one day, and {PER_DAY} are allowed")
    figures.breach(bool(set(got) - set(may)), "something stale, not due, or not of the oldest was sent")
    sent = sorted(may[email] for email in got if email in may)
    figures.breach(sent != oldest, f"{len(sent)} were sent, not the {len(oldest)} oldest")
    lab.move("1d")


def _in_order(lab: Lab, figures: Figures, everybody: list[str], stale: timedelta | None) -> None:
    """Nobody had a step twice or before another; `everybody` had them all, where nothing is skipped."""
    had: dict[str, list[str]] = {email: [] for email in everybody}
    for (envelope, _), key in zip(lab.transport.sent, lab.steps_sent(), strict=True):
        had.setdefault(envelope.recipient, []).append(key)
    for email, keys in had.items():
        figures.duplicates += len(keys) - len(set(keys))
        figures.breach(keys != [key for key in KEYS if key in keys], f"{email} had {keys}")
    for email in everybody if stale is None else ():
        figures.lost += len(had[email]) < len(KEYS)
        figures.breach(tuple(had[email]) != KEYS, f"{email} was forgotten: {had[email]}")


@contextmanager
def no_limit() -> Iterator[None]:
    """Whatever is due is claimed."""
    with patch.object(Allowance, "room", lambda self, now, wanted: Room(wanted)):
        yield


ROWS = [
    Row(
        number=15,
        promise="Clocks may lie",
        fault="jumps of 1 h, 1 day, 10 years either way in and between passes; all zones x all changes 2024-2030",
        ci=200,
        release=2000,
        unit="jumps",
        per_trial=JUMPS,
        trial=clock_trial,
        control=Control(
            "a lease runs to its end",
            by_the_end_of_the_lease,
            within=10,
            shows="outlived their lease",
            trial=jump_trial,
        ),
    ),
    Row(
        number=16,
        promise="Downtime does not cause a storm",
        fault=f"3 or 30 days down, {PER_DAY} a day; {LARGE} due, or {CROWD} to {LARGE} where what is stale is skipped",
        ci=20,
        release=200,
        short=f"{LARGE} are due in 8 of 20, {STALE[0]} or {CROWD} where what is stale is skipped: a minute for each",
        trial=downtime_trial,
        control=Control("no limit", no_limit, within=4, shows="are allowed", trial=small_crowd),
    ),
]
