"""Row 11: a machine that crashes; and what is asked of a database that was in trouble, whatever it was."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

from drip.engine.records import Marked
from drip.engine.results import Result
from drip.engine.writer import Writer
from drip.errors import Unavailable
from drip.store.driverless import peewee
from tests.faults.processes import fork, processor_seconds
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import Trial, a_trial, one_pass, scratch, share

DUE = 24

# Every file of a folder as it was when it was last synced, beside it: what a disk may have after the power failed.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void keep(int fd) {
    const char *folder = getenv("DRIP_WATCHED"), *kept = getenv("DRIP_KEPT");
    char link[64], path[PATH_MAX], fresh[PATH_MAX], final[PATH_MAX], block[65536];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!folder || !kept || length < 0) return;
    path[length] = 0;
    size_t under = strlen(folder);
    if (strncmp(path, folder, under) || path[under] != '/' || strchr(path + under + 1, '/')) return;
    snprintf(final, sizeof final, "%s/%s", kept, path + under + 1);
    snprintf(fresh, sizeof fresh, "%s.part", final);
    pthread_mutex_lock(&one);
    int from = open(path, O_RDONLY), to = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t count;
    while (from >= 0 && to >= 0 && (count = read(from, block, sizeof block)) > 0)
        if (write(to, block, count) != count) abort();
    close(from);
    close(to);
    rename(fresh, final);
    pthread_mutex_unlock(&one);
}

static int synced(const char *name, int fd) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    int result = real(fd);
    if (result == 0) keep(fd);
    return result;
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
"""

_SYNCHRONOUS = 2
"""FULL; the control sets it to NORMAL."""


@cache
def _shim() -> Path:
    """The library that is loaded before libc's own `fsync`."""
    folder = scratch() / "shim"
    folder.mkdir()
    (folder / "shim.c").write_text(SHIM)
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(folder / "shim.so"), str(folder / "shim.c"), "-ldl"]
    subprocess.run(command, check=True)
    return folder / "shim.so"


def power_trial(case: Case) -> Figures:
    """The machine stops at a random moment: what was synced is there, and what was not may be."""
    watched = _watched()
    watched.send((case, _SYNCHRONOUS))
    found = watched.recv()
    if isinstance(found, Exception):
        raise found
    assert isinstance(found, Figures)
    return found


@cache
def _watched() -> Connection:
    """Leads to a process whose forks have the shim before libc; it ends with this one."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    with patch.dict(os.environ, LD_PRELOAD=str(_shim())):
        context.Process(target=_serve, args=(theirs, scratch()), daemon=True).start()
    theirs.close()
    return ours


def _serve(connection: Connection, folder: Path) -> None:
    share(folder)
    while True:
        try:
            case, level = connection.recv()
        except EOFError:
            return
        try:
            before = processor_seconds()
            with patch(f"{__name__}._SYNCHRONOUS", level):
                figures = _power_trial(case)
            figures.seconds = processor_seconds() - before
            connection.send(figures)
        except Exception as error:
            connection.send(AssertionError(traceback.format_exc() or str(error)))


def _power_trial(case: Case) -> Figures:
    random = case.random
    connections = random.randint(1, 4)
    with a_trial(case, due=DUE, connections=connections, latency=random.choice((0.003, 0.01))) as one:
        kills = 0
        for moment in sorted(random.sample(range(1, DUE - 6), 2)):
            kills += _until_the_power_fails(one, moment, random.random() * 0.03)
            _as_on_the_disk(one, keep_unsynced=random.random() < 0.3)
            _whole(one)
        one.finish()
        books = one.books()
        figures = books.figures()
        figures.kills = kills
        figures.breach(figures.unknown > kills * connections, f"{figures.unknown} unknown of {kills} power failures")
        one.look_over(figures)
        one.all_had_one(books, figures)
    return figures


def _until_the_power_fails(one: Trial, count: int, after: float) -> bool:
    kept = one.folder / "kept"
    kept.mkdir(exist_ok=True)
    for path in _files(one.folder):
        shutil.copy(path, kept)

    def work() -> int:
        os.environ.update(DRIP_WATCHED=str(one.folder), DRIP_KEPT=str(kept))
        with pragma("synchronous", _SYNCHRONOUS):
            return one_pass(one.folder)

    child = fork(work, one.errors)
    one.wait_for(count, child)
    time.sleep(after)
    return child.kill()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("drip.db*") if path.suffix != ".lock" and not path.name.endswith("-shm")]


def _as_on_the_disk(one: Trial, *, keep_unsynced: bool) -> None:
    """Put the files back as they were synced; the mark beside the database may be lost with its name."""
    kept = one.folder / "kept"
    if not keep_unsynced:
        for path in _files(one.folder):
            path.unlink()
        for path in _files(kept):
            shutil.copy(path, one.folder)
    for name in ("drip.db-shm", "drip.db.mark"):
        (one.folder / name).unlink(missing_ok=True)
    shutil.rmtree(kept)


def _whole(one: Trial) -> None:
    connection = sqlite3.connect(one.folder / "drip.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@contextmanager
def pragma(name: str, value: int) -> Iterator[None]:
    """SQLite with this pragma on every connection."""
    set_pragmas: Callable[[Any, sqlite3.Connection], None] = vars(peewee.SqliteDatabase)["_set_pragmas"]

    def these_and_one_more(self: Any, connection: sqlite3.Connection) -> None:
        set_pragmas(self, connection)
        connection.execute(f"PRAGMA {name} = {value}")

    with patch.object(peewee.SqliteDatabase, "_set_pragmas", these_and_one_more):
        yield


@contextmanager
def normal() -> Iterator[None]:
    """The machine crash under `synchronous=NORMAL`."""
    with patch(f"{__name__}._SYNCHRONOUS", 1):
        yield


def whole_again(one: Trial, connections: int, kind: str) -> Figures:
    """What must be true once things work again."""
    one.finish()
    books = one.books()
    figures = books.figures()
    figures.breach(figures.unknown > connections, f"{kind}: {figures.unknown} unknown of {connections} connections")
    one.look_over(figures)
    one.all_had_one(books, figures, f"{kind}: ")
    return figures


@contextmanager
def mark_anyway() -> Iterator[None]:
    """A mark that could not be written lets the dot go all the same."""

    def optimistic(mark: Callable[..., list[bool] | None]) -> Callable[..., list[bool] | None]:
        def marked_or_not(self: Writer, marked: Sequence[Marked], results: Sequence[Result] = ()) -> list[bool] | None:
            try:
                return mark(self, marked, results)
            except Unavailable:
                return [True] * len(marked)

        return marked_or_not

    with patch.multiple(Writer, mark=optimistic(Writer.mark), try_mark=optimistic(Writer.try_mark)):
        yield


ROWS = [
    Row(
        number=11,
        promise="Committed is durable",
        fault="the power fails at a random moment: files as of their last fsync, by a shim before libc",
        ci=20,
        release=500,
        trial=power_trial,
        control=Control("synchronous=NORMAL", normal, within=4, shows="mailed twice"),
    ),
]
