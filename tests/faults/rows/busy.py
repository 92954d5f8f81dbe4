"""Row 13: a database that is held, cut off, put away or not what it was, in the middle of a run."""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import drip.engine.writer
import drip.store.sqlite
from tests.databases import name_of, server
from tests.faults.processes import Child, fork
from tests.faults.proxy import a_proxy
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.rows.durability import mark_anyway, whole_again
from tests.faults.trial import Trial, a_trial, run_drip

DUE = 16
RARELY = 12
"""Of so many rounds through the kinds the last one takes as long as it may in life; CI makes two or three."""

Disturb = Callable[[Trial, Case, Child], None]
Kinds = list[tuple[str, Callable[[Case, str], Figures]]]


def trial(case: Case) -> Figures:
    """One kind of trouble."""
    kinds = _POSTGRES if case.database == "postgresql" else _SQLITE
    kind, work = kinds[case.number % len(kinds)]
    figures = work(case, kind)
    figures.trials, figures.faults = 1, 1
    return figures


def _disturbed(disturb: Disturb) -> Callable[[Case, str], Figures]:
    """Something happens once some messages have gone out; when it is over, all is well."""

    def work(case: Case, kind: str) -> Figures:
        connections = case.random.randint(1, 4)
        with a_trial(case, due=DUE, connections=connections, latency=0.005) as one:
            if case.database == "postgresql":
                # A copy of a template is no database to crash: its sequences go back, as their values are in the
                # log of the template only, until a checkpoint (nextval_internal in PostgreSQL's sequence.c).
                server().sql("CHECKPOINT")
            child = run_drip(one, "run", "--once", before=_in_a_hurry)
            one.wait_for(case.random.randint(1, DUE - 8), child)
            disturb(one, case, child)
            figures = _ended(one, child, kind)
            return _added(figures, whole_again(one, connections, kind))

    return work


def _is_rare(case: Case, kinds: Kinds) -> bool:
    return case.number // len(kinds) % RARELY == RARELY - 1


def _ended(one: Trial, child: Child, kind: str) -> Figures:
    code, said = child.wait(), one.errors.read_text()
    figures = Figures()
    figures.breach(code not in (0, 3), f"{kind}: exit code {code}: {said[-600:]}")
    figures.breach("Traceback" in said, f"{kind}: a traceback: {said[-600:]}")
    figures.counts["in trouble"] += code == 3
    return figures


def _added(one: Figures, other: Figures) -> Figures:
    one += other
    return one


def _in_a_hurry() -> None:
    drip.engine.writer.PATIENCE = 3.0
    drip.store.sqlite.BUSY_TIMEOUT = 1


def _held(seconds: float, longest: float) -> Disturb:
    def hold(one: Trial, case: Case, child: Child) -> None:
        """Another program holds the write lock."""

        def work() -> None:
            connection = sqlite3.connect(one.file, timeout=30, isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(longest if _is_rare(case, _SQLITE) else seconds)
            connection.execute("ROLLBACK")

        fork(work, one.errors).wait()

    return hold


def _checkpointed(one: Trial, case: Case, child: Child) -> None:
    """Another program empties the write-ahead log again and again."""

    def work() -> None:
        connection = sqlite3.connect(one.file, timeout=5)
        for _ in range(20):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            time.sleep(0.005)

    fork(work, one.errors).wait()


def _read_only(case: Case, kind: str) -> Figures:
    """Nothing may be written, beside a run or before it: that is said, and nobody is mailed by who can't write it."""
    random, connections = case.random, case.random.randint(1, 4)
    what = random.choice(("file", "folder", "both"))
    with a_trial(case, due=DUE, connections=connections, latency=0.005) as one:
        running = run_drip(one, "run", "--once") if random.random() < 0.5 else None
        if running is not None:
            one.wait_for(random.randint(1, DUE - 8), running)
        kept = [(path, path.stat().st_mode & 0o777) for path in (*one.folder.glob("drip.db*"), one.folder)]
        with _modes([(path, mode & 0o555) for path, mode in kept if what in ("both", _what(path))], kept):
            before = one.accepted()
            child = run_drip(one, "run", "--once", before=_without_privileges)
            figures = _ended(one, child, kind)
            sent = one.accepted() - before
        if running is None:
            figures.breach(sent > 0 and figures.counts["in trouble"] > 0, f"{kind}: {sent} were sent unwritten")
            figures.breach(what != "folder" and sent > 0, f"{kind}: {sent} were sent, and the file can't be written")
        else:
            figures += _ended(one, running, kind)
        return _added(figures, whole_again(one, connections, kind))


def _what(path: Path) -> str:
    return "folder" if path.is_dir() else "file"


@contextmanager
def _modes(wanted: list[tuple[Path, int]], kept: list[tuple[Path, int]]) -> Iterator[None]:
    for path, mode in wanted:
        path.chmod(mode)
    try:
        yield
    finally:
        for path, mode in kept:
            if path.exists():
                path.chmod(mode)


def _without_privileges() -> None:
    """Root goes by the modes of files, as everybody does (capset(2))."""
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    assert ctypes.CDLL(None).capset(header, ctypes.create_string_buffer(24)) == 0


def _log_deleted(one: Trial, case: Case, child: Child) -> None:
    """Somebody tidies up the files that are not called drip.db."""
    for name in ("drip.db-wal", "drip.db-shm"):
        (one.folder / name).unlink(missing_ok=True)


def _log_lost(case: Case, kind: str) -> Figures:
    """The log is deleted after the worker was killed: what it had sent is not in the database any more."""
    with a_trial(case, due=DUE, connections=case.random.randint(1, 4), latency=0.005) as one:
        child = run_drip(one, "run", "--once")
        one.wait_for(case.random.randint(1, DUE - 8), child)
        figures = Figures(kills=child.kill())
        before = one.accepted()
        _log_deleted(one, case, child)
        figures += _ended(one, run_drip(one, "run", "--once"), kind)
        figures.breach(one.accepted() > before, f"{kind}: {one.accepted() - before} were sent from what is left")
        code = run_drip(one, "resolve", "--restored", "--hold").wait()
        figures.breach(code != 0, f"{kind}: resolve --restored: exit code {code}: {one.errors.read_text()[-300:]}")
        return _added(figures, whole_again(one, DUE, kind))


def _cut_before(case: Case, kind: str) -> Figures:
    """A file that is cut short, or is none: said in a sentence, and nobody is mailed."""
    with a_trial(case, due=6) as one:
        content = one.file.read_bytes()
        one.file.write_bytes(content[: case.random.randint(1, len(content) - 1)])
        figures = _ended(one, run_drip(one, "run", "--once"), kind)
        figures.breach(not figures.counts["in trouble"], f"{kind}: nothing is said of it")
        figures.breach(one.accepted() > 0, f"{kind}: {one.accepted()} were sent from half a database")
    return figures


def _cut_meanwhile(case: Case, kind: str) -> Figures:
    """A file that is cut short under a run: what is lost is lost, but nobody is mailed twice, then or later."""
    with a_trial(case, due=DUE, connections=case.random.randint(1, 4), latency=0.005) as one:
        child = run_drip(one, "run", "--once", before=_in_a_hurry)
        one.wait_for(case.random.randint(1, DUE - 8), child)
        os.truncate(one.file, case.random.randrange(one.file.stat().st_size))
        figures = _ended(one, child, kind)
        for _ in range(2):
            figures += _ended(one, run_drip(one, "run", "--once"), kind)
        recipients = [message.recipients[0] for message in one.messages()]
        figures.duplicates = len(recipients) - len(set(recipients))
        figures.breach(figures.duplicates > 0, f"{kind}: {figures.duplicates} were mailed twice")
    return figures


def _backends_killed(one: Trial, case: Case, child: Child) -> None:
    for _ in range(case.random.randint(1, 3)):
        name = name_of(one.project().settings.database)
        server().sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        time.sleep(0.02)


def _restarted(how: signal.Signals) -> Disturb:
    def restart(one: Trial, case: Case, child: Child) -> None:
        server().restart(how)

    return restart


def _paused(one: Trial, case: Case, child: Child) -> None:
    """The server's machine hangs: for 20 seconds now and then, else for one or two."""
    server().pause(20.0 if _is_rare(case, _POSTGRES) else case.random.uniform(0.5, 2.0))


def _through_a_proxy(*, arrives: bool) -> Callable[[Case, str], Figures]:
    """Connections are cut at a COMMIT, one to three times in a run: after it went through, or before it arrived.

    Now and then the server is not told that the connection has ended: it waits in the transaction for 25 seconds.
    """

    def work(case: Case, kind: str) -> Figures:
        random, connections = case.random, case.random.randint(1, 4)
        with ExitStack() as stack:
            one = stack.enter_context(a_trial(case, due=DUE, connections=connections, latency=0.005))
            url, log = one.project().settings.database, case.folder / "cuts.txt"
            cuts = random.sample(range(1, 16), random.randint(1, 3))
            told = arrives or not _is_rare(case, _POSTGRES)
            port = stack.enter_context(a_proxy(server().port, cuts, log, arrives=arrives, told=told))
            one.use_database(url.replace(f":{server().port}/", f":{port}/"))
            figures = _ended(one, run_drip(one, "run", "--once", before=_in_a_hurry), kind)
            one.use_database(url)
            cut = log.read_text().count("\n") if log.exists() else 0
            figures.counts[kind] += cut
            return _added(figures, whole_again(one, connections, kind))

    return work


_SQLITE: Kinds = [
    ("held for a moment", _disturbed(_held(0.3, 0.3))),
    ("held for longer than is waited", _disturbed(_held(1.6, 30.0))),
    ("emptied log", _disturbed(_checkpointed)),
    ("read-only", _read_only),
    ("read-only", _read_only),
    ("log deleted under a run", _disturbed(_log_deleted)),
    ("log deleted after a kill", _log_lost),
    ("cut short", _cut_before),
    ("cut short under a run", _cut_meanwhile),
]
_POSTGRES: Kinds = [
    ("backends killed", _disturbed(_backends_killed)),
    ("backends killed", _disturbed(_backends_killed)),
    ("restarted", _disturbed(_restarted(signal.SIGINT))),
    ("crashed", _disturbed(_restarted(signal.SIGQUIT))),
    ("paused", _disturbed(_paused)),
    ("paused", _disturbed(_paused)),
    ("commit answer lost", _through_a_proxy(arrives=True)),
    ("commit answer lost", _through_a_proxy(arrives=True)),
    ("commit lost", _through_a_proxy(arrives=False)),
    ("commit lost", _through_a_proxy(arrives=False)),
]


def failing_trial(case: Case) -> Figures:
    """Of the busy ones, those that a worker can't sit out."""
    return trial(replace(case, number=1 if case.database == "sqlite" else case.number))


def it_happened(figures: Figures) -> Iterator[str]:
    """Trouble that nobody had shows nothing."""
    if figures.trials >= len(_SQLITE) and not figures.counts["in trouble"]:
        yield "no run was in trouble"


ROWS = [
    Row(
        number=13,
        promise="A busy database delays, loses nothing",
        fault="a lock held 0.3-30 s, a log emptied or deleted, a file read-only or cut short; PostgreSQL restarted,"
        " crashed, paused 0.5-20 s, its backends killed, a COMMIT or its answer lost",
        ci=10 * len(_POSTGRES),  # each fault is in the lists twice, in one way or two
        release=50 * len(_POSTGRES),
        table=len(_POSTGRES),
        trial=trial,
        judged=it_happened,
        databases=("sqlite", "postgresql"),
        promised=("sqlite", "postgresql"),
        control=Control(
            "sends although the mark was not written",
            mark_anyway,
            within=20,
            shows="mailed twice",
            trial=failing_trial,
        ),
    ),
]
