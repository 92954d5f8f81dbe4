"""What is seen of a database without opening it in earnest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.core.moments import to_milliseconds
from drip.store.glance import count_due_to
from drip.store.sqlite import SqliteDatabase
from tests.lab import HOUR, Lab, a_sequence, a_step, open_lab

pytestmark = pytest.mark.sqlite


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_lab(tmp_path) as opened:
        yield opened


def due(lab: Lab, most: int) -> int | None:
    return count_due_to(f"sqlite:///{lab.store.database.place}", most, to_milliseconds(lab.now))


def test_those_who_are_due_are_counted_as_far_as_is_asked(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.crowd(7)
    lab.subscribe("later@example.com", started_at=lab.now + HOUR)
    assert [due(lab, most) for most in (3, 7, 8, 100)] == [3, 7, 7, 7]
    assert lab.store.claims.count_due_to(100, lab.now) == lab.store.claims.count_due(lab.now) == 7


def test_nothing_is_said_of_a_database_of_another_version(lab: Lab) -> None:
    lab.store.database.run("PRAGMA user_version = 3")
    assert due(lab, 10) is None


@pytest.mark.parametrize("url", ["postgresql://user@host/name", "sqlite:////nowhere/drip.db"])
def test_nothing_is_said_of_what_is_no_file(url: str) -> None:
    assert count_due_to(url, 10, 0) is None


def test_nothing_is_said_of_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "drip.db").write_bytes(b"This is no database." * 100)
    assert count_due_to(f"sqlite:///{tmp_path / 'drip.db'}", 10, 0) is None


def test_a_file_that_ends_within_a_page_is_whole_with_its_log_also_behind_a_link(tmp_path: Path) -> None:
    behind, crashed, link = tmp_path / "behind", tmp_path / "crashed.db", tmp_path / "drip.db"
    behind.mkdir()
    with open_lab(behind) as lab:
        lab.apply(a_sequence(a_step("one")))
        for ending in ("", "-wal"):  # as after a crash in the middle of a checkpoint: the log has all of it
            crashed.with_name(crashed.name + ending).write_bytes((behind / f"drip.db{ending}").read_bytes())
    with crashed.open("ab") as file:
        file.write(b"half a page")
    link.symlink_to(crashed)
    database = SqliteDatabase(link)
    with database.connected():
        assert database.value("SELECT COUNT(*) FROM sequence") == 1
        assert database.damage(10) == []


def test_a_witness_sees_what_stands_in_the_log_behind_a_link(lab: Lab, tmp_path: Path) -> None:
    lab.apply(a_sequence(a_step("one")))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "drip.db").symlink_to(lab.store.database.place)
    with SqliteDatabase(folder / "drip.db").read_only() as witness:
        assert witness.value("SELECT COUNT(*) FROM sequence") == 1
