"""Files: the plan, live; apply after a dialog; new sequences."""

from __future__ import annotations

from pathlib import Path

import pytest

from drip.tui.editor import edit
from tests.tui.room import WELCOME, Room


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The editor is not started: which files it would have opened."""
    opened: list[Path] = []

    def open_editor(place: object, path: Path, line: int) -> None:
        opened.append(path)

    monkeypatch.setattr("drip.tui.screens.files.open_editor", open_editor)
    return opened


async def test_without_a_database_everything_is_new_and_is_applied(files: Room) -> None:
    async with files.dashboard() as driver:
        await driver.press("3")
        assert "+ new" in driver.text
        assert "0 sequences to change, 2 to create" in driver.text
        await driver.press("a")
        assert "2 to create" in driver.text
        await driver.press("n")
        assert not (files.folder / "drip.db").exists()
        await driver.press("a", "y")
        assert driver.said() == ["applied"]
        assert await driver.shows("✓ the database is what the files say")
    assert files.sql("SELECT slug FROM sequence ORDER BY slug") == [("nurture",), ("welcome",)]


async def test_an_edit_on_disk_is_seen_with_its_people(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("3")
        assert "No changes." in driver.text
        lively.write("sequences/welcome.yaml", WELCOME.replace("delay: 3d", "delay: 4d"))
        await driver.press("r")
        assert "~ changed" in driver.text
        assert "tips   delay 3d → 4d" in driver.text
        assert "2 people wait for it: 2 later" in driver.text
        await driver.press("a")
        assert driver.place == "Confirm"
        assert "2 people wait for it: 2 later" in driver.text
        await driver.press("y")
        assert "No changes." in driver.text
    assert lively.sql("SELECT revision FROM sequence WHERE slug = 'welcome'") == [(2,)]


async def test_an_effect_that_changed_meanwhile_is_not_applied(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("3")
        lively.write("sequences/welcome.yaml", WELCOME.replace("delay: 3d", "delay: 4d"))
        await driver.press("r", "a")
        lively.sql("UPDATE subscription SET status = 'cancelled', cancel_reason = 'manual', next_step_id = NULL,"
                   " next_send_at = NULL WHERE id = 1")  # fmt: skip
        await driver.press("y")
        assert "its effect has changed meanwhile" in driver.said()[0]
    assert lively.sql("SELECT revision FROM sequence WHERE slug = 'welcome'") == [(1,)]


async def test_a_file_with_an_error_stops_apply_and_says_where(room: Room) -> None:
    room.write("sequences/welcome.yaml", WELCOME.replace("delay: 3d", "dealy: 3d"))
    async with room.dashboard() as driver:
        await driver.press("3")
        assert "! 2 errors" in driver.text or "! 1 error" in driver.text
        assert "sequences/welcome.yaml:14" in driver.text
        await driver.press("a")
        assert driver.place == "FilesScreen"


async def test_a_file_that_is_gone_is_said(room: Room) -> None:
    (room.folder / "sequences/nurture.yaml").unlink()
    async with room.dashboard() as driver:
        await driver.press("3")
        assert "? file gone" in driver.text


async def test_no_files_at_all(bare: Room) -> None:
    async with bare.dashboard() as driver:
        await driver.press("3")
        assert "there are no sequence files yet" in driver.text


async def test_a_new_sequence_is_made_and_edited(room: Room, edited: list[Path]) -> None:
    async with room.dashboard() as driver:
        await driver.press("3", "n")
        await driver.type("Bad Id")
        await driver.press("enter")
        assert "lower-case letters" in driver.text
        await driver.press("escape", "n")
        await driver.type("spring-sale")
        await driver.press("tab")
        await driver.type('Spring "sale"')
        await driver.press("enter")
        assert edited == [room.folder / "sequences/spring-sale.yaml"]
        assert "+ new" in driver.text
        await driver.press("n")
        await driver.type("welcome")
        await driver.press("enter")
        assert "there is a file welcome.yaml already" in driver.text
    files = room.project.files()
    assert files.problems == ()
    assert next(one.sequence.name for one in files.definitions if one.sequence.id == "spring-sale") == 'Spring "sale"'


async def test_e_edits_the_file_under_the_cursor(room: Room, edited: list[Path]) -> None:
    async with room.dashboard() as driver:
        await driver.press("3", "down", "e")
    assert edited == [room.folder / "sequences/welcome.yaml"]


async def test_without_a_terminal_the_editor_is_refused_in_words(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("3", "e")
        assert driver.said() == ["this terminal can't be left to an editor"]


def test_an_editor_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDITOR", str(tmp_path / "none"))
    assert edit(tmp_path / "a.yaml") == "the editor can't be started: no such file or directory"


async def test_status_and_people_from_here(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("3", "s", "up", "enter")
        assert "nurture is active now" in driver.said()
        assert "? drift" in driver.text
        await driver.press("u")
        await driver.type("ada@example.com")
        await driver.press("enter")
    assert room.status("ada@example.com", "nurture") == "active"
