"""Row 14: many who open a new database at once or bring an older one up to date, and one that is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

from drip.store.opening import open_url
from drip.store.sqlite import SqliteDatabase
from drip.store.store import Store
from drip.store.version import SCHEMA_VERSION
from tests.databases import drop, name_of, new_postgres, server
from tests.faults.processes import Child, fork
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import look_over
from tests.store.test_migrate import an_older_one, schema_of

AT_ONCE = 8


def trial(case: Case) -> Figures:
    """One of the ways to begin."""
    if case.database == "postgresql":
        kinds = (_at_once_on_a_server, _killed_on_a_server)
        return kinds[case.number % len(kinds)](case)
    kind = (_new_at_once, _older_at_once, _killed, _killed, _newer)[case.number % 5]
    figures = Figures(trials=1)
    kind(case, figures)
    return figures


def _opening(url: str, folder: Path, processes: int) -> list[Child]:
    """So many that open a database at the same moment; each notes the identity that it found."""
    at = time.monotonic() + 0.05

    def work() -> None:
        while time.monotonic() < at:
            pass
        store = Store(open_url(url))
        with store.opened():
            (folder / f"found-{os.getpid()}").write_text(store.identity())

    return [fork(work, folder / "errors.txt") for _ in range(processes)]


def _all_opened(url: str, case: Case, figures: Figures, what: str) -> None:
    for path in case.folder.glob("found-*"):
        path.unlink()
    codes = [child.wait() for child in _opening(url, case.folder, AT_ONCE)]
    errors = case.folder / "errors.txt"
    said = errors.read_text()
    figures.breach(any(codes) or bool(said), f"{what}: exit codes {codes}: {said[-400:]}")
    found = {path.read_text() for path in case.folder.glob("found-*")}
    figures.breach(len(found) > 1, f"{what}: {len(found)} databases instead of one")
    figures.faults += AT_ONCE


def _new_at_once(case: Case, figures: Figures) -> None:
    path = case.folder / "drip.db"
    _all_opened(f"sqlite:///{path}", case, figures, "a new file")
    if path.exists() and not figures.breaches:
        _legal(path, figures)


def _older_at_once(case: Case, figures: Figures) -> None:
    path = an_older_one(case.folder / "drip.db")
    _all_opened(f"sqlite:///{path}", case, figures, "an older file")
    if not figures.breaches:
        _legal(path, figures)


def _killed(case: Case, figures: Figures) -> None:
    """One is killed at a random moment of the migration: the schema is the old one or the new one."""
    path = an_older_one(case.folder / "drip.db")
    url, old = f"sqlite:///{path}", schema_of(path)
    undisturbed = case.folder / "undisturbed.db"
    shutil.copy(path, undisturbed)
    begun = time.monotonic()
    _opening(f"sqlite:///{undisturbed}", case.folder, 1)[0].wait()
    took = time.monotonic() - begun
    new = schema_of(undisturbed)
    (child,) = _opening(url, case.folder, 1)
    # The signal falls somewhere in the work: what comes before it is waiting for the moment to begin.
    time.sleep(case.random.uniform(0.05, max(took, 0.06)))
    figures.kills += child.kill()
    figures.breach(schema_of(path) not in (old, new), "killed in a migration: the schema is between two")
    _all_opened(url, case, figures, "after a killed migration")
    if not figures.breaches:
        figures.breach(schema_of(path) != new, "after a killed migration: the schema is not the new one")
        _legal(path, figures)
        kept = sqlite3.connect(path).execute("SELECT email FROM contact").fetchall()
        figures.breach(kept != [("a@b.c",)], f"after a killed migration: {kept}")


def _newer(case: Case, figures: Figures) -> None:
    """An older program on a newer schema: a sentence, and nothing is changed."""
    from drip.cli.main import drip

    (case.folder / "drip.yaml").write_text("from: us@example.com\ntransport: outbox\n")
    (case.folder / "sequences").mkdir()
    path = case.folder / "drip.db"
    with Store(open_url(f"sqlite:///{path}")).opened():
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + case.random.randint(1, 5)}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = path.read_bytes()
    command = case.random.choice((["run", "--once"], ["apply"], ["status"], ["subscribe", "welcome", "a@b.c"]))
    errors = case.folder / "errors.txt"
    code = fork(lambda: drip.main(["-C", str(case.folder), *command], "drip"), errors).wait()
    said = errors.read_text()
    figures.faults += 1
    figures.breach(code != 3 or "schema" not in said, f"a newer schema, {command}: exit code {code}: {said[-300:]}")
    figures.breach("Traceback" in said, f"a newer schema, {command}: a traceback: {said[-300:]}")
    figures.breach(path.read_bytes() != before, f"a newer schema, {command}: the file was changed")


def _legal(path: Path, figures: Figures) -> None:
    database = SqliteDatabase(path)
    with database.connected():
        look_over(database, figures)


@contextmanager
def _a_new_one() -> Iterator[str]:
    url = new_postgres(template=None)
    try:
        yield url
    finally:
        drop(url)


def _at_once_on_a_server(case: Case) -> Figures:
    figures = Figures(trials=1)
    with _a_new_one() as url:
        _all_opened(url, case, figures, "a new database")
    return figures


def _killed_on_a_server(case: Case) -> Figures:
    """The client is killed; the server finds out, and undoes what was not committed."""
    figures = Figures(trials=1)
    with _a_new_one() as url:
        (child,) = _opening(url, case.folder, 1)
        time.sleep(0.05 + case.random.random() * 0.15)
        figures.kills += child.kill()
        _all_opened(url, case, figures, "after a killed migration")
        tables = server().sql("SELECT obj_description('meta'::regclass)", name_of(url))
        figures.breach(tables != [(f"drip schema {SCHEMA_VERSION}",)], f"after a killed migration: {tables}")
    return figures


@contextmanager
def plain_migrations() -> Iterator[None]:
    """Peewee's runner as it comes: no lock, and its plan is made outside of the transaction."""

    def migrate(self: SqliteDatabase, folder: Path, version: int) -> None:
        from playhouse.migrations import Runner

        Runner(self.peewee, str(folder)).up()
        self.run(f"PRAGMA user_version = {version}")

    unlocked: Callable[[SqliteDatabase], object] = lambda self: nullcontext()  # noqa: E731
    with ExitStack() as stack:
        stack.enter_context(patch.object(SqliteDatabase, "migrate", migrate))
        stack.enter_context(patch.object(SqliteDatabase, "migrating", unlocked))
        yield


@contextmanager
def plain_on_a_server() -> Iterator[None]:
    """No lock on the server either."""
    from drip.store.postgres.database import PostgresDatabase

    unlocked: Callable[[PostgresDatabase], object] = lambda self: self.transaction(alone=False)  # noqa: E731
    with plain_migrations(), patch.object(PostgresDatabase, "migrating", unlocked):
        yield


ROWS = [
    Row(
        number=14,
        promise="First start and upgrade are safe",
        fault="8 open a new or an older database at once; kill -9 in a migration; an older program on a newer schema",
        ci=30,
        release=300,
        table=5,
        trial=trial,
        databases=("sqlite", "postgresql"),
        control=Control("migrates without a lock", plain_on_a_server, within=10, shows="exit codes"),
    )
]
