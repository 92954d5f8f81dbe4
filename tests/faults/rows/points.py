"""Row 4: killed at every named point of the send path, the first, the second and the last time it is reached."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes, policy
from email.utils import parseaddr
from functools import cache, partial
from pathlib import Path

import drip.engine.worker
from drip.engine.points import Point, listen
from drip.engine.worker import Worker
from tests.faults.processes import fork
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.rows.kills import send_then_record
from tests.faults.trial import Trial, a_trial, one_pass

DUE = 5
TIMES = ("first", "second", "last")
PLACES = [(point, time) for point in Point for time in TIMES]
OUTBOX = {Point.OUTBOX_WRITTEN, Point.OUTBOX_PUBLISHED, Point.OUTBOX_SYNCED}
SHOWN_BY_RSET = ["rcpt~p1@*=reply 550 5.7.1 not wanted"]
"""One is refused, so that there is a RSET; the point of the connection's renewal is reached once."""


class KillAt:
    """Kills the process the n-th time that a point is reached; counts without a point."""

    def __init__(self, point: Point | None = None, time: int = 0) -> None:
        self.counts: Counter[Point] = Counter()
        self._point = point
        self._time = time
        self._lock = threading.Lock()

    def __call__(self, point: Point) -> None:
        with self._lock:
            self.counts[point] += 1
            if point is self._point and self.counts[point] == self._time:
                os.kill(os.getpid(), signal.SIGKILL)


def trial(case: Case) -> Figures:
    """One place of the table."""
    point, when = PLACES[case.number % len(PLACES)]
    time = {"first": 1, "second": 2}.get(when) or _last(case, point)
    with a_trial(case, due=DUE, connections=1, faults=SHOWN_BY_RSET) as one:
        killed = _run(one, point, KillAt(point, time))
        figures = Figures(trials=1, kills=killed)
        figures.counts[point.name] = killed
        figures += _judged(one, case, point)
    figures.trials = 1
    return figures


def at_the_answer(case: Case) -> Figures:
    """Of the table, the place where the server has a message and nothing is recorded yet."""
    return trial(replace(case, number=PLACES.index((Point.DOT_ANSWERED, "first"))))


def _judged(one: Trial, case: Case, point: Point) -> Figures:
    """Finish, and look at the books."""
    assert one.start().wait() in (0, 3), one.errors.read_text()
    one.finish()
    books = one.books()
    if point in OUTBOX:
        accepted = Counter(
            parseaddr(str(message_from_bytes(path.read_bytes(), policy=policy.compat32)["To"]))[1]
            for path in (case.folder / "outbox" / "new").iterdir()
        )
        books = type(books)(books.due, accepted, books.unknown, books.failed)
    figures = books.figures()
    figures.breach(figures.unknown > 1 + (point in _AFTER_ANOTHER_KILL), f"{figures.unknown} unknown of one connection")
    one.look_over(figures)
    if point not in OUTBOX:
        one.settle(books)
        after = one.books()
        figures.breach(bool(after.twice), f"mailed twice after resolve: {after.twice}")
        figures.breach(after.lost > 0, f"{after.lost} were never mailed, also after resolve")
        one.look_over(figures)
    return figures


_AFTER_ANOTHER_KILL = {Point.SWEPT, Point.SWEEP_WRITTEN}


def _run(one: Trial, point: Point, listener: KillAt, counted: Callable[[Counter[Point]], None] | None = None) -> int:
    """One pass in which `point` can be reached; how many processes were killed."""
    killed = 0
    if point in OUTBOX:
        with (one.folder / "drip.yaml").open("a") as config:
            config.write("outbox: outbox\n")
        text = (one.folder / "drip.yaml").read_text().replace("transport: smtp", "transport: outbox")
        (one.folder / "drip.yaml").write_text(text)
    if point in _AFTER_ANOTHER_KILL:
        killed += fork(lambda: _pass(one.folder, KillAt(Point.DOT, 2), point, None), one.errors).wait() < 0
    child = fork(lambda: _pass(one.folder, listener, point, counted), one.errors)
    return killed + (child.wait() == -signal.SIGKILL)


def _pass(folder: Path, listener: KillAt, point: Point, counted: Callable[[Counter[Point]], None] | None) -> int:
    """In a process of its own: a pass that is listened to."""

    def before(worker: Worker) -> None:
        if point is Point.RELEASE_WRITTEN:
            listen(partial(_stopping, worker, listener))

    if point is Point.LEASE_RENEWED:
        drip.engine.worker.RENEW_EVERY = 0.0
    listen(listener)
    code = one_pass(folder, before)
    if counted is not None:
        counted(listener.counts)
    return code


def _stopping(worker: Worker, listener: KillAt, point: Point) -> None:
    """Stop the worker at its first answer, so that what it holds is given back."""
    if point is Point.DOT_ANSWERED:
        worker.stop()
    listener(point)


def _last(case: Case, point: Point) -> int:
    """How often the point is reached when nobody is killed."""
    kind = next((kind for kind in (OUTBOX, _AFTER_ANOTHER_KILL) if point in kind), {point} & _PECULIAR)
    return _counts(case.database, frozenset(kind), str(case.folder.parent))[point]


_PECULIAR = {Point.RELEASE_WRITTEN, Point.LEASE_RENEWED}


@cache
def _counts(database: str, kind: frozenset[Point], parent: str) -> Counter[Point]:
    """A pass of this kind, undisturbed, by point; the same for all trials of a process."""
    from random import Random
    from tempfile import TemporaryDirectory

    point = next(iter(kind), Point.CLAIMED)
    with TemporaryDirectory(dir=parent) as name:
        case = Case(Path(name), 0, Random(1), database)
        with a_trial(case, due=DUE, connections=1, faults=SHOWN_BY_RSET) as one:
            told = one.folder / "counts"

            def write(counts: Counter[Point]) -> None:
                told.write_text("\n".join(f"{point.name} {count}" for point, count in counts.items()))

            _run(one, point, KillAt(), write)
            lines = told.read_text().splitlines()
    return Counter({Point[name]: int(count) for name, count in (line.split() for line in lines)})


def every_point_was_killed_at(figures: Figures) -> list[str]:
    """The list of names in the code is the list that was killed at."""
    missing = [point.name for point in Point if not figures.counts[point.name]]
    return [f"never killed at {', '.join(missing)}"] if missing and figures.trials >= len(PLACES) else []


ROWS = [
    Row(
        number=4,
        promise="It also holds at every line",
        fault="kill -9 at each point of the send path, the first, second and last time it is reached",
        ci=len(PLACES),
        release=len(PLACES) * 20,
        table=len(PLACES),
        trial=trial,
        databases=("sqlite", "postgresql"),
        promised=("sqlite", "postgresql"),
        judged=every_point_was_killed_at,
        control=Control("sends, then records", send_then_record, within=1, shows="mailed twice", trial=at_the_answer),
    )
]
