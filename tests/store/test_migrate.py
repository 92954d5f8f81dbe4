"""A new file, an older one, a newer one; many processes at once, and one that is killed in the middle."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from drip.core.moments import from_milliseconds
from drip.errors import DatabaseUnavailable
from drip.store import migrate
from drip.store.migrate import SCHEMA_VERSION
from drip.store.sqlite import SqliteDatabase
from drip.store.store import Store

pytestmark = pytest.mark.sqlite

ROOT = Path(__file__).parents[2]

OPEN = """
    import sys, time
    from pathlib import Path
    from drip.store.sqlite import SqliteDatabase
    from drip.store.store import Store

    while time.time() < float(sys.argv[2]):
        pass
    store = Store(SqliteDatabase(Path(sys.argv[1])))
    with store.opened():
        print(store.identity())
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def open_at_once(path: Path, processes: int) -> list[str]:
    """What each process says after opening one file at the same moment; errors raise."""
    at = time.time() + 1.0
    running = [start(OPEN, str(path), str(at)) for _ in range(processes)]
    said = [process.communicate(timeout=60) for process in running]
    assert [errors for _, errors in said if errors] == []
    return [output.strip() for output, _ in said]


def make(path: Path) -> None:
    with Store(SqliteDatabase(path)).opened():
        pass


def schema_of(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name").fetchall()
    connection.close()
    return [sql for (sql,) in rows if sql]


def an_older_one(path: Path) -> Path:
    """A database of version 1, made by the first migration alone."""
    folder = path.parent / "migrations"
    folder.mkdir()
    shutil.copy(ROOT / "drip/store/migrations/0001_initial.py", folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(migrate, "SCHEMA_VERSION", 1)
        patched.setattr(migrate, "_FOLDER", folder)
        database = SqliteDatabase(path)
        with database.connected():
            migrate.ensure_schema(database)
            database.run(
                "INSERT INTO contact (email, email_key, created_at, updated_at) VALUES ('a@b.c', 'a@b.c', 1, 1)"
            )
    return path


def test_eight_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    for number in range(2):
        said = open_at_once(tmp_path / f"{number}.db", 8)
        assert len(said) == 8
        assert len(set(said)) == 1


def test_eight_processes_migrate_an_older_file_at_once(tmp_path: Path) -> None:
    path = an_older_one(tmp_path / "drip.db")
    assert len(set(open_at_once(path, 8))) == 1
    make(tmp_path / "new.db")
    assert schema_of(path) == schema_of(tmp_path / "new.db")
    assert sorted(found.name for found in tmp_path.glob("drip.db.before-*")) == [f"drip.db.before-{SCHEMA_VERSION}"]


def test_an_older_database_is_backed_up_before_it_is_changed(tmp_path: Path) -> None:
    path = an_older_one(tmp_path / "drip.db")
    before = schema_of(path)
    store = Store(SqliteDatabase(path))
    with store.opened() as backup:
        assert store.database.schema_version() == SCHEMA_VERSION
        assert store.contacts.by_email("a@b.c") is not None
    assert backup is not None
    assert schema_of(backup) == before
    saved = sqlite3.connect(backup)
    assert saved.execute("SELECT email FROM contact").fetchall() == [("a@b.c",)]
    saved.close()
    with store.opened() as again:
        assert again is None


def test_a_newer_schema_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "drip.db"
    make(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(DatabaseUnavailable) as refused, Store(SqliteDatabase(path)).opened():
        pass
    assert refused.value.message == (f"the database has schema {SCHEMA_VERSION + 1}, this drip knows {SCHEMA_VERSION}")
    assert refused.value.hint is not None


def test_a_kill_in_the_middle_of_a_migration_leaves_the_old_schema_or_the_new(tmp_path: Path) -> None:
    an_older_one(tmp_path / "old.db")
    make(tmp_path / "new.db")
    legal = [schema_of(tmp_path / "old.db"), schema_of(tmp_path / "new.db")]
    killed = 0
    for number in range(8):
        path = tmp_path / f"{number}.db"
        shutil.copy(tmp_path / "old.db", path)
        process = start(OPEN, str(path), "0")
        lock = path.with_name(path.name + ".lock")
        deadline = time.monotonic() + 20
        while not lock.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(number * 0.006)
        os.kill(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.communicate()
        assert schema_of(path) in legal
        make(path)  # and it can be brought up to date then
        assert schema_of(path) == legal[1]
    assert killed > 0


@pytest.mark.parametrize("content", [b"This is no database.", b"SQLite format 3\x00" + b"x" * 4080])
def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "drip.db"
    path.write_bytes(content)
    with (
        pytest.raises(DatabaseUnavailable, match=r"is not a database|is damaged|can't be"),
        Store(SqliteDatabase(path)).opened(),
    ):
        pass


@pytest.mark.parametrize("missing", [1, 100, 4095, 4096, 3 * 4096 + 17])
def test_a_file_that_was_cut_is_said_to_be_damaged_wherever_that_was(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "drip.db"
    make(path)
    os.truncate(path, path.stat().st_size - missing)
    with pytest.raises(DatabaseUnavailable, match="is damaged"), Store(SqliteDatabase(path)).opened():
        pass


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    store = Store(SqliteDatabase(tmp_path / "nowhere" / "drip.db"))
    with pytest.raises(DatabaseUnavailable, match="can't be opened"), store.opened():
        pass


def test_a_database_is_opened_as_an_outbox_must_be(tmp_path: Path) -> None:
    store = Store(SqliteDatabase(tmp_path / "drip.db"))
    with store.opened():
        pragmas = {
            name: store.database.value(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_the_secret_and_the_identity_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIP_SECRET_KEY", raising=False)
    stores = [Store(SqliteDatabase(tmp_path / name)) for name in ("a.db", "a.db", "b.db")]
    found = []
    for store in stores:
        with store.opened():
            found.append((store.secret(), store.identity()))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]
    monkeypatch.setenv("DRIP_SECRET_KEY", "given")
    with stores[0].opened():
        assert stores[0].secret() == b"given"


def test_moments_are_kept_to_the_millisecond() -> None:
    assert from_milliseconds(1_772_442_000_123).isoformat() == "2026-03-02T09:00:00.123000+00:00"


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_whoever_may_open_the_database_may_open_its_lock(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        make(tmp_path / "drip.db")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode for name in ("drip.db", "drip.db.lock")]
    assert modes[0] == modes[1]
