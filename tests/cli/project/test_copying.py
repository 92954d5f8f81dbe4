"""`db copy`: a project moves to a server and back, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from drip.project import system_clock
from drip.store.opening import open_url
from drip.store.processes import LocalProcesses
from drip.store.store import Store
from tests.cli.conftest import Cli
from tests.databases import drop, new_postgres

pytestmark = pytest.mark.sqlite  # what is copied here begins in a file


@pytest.fixture
def url() -> Iterator[str]:
    """A database on a server, with nothing in it."""
    made = new_postgres(None)
    yield made
    drop(made)


def name_in_config(cli: Cli, database: str) -> None:
    text = (cli.folder / "drip.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("database:")]
    cli.write("drip.yaml", "\n".join([*lines, f"database: {database}", ""]))


def test_a_project_moves_to_a_server_and_back(ada: Cli, url: str) -> None:
    ada("run", "--once")
    before = ada.json("subscriber", "welcome", "ada@example.com")
    copied = ada.json("db", "copy", "sqlite:///drip.db", url)
    assert copied["rows"]["subscription"] == copied["rows"]["delivery"] == 1
    assert copied["total"] == sum(copied["rows"].values())
    name_in_config(ada, url)
    assert ada.json("subscriber", "welcome", "ada@example.com") == before
    assert "nothing was due" in ada("run", "--once").output
    ada("subscribe", "welcome", "ana@example.com")
    assert ada.json("run", "--once")["sent"] == 1
    assert ada("db", "check").stdout == "ok\n"
    assert "copied to" in ada("db", "copy", url, "sqlite:///back.db").stdout
    name_in_config(ada, "sqlite:///back.db")
    assert [one["email"] for one in ada.json("subscribers")] == ["ana@example.com", "ada@example.com"]
    assert ada("db", "check").stdout == "ok\n"


def test_a_backup_of_a_server_is_a_file_that_can_be_used(ada: Cli, url: str) -> None:
    ada("db", "copy", "sqlite:///drip.db", url)
    name_in_config(ada, url)
    ada("db", "backup", "copy.db")
    assert (ada.folder / "copy.db").stat().st_mode & 0o077 == 0
    assert {path.name for path in ada.folder.glob("*copy.db*")} == {"copy.db"}
    name_in_config(ada, "sqlite:///copy.db")
    assert ada.json("run", "--once")["sent"] == 1


def test_a_database_with_something_in_it_is_not_written_over(ada: Cli, url: str) -> None:
    ada("db", "copy", "sqlite:///drip.db", url)
    assert "is not empty" in ada("db", "copy", "sqlite:///drip.db", url, code=2).stderr
    assert "are the same" in ada("db", "copy", "sqlite:///drip.db", "sqlite:///drip.db", code=2).stderr
    assert "there is no database" in ada("db", "copy", "sqlite:///no.db", url, code=2).stderr
    assert "not a database" in ada("db", "copy", "drip.db", url, code=2).stderr
    assert not (ada.folder / "no.db").exists()


def test_nothing_is_copied_while_a_worker_is_at_work(ada: Cli, url: str) -> None:
    now = system_clock()
    with ada.project.opened() as store, store.transaction():
        store.claims.register(*LocalProcesses().identity(), now, now + timedelta(minutes=2))
    assert "a worker is at work" in ada("db", "copy", "sqlite:///drip.db", url, code=1).stderr
    with Store(open_url(url)).opened() as _:
        pass


def test_a_file_that_was_moved_away_from_is_known_to_be_behind(ada: Cli, url: str, tmp_path: Path) -> None:
    ada("db", "copy", "sqlite:///drip.db", url)
    name_in_config(ada, url)
    ada("subscribe", "welcome", "ana@example.com")
    on_server = ada.project
    with on_server.opened():
        on_server.high_water.note(system_clock())
    name_in_config(ada, "sqlite:///drip.db")
    in_file = ada.project
    with in_file.opened():
        assert in_file.high_water.ahead() is not None
