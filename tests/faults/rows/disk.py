"""Row 12: a disk that takes no more, at each place where something is written."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import drip.engine.writer
from drip.engine.points import Point, listen
from drip.store.glance import FREE_SPACE_FLOOR
from drip.store.sqlite import SqliteDatabase
from tests.faults.mounts import in_own_mounts, mount_tmpfs, mountable
from tests.faults.processes import Child
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.rows.durability import mark_anyway, whole_again
from tests.faults.trial import SEQUENCE, Trial, a_trial, prepared, run_drip

DUE = 16
MEDIA = ("RLIMIT_FSIZE", "max_page_count", "tmpfs")
PLACES = {
    "claim": Point.CLAIM,
    "mark": Point.MARK,
    "record": Point.DOT_ANSWERED,
    "event": Point.EVENT_WRITTEN,
}
"""Where the disk becomes full, the first to sixth time that it is reached; there is one claim."""
SIZE = FREE_SPACE_FLOOR + (16 << 20)
"""Octets of the disk: drip begins nothing where less than the floor is free."""
PAGE = 4096

Fill = Callable[[], None]


def trial(case: Case) -> Figures:
    """One medium at one place."""
    what, place = KINDS[case.number % len(KINDS)]
    work = {"backup": _backup, "log": _log}.get(place, _sending)
    prepared(DUE, SEQUENCE, "sqlite")  # once, not in each fork
    if what != "tmpfs":
        return work(case, what, place)
    if mountable():
        return in_own_mounts(lambda: work(case, what, place), case.folder)
    figures = work(case, "RLIMIT_FSIZE", place)
    figures.counts["not tried, as nobody may mount one here: a full tmpfs"] += 1
    return figures


def _sending(case: Case, what: str, place: str) -> Figures:
    """The database's disk is full from a moment of a run on; then there is room again."""
    random, connections, disk = case.random, case.random.randint(1, 4), case.folder / "disk"
    with a_trial(case, due=DUE, connections=connections, latency=0.002) as one:
        if what == "tmpfs":
            mount_tmpfs(disk, SIZE)
            one.move_database(disk)
        fill = _FILLS[what](one.file, random.randint(0, 3))
        code, said = _run(one, PLACES[place], 1 if place == "claim" else random.randint(1, 6), fill)
        (disk / "filler").unlink(missing_ok=True)
        kind = f"{what} at {place}"
        figures = Figures(faults=1)
        figures.breach(code not in (0, 3), f"{kind}: exit code {code}: {said[-400:]}")
        figures.breach("Traceback" in said, f"{kind}: a traceback: {said[-400:]}")
        figures.breach(code == 3 and "disk" not in said, f"{kind}: it is not said: {said[-300:]}")
        figures.breach(said.count("drip: ") != (code == 3), f"{kind}: not in one sentence: {said[-400:]}")
        figures.counts[f"full at {place}"] += code == 3
        figures += whole_again(one, connections, kind)
    return figures


def _backup(case: Case, what: str, place: str) -> Figures:
    """A backup that finds no room, in the middle of a run: the run does not mind, and no half of it is left."""
    random, disk = case.random, case.folder / "disk"
    with a_trial(case, due=DUE, connections=2, latency=0.002) as one:
        size = random.randrange(1, one.file.stat().st_size // PAGE) * PAGE
        disk.mkdir()
        if what == "tmpfs":
            mount_tmpfs(disk, size)
        child = one.start()
        one.wait_for(random.randint(1, DUE - 6), child)
        before = (lambda: None) if what == "tmpfs" else lambda: _limit(size)
        code = run_drip(one, "db", "backup", "disk/copy.db", before=before).wait()
        said, left = one.errors.read_text(), [path.name for path in disk.iterdir()]
        figures = Figures(faults=1)
        figures.breach(child.wait() != 0, f"{what}: the run failed: {said[-400:]}")
        figures.breach(code != 3, f"{what}: a backup without room: exit code {code}: {said[-400:]}")
        figures.breach("Traceback" in said or said.count("drip: ") != 1, f"{what}: not in one sentence: {said[-400:]}")
        figures.breach("copy.db" not in said, f"{what}: the copy is not named: {said[-400:]}")
        figures.breach(bool(left), f"{what}: left behind: {left}")
        figures.counts[f"full at {place}"] += code == 3
        figures += whole_again(one, 0, f"{what} at {place}")
    return figures


def _log(case: Case, what: str, place: str) -> Figures:
    """What a run says finds no room: all is sent and recorded nevertheless, and the exit code tells of it."""
    disk = case.folder / "disk"
    with a_trial(case, due=DUE, connections=case.random.randint(1, 4), latency=0.002) as one:
        disk.mkdir()
        if what == "tmpfs":
            mount_tmpfs(disk, PAGE * 4)
        log = disk / "log" if what == "tmpfs" else Path("/dev/full")

        def before() -> None:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(handle, 1)
            os.dup2(handle, 2)

        fill = _written_full(log) if what == "tmpfs" else lambda: None
        code, _ = _run(one, Point.DOT_ANSWERED, case.random.randint(1, 6), fill, before, "-v")
        accepted, books = one.accepted(), one.books()
        figures = Figures(faults=1)
        figures.breach(code != 3, f"{what}: exit code {code}, and nobody could read its report")
        figures.breach(accepted != DUE, f"{what}: {accepted} of {DUE} were sent by a run that could not talk")
        figures.breach(bool(books.unknown), f"{what}: {len(books.unknown)} unknown, though no process died")
        figures.counts[f"full at {place}"] += code == 3
        figures += whole_again(one, 0, f"{what} at {place}")
    return figures


def _run(
    one: Trial, point: Point, time: int, fill: Fill, before: Fill = lambda: None, *options: str
) -> tuple[int, str]:
    """`drip run --once` under which the disk fills up when it reaches a point for the n-th time; what it said."""

    def prepare() -> None:
        drip.engine.writer.PATIENCE = 0.2
        drip.engine.writer.RETRY_EVERY = 0.05
        before()
        left = [time]

        def reached(passed: Point) -> None:
            if passed is point:
                left[0] -= 1
                if left[0] == 0:
                    fill()

        listen(reached)

    child: Child = run_drip(one, "run", "--once", *options, before=prepare)
    return child.wait(), one.errors.read_text()


def _limited(file: Path, pages: int) -> Fill:
    """No file of the process may grow, but the log of the database by some pages."""
    return lambda: _limit(_size(file.with_name(file.name + "-wal")) + pages * PAGE)


def _limit(octets: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(octets, 8192), resource.RLIM_INFINITY))


def _paged(file: Path, pages: int) -> Fill:
    """The database may grow by some pages, and no more."""
    execute: Any = SqliteDatabase.execute

    def bounded(self: SqliteDatabase, sql: str, params: Any = ()) -> Any:
        standing: sqlite3.Connection = self.peewee.connection()
        count = standing.execute("PRAGMA page_count").fetchone()[0]
        standing.execute(f"PRAGMA max_page_count = {min(count, most[0])}")
        return execute(self, sql, params)

    most = [1 << 30]

    def fill() -> None:
        connection = sqlite3.connect(file)
        most[0] = connection.execute("PRAGMA page_count").fetchone()[0] + pages
        connection.close()
        patch.object(SqliteDatabase, "execute", bounded).start()

    return fill


def _filled(file: Path, pages: int) -> Fill:
    """The disk of a file is full, but for some pages."""

    def fill() -> None:
        space = os.statvfs(file.parent)
        with (file.parent / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, max(1, space.f_bavail - pages) * space.f_frsize)

    return fill


def _written_full(log: Path) -> Fill:
    """A disk that its one file has filled to the last octet."""

    def fill() -> None:
        with suppress(OSError), log.open("ab", buffering=0) as handle:
            while handle.write(b"-" * 64):
                pass

    return fill


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


_FILLS: dict[str, Callable[[Path, int], Fill]] = {
    "RLIMIT_FSIZE": _limited,
    "max_page_count": _paged,
    "tmpfs": _filled,
}
KINDS = [
    *((what, place) for place in PLACES for what in MEDIA),
    ("RLIMIT_FSIZE", "backup"),
    ("tmpfs", "backup"),
    ("/dev/full", "log"),
    ("tmpfs", "log"),
]


def it_happened(figures: Figures) -> Iterator[str]:
    """A limit that was never met shows nothing."""
    for place in (*PLACES, "backup", "log"):
        if figures.trials >= len(KINDS) and not figures.counts[f"full at {place}"]:
            yield f"the disk was never full at {place}"


ROWS = [
    Row(
        number=12,
        promise="Disk full is clean",
        fault="RLIMIT_FSIZE, max_page_count, full tmpfs x claim, mark, record, event; no room for a backup, a log",
        ci=10 * len(KINDS),  # each place and each medium 20 times, at least
        release=20 * len(KINDS),
        table=len(KINDS),
        trial=trial,
        judged=it_happened,
        control=Control(
            "sends although the mark was not written", mark_anyway, within=len(KINDS), shows="mailed twice"
        ),
    ),
]
