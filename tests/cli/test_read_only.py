"""A database that may only be read: what looks works and leaves no trace, what changes says why it can't."""

from __future__ import annotations

import os

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.sqlite

LOOKING = (
    ("list",),
    ("status",),
    ("status", "welcome"),
    ("show", "welcome"),
    ("history", "welcome"),
    ("subscribers",),
    ("subscriber", "welcome", "ada@example.com"),
    ("agenda",),
    ("stats",),
    ("log",),
    ("why", "1"),
    ("unknown",),
    ("templates",),
    ("export", "welcome"),
    ("plan",),
    ("preview", "welcome", "tips", "--as", "ada@example.com"),
    ("contacts", "list"),
    ("contacts", "show", "ada@example.com"),
    ("suppress", "list"),
    ("suppress", "export"),
    ("keys", "list"),
    ("db", "check"),
)
CHANGING = (("subscribe", "welcome", "bob@example.com"), ("status", "welcome", "draft"), ("run", "--once"))


@pytest.fixture
def locked(ada: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """One message sent to ada; then the permissions forbid writing, also where the tests run as root."""
    ada("run", "--once")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **kw: mode != os.W_OK and real(path, mode, **kw))
    for name in ("drip.db", "drip.db.lock"):
        (ada.folder / name).chmod(0o444)
    ada.folder.chmod(0o555)
    return ada


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_needs_no_right_to_write(locked: Cli, words: tuple[str, ...]) -> None:
    before = {path.name: path.read_bytes() for path in locked.folder.glob("drip.db*")}
    locked(*words)
    assert {path.name: path.read_bytes() for path in locked.folder.glob("drip.db*")} == before


def test_what_is_shown_is_what_is_there(locked: Cli) -> None:
    assert locked.json("list")[0]["subscribers"]["active"] == 1
    assert "Subject:  Hello" in locked("why", "1").stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("words", CHANGING, ids=" ".join)
def test_changing_says_that_it_may_not(locked: Cli, words: tuple[str, ...]) -> None:
    assert "the database can't be written" in locked(*words, code=3).stderr


FRESH = ("list", "status", "subscribers", "agenda", "stats", "log", "unknown", "templates", "plan", "contacts list")


@pytest.mark.parametrize("command", FRESH)
def test_looking_makes_no_database(files: Cli, command: str) -> None:
    before = sorted(files.folder.rglob("*"))
    files(*command.split())
    files.json(*command.split())
    assert sorted(files.folder.rglob("*")) == before


def test_a_place_where_none_can_be_is_not_a_new_project(files: Cli) -> None:
    files.write("drip.yaml", "from: Ada <ada@example.com>\ndatabase: sqlite:///no-such-folder/drip.db\n")
    assert "no-such-folder" in files("list", code=3).stderr
