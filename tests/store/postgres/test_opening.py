"""A server is opened: by many at once, with a wrong URL, for a copy; and nothing of it is loaded elsewhere."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.errors import DatabaseUnavailable, Invalid
from drip.store.copying import TABLES, copy_rows, count_rows
from drip.store.opening import open_url
from drip.store.postgres.database import PostgresDatabase
from drip.store.sqlite import SqliteDatabase
from drip.store.store import Store
from tests.databases import drop, name_of, new_postgres, server
from tests.lab import Lab

SECRET = "hunter2%20secret"


def test_eight_open_a_new_database_at_once(tmp_path: Path) -> None:
    empty = new_postgres(None)
    together = threading.Barrier(8)

    def work(_: int) -> str:
        store = Store(open_url(empty))
        together.wait()
        with store.opened():
            return store.identity()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(8)))) == 1
    drop(empty)


def test_tables_of_another_program_are_left_alone() -> None:
    empty = new_postgres(None)
    server().sql("CREATE TABLE event (id int)", name_of(empty))
    with pytest.raises(DatabaseUnavailable, match="tables of another program"), Store(open_url(empty)).opened():
        pass
    assert server().sql("SELECT count(*) FROM pg_class WHERE relname = 'meta'", name_of(empty)) == [(0,)]
    drop(empty)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("127.0.0.1:1/drip", "can't be reached: nothing listens there"),
        ("127.0.0.1:{port}/nowhere", "does not exist on the server"),
        ("no.such.host.invalid/drip", "can't be reached"),
    ],
)
def test_why_there_is_no_connection_is_said_and_never_the_password(where: str, words: str) -> None:
    database = open_url(f"postgresql://postgres:{SECRET}@{where.format(port=server().port)}")
    with pytest.raises(DatabaseUnavailable) as refused:
        database.connect()
    said = f"{refused.value} {refused.value.hint} {refused.value.__cause__} {refused.value.__context__ or ''}"
    assert words in refused.value.message
    assert "hunter2" not in said
    assert "hunter2" not in database.place


def test_a_url_that_can_not_be_read_is_said_without_it() -> None:
    with pytest.raises(Invalid) as refused:
        open_url(f"postgresql://ada:{SECRET}@host/drip?nonsense=1")
    assert "hunter2" not in f"{refused.value}{refused.value.hint}{refused.value.__cause__}"


def test_a_schema_of_its_own_is_enough() -> None:
    empty = new_postgres(None)
    server().sql("CREATE SCHEMA mail", name_of(empty))
    store = Store(open_url(f"{empty}?options=-csearch_path%3Dmail"))
    with store.opened():
        assert store.database.schema_version() > 0
    assert server().sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name_of(empty)) == [(0,)]
    drop(empty)


def test_a_copy_to_the_server_and_back_has_every_row_and_goes_on_where_it_was(lab: Lab, tmp_path: Path) -> None:
    lab.subscribe("ada@example.com", variables={"nul": "a\0b", "plan": "pro"})
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.SENT, 250, "2.0.0", "2.0.0 Ok\0 queued")
    for number in range(3):
        lab.subscribe(f"p{number}@example.com")
    lab.tick()
    file, second = SqliteDatabase(tmp_path / "copy.db"), new_postgres()
    with Store(file).opened(), lab.store.transaction():
        copied = copy_rows(lab.store.database, file)
    with Store(file).opened(), Store(open_url(second)).opened():
        pass
    back = Store(open_url(second))
    with file.connected(), back.connected():
        assert copy_rows(file, back.database) == copied
        with pytest.raises(Invalid, match="is not empty"):
            copy_rows(file, back.database)
        for table in TABLES:
            columns = ", ".join(lab.store.database.columns(table))
            rows = [sorted(one.rows(f"SELECT {columns} FROM {table}"), key=repr) for one in (
                lab.store.database, file, back.database)]  # fmt: skip
            assert rows[0] == rows[1] == rows[2]
        assert back.database.numbers() == lab.store.database.numbers()
        assert back.secret() == lab.store.secret()
    assert count_rows(lab.store.database)["delivery"] == 4
    drop(second)


def test_every_table_is_copied() -> None:
    made = server().sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", "drip_template")
    assert sorted(name for (name,) in made) == sorted(TABLES)


def test_psycopg_is_loaded_for_postgresql_alone(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from drip.store.opening import open_url; from drip.store.store import Store\n"
        f"with Store(open_url('sqlite:///{tmp_path}/drip.db')).opened(): pass\n"
        "assert 'psycopg' not in sys.modules\n"
        "import psycopg, drip.store.postgres.database"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert isinstance(open_url("postgresql://host/drip"), PostgresDatabase)
