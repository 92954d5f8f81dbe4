"""Rows 15 and 16: clocks that lie, and a machine that was down for days."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, open_lab

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


PER_DAY = 40
CROWD = 150
"""People of the small trials, in which everybody has everything in the end."""
LARGE = 100_000
LATE = 500
"""Of these, how many came due while or before the machine was down for days, for each length of that."""
DOWN = (3 * DAY, 30 * DAY)
LAST_HOURS = 12 * HOUR
"""Before the end of the downtime, in which most came due: what is stale costs a message, and would end the trial."""
BEFORE = 3
"""Days of work before the machine is down, at most."""
END = START + DOWN[-1] + (BEFORE + 1) * DAY
"""Of the downtime of the large crowd."""
CROWDS = ("large", "stale", "large", "stale", "small")
"""By the number of the trial: nothing is skipped but where it is stale."""
DAYS = 20


def downtime_trial(case: Case) -> Figures:
    """Days pass with nobody at work; then the limit is kept, the oldest come first, and what is stale is skipped."""
    kind, down = CROWDS[case.number % len(CROWDS)], DOWN[case.number // len(CROWDS) % 2]
    return _small(case, down) if kind == "small" else _large(case, down, stale=kind == "stale")


def small_crowd(case: Case) -> Figures:
    """Of these trials, one with few people: the control would mail them all."""
    return _small(case, DOWN[0])


def _small(case: Case, down: timedelta) -> Figures:
    """Few people, until they all had everything, or it was stale."""
    random, figures = case.random, Figures(trials=1, faults=1)
    stale, from_start = random.choice((None, 2 * DAY, 7 * DAY)), random.random() < 0.5
    third, delay_from = ("2d", DelayFrom.START) if from_start else ("1d", DelayFrom.PREVIOUS)
    with open_lab(case.folder, limits=Limits(per_day=PER_DAY), stale_after=stale) as lab:
        steps = a_step("one"), a_step("two", "1d"), a_step("three", third)
        lab.apply(a_sequence(*steps, delay_from=delay_from))
        starts = [lab.now - random.random() * LAST_HOURS for _ in range(CROWD)]
        _subscribe(lab, _requests(starts))
        days = _Days(lab, figures, stale, starts if from_start else [])
        days.work(random.randint(0, BEFORE))
        lab.now += down + timedelta(seconds=random.randrange(3600))
        days.work(DAYS)
        look_over(lab.store.database, figures)
        _in_order(lab, figures, [f"p{number}@example.com" for number in range(CROWD)], stale)
    return figures


def _large(case: Case, down: timedelta, *, stale: bool) -> Figures:
    """A hundred thousand are due when work begins again, for as many days as most of them are not stale."""
    random, figures = case.random, Figures(trials=1, faults=1)
    limit = random.choice((2 * DAY, 7 * DAY)) if stale else None
    shutil.copy(made_once("waiting", _waiting) / "drip.db", case.folder)
    with open_lab(case.folder, limits=Limits(per_day=PER_DAY), stale_after=limit) as lab:
        before = random.randint(0, BEFORE)
        lab.now = END - down - before * DAY
        days = _Days(lab, figures, limit)
        days.work(before)
        lab.now += down + timedelta(seconds=random.randrange(3600))
        due = lab.store.claims.count_due(lab.now) + len(set(_recipients(lab)))
        figures.breach(due < LARGE, f"only {due} are due")
        days.work(limit // DAY if limit else DAYS // 2)
        # To look through every page of so large a file takes as long as all the rest.
        look_over(lab.store.database, figures, whole=case.number < len(CROWDS))
        _in_order(lab, figures, [], limit)
        figures.counts["skipped"] = _skipped(lab)
        figures.breach(not stale and _skipped(lab) > 0, f"{_skipped(lab)} were skipped that are never stale")
    return figures


def _waiting(folder: Path) -> None:
    """A database in which a large crowd waits, for trials to copy."""
    random = Random(LARGE)
    with open_lab(folder) as lab:
        lab.apply(a_sequence(a_step("one"), a_step("two", "1d"), a_step("three", "1d")))
        late = [END - down - random.random() * (LAST_HOURS + BEFORE * DAY) for down in DOWN for _ in range(LATE)]
        _subscribe(lab, _requests(late + [END - random.random() * LAST_HOURS for _ in range(LARGE - len(late))]))


def _requests(starts: list[datetime]) -> list[Request]:
    return [Request(f"p{number}@example.com", started_at=start) for number, start in enumerate(starts)]


_DUE = """
    SELECT (SELECT email FROM contact c WHERE c.id = s.contact_id), s.next_send_at FROM subscription s
    WHERE s.sequence_id = (SELECT id FROM sequence) AND s.status = 'active' AND s.owner IS NULL
        AND s.next_send_at IS NOT NULL AND s.next_send_at BETWEEN ? AND ? ORDER BY s.next_send_at LIMIT ?
"""
"""Along the index of the due, as the crowd is large; nobody holds a claim between passes."""


class _Days:
    """Passes, one a day: the limit, the order and the age of what is sent, and what became of the rest."""

    def __init__(self, lab: Lab, figures: Figures, stale: timedelta | None, starts: Sequence[datetime] = ()) -> None:
        """`starts` are those of the people, by number, where the steps are due a day after each other from there."""
        self._lab = lab
        self._figures = figures
        self._stale = stale
        self._starts = starts

    def work(self, days: int) -> None:
        """So many days."""
        for _ in range(days):
            self._pass()
            self._lab.move("1d")

    def _pass(self) -> None:
        figures, now = self._figures, to_milliseconds(self._lab.now)
        since = 0 if self._stale is None else to_milliseconds(self._lab.now - self._stale)
        too_old, fresh = self._due(0, since - 1, LARGE), self._due(since, now, PER_DAY)
        next_ones = self._behind(too_old, since, now)
        behind = {email for email, due in next_ones if due >= since}
        last = now if behind else fresh[-1][1] if fresh else -1
        may, skipped = dict(self._due(since, last, LARGE)), _skipped(self._lab)
        got = _pass(self._lab, figures)
        figures.breach(len(got) > PER_DAY, f"{len(got)} in one day, and {PER_DAY} are allowed")
        if behind:
            # They are seen when those before them were skipped: others may have been sent by then.
            wanted = min(PER_DAY, len(may) + len(behind))
            figures.breach(len(got) != wanted, f"{len(got)} were sent, not {wanted}")
        else:
            sent, oldest = sorted(may[email] for email in got if email in may), [due for _, due in fresh]
            figures.breach(sent != oldest, f"{len(sent)} were sent, not the {len(oldest)} oldest")
        figures.breach(bool(set(got) - set(may) - behind), "something stale, not due, or not of the oldest was sent")
        skipped, stale = _skipped(self._lab) - skipped, len(too_old) + len(next_ones) - len(behind)
        figures.breach(skipped != stale, f"{skipped} were skipped, and {stale} were stale")
        held = self._lab.store.database.value("SELECT COUNT(*) FROM subscription WHERE owner IS NOT NULL")
        figures.breach(held > 0, f"{held} claims outlived their pass")

    def _due(self, since: int, until: int, most: int) -> list[tuple[str, int]]:
        """Who waits for something that is due in that time, and when it is, the oldest first."""
        return [(email, due) for email, due in self._lab.store.database.rows(_DUE, since, until, most)]

    def _behind(self, too_old: list[tuple[str, int]], since: int, now: int) -> list[tuple[str, int]]:
        """What is due as well for those whose step is stale: steps that are stale too, and then one that is not."""
        found, day = [], to_milliseconds(START + DAY) - to_milliseconds(START)
        for email, due in too_old if self._starts else ():
            last = to_milliseconds(self._starts[int(email[1:].partition("@")[0])]) + (len(KEYS) - 1) * day
            while (due := due + day) <= min(last, now):
                found.append((email, due))
                if due >= since:
                    break
        return found


def _skipped(lab: Lab) -> int:
    return int(lab.store.database.value("SELECT COUNT(*) FROM delivery WHERE state = 'skipped' AND reason = 'stale'"))


def _in_order(lab: Lab, figures: Figures, everybody: list[str], stale: timedelta | None) -> None:
    """Nobody had a step twice or before another; `everybody` had them all, where nothing is skipped."""
    had: dict[str, list[str]] = {email: [] for email in everybody}
    for recipient, key in zip(_recipients(lab), lab.steps_sent(), strict=True):
        had.setdefault(recipient, []).append(key)
    for email, keys in had.items():
        figures.duplicates += len(keys) - len(set(keys))
        figures.breach(keys != [key for key in KEYS if key in keys], f"{email} had {keys}")
    for email in everybody if stale is None else ():
        figures.lost += len(had[email]) < len(KEYS)
        figures.breach(tuple(had[email]) != KEYS, f"{email} was forgotten: {had[email]}")


def _recipients(lab: Lab) -> list[str]:
    return [envelope.recipient for envelope, _ in lab.transport.sent]


def some_were_skipped(figures: Figures) -> Iterator[str]:
    """Where nothing was stale, nothing is shown of `stale_after`."""
    if figures.trials >= len(CROWDS) and not figures.counts["skipped"]:
        yield "nothing was stale"


@contextmanager
def no_limit() -> Iterator[None]:
    """Whatever is due is claimed."""
    with patch.object(Allowance, "room", lambda self, now, wanted: Room(wanted)):
        yield


@contextmanager
def never_stale() -> Iterator[None]:
    """Whatever is due is sent, however old it is."""
    with patch("drip.core.policy.is_stale", lambda *arguments, **named: False):
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
        fault=f"3 or 30 days down, {PER_DAY} a day; {LARGE} due, or {CROWD} until all had everything; some of it stale",
        ci=25,  # 20 with the large crowd
        release=250,
        trial=downtime_trial,
        judged=some_were_skipped,
        control=Control("no limit", no_limit, within=4, shows="are allowed", trial=small_crowd),
        more_controls=(Control("nothing is ever stale", never_stale, within=4, shows="were stale", trial=small_crowd),),
    ),
]
