"""Read-only, hostile, older, gone: databases and people as they come. And what holds for every place."""

from __future__ import annotations

import os
from asyncio import timeout
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.command import CommandList
from textual.widgets import OptionList

from drip.errors import DatabaseUnavailable
from drip.store.database import GivenUp
from drip.tui.bindings import keys_of
from drip.tui.screens.place import Place
from drip.tui.widgets.top import PlaceTab
from tests.tui.room import Driver, Room

PLACES = ((), ("enter",), ("enter", "tab", "tab", "enter"), ("2",), ("3",))
HOSTILE = (
    "[bold red]not markup[/]",
    "\x1b[31mred\x1b[0m\x07",
    "👩‍👩‍👧‍👦 emoji",
    "שלום \u202eevil",
    "x" * 10_000,
    "[@click=app.quit]click[/]",
)


@pytest.fixture
def read_only(lively: Room, monkeypatch: pytest.MonkeyPatch) -> Room:
    """The permissions forbid writing, also where the tests run as root."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **kw: mode != os.W_OK and real(path, mode, **kw))
    return lively


@pytest.mark.parametrize("keys", PLACES)
async def test_a_read_only_database_is_shown(read_only: Room, keys: tuple[str, ...]) -> None:
    before = {path.name: path.read_bytes() for path in read_only.folder.glob("drip.db*")}
    async with read_only.dashboard() as driver:
        await driver.press(*keys)
        assert driver.said() == []
        assert "welcome" in driver.text
    assert {path.name: path.read_bytes() for path in read_only.folder.glob("drip.db*")} == before


async def test_a_read_only_database_is_not_changed(read_only: Room) -> None:
    async with read_only.dashboard() as driver:
        driver.app.show_person("welcome", "ada@example.com")
        await driver.settle()
        await driver.press("c", "p")
        assert driver.place == "PersonScreen"
        assert set(driver.said()) == {
            "the database can only be read",
            "the database can only be read\nlook at the permissions of the file and folder",
        }


async def test_the_same_complaint_stands_there_once(lively: Room) -> None:
    async with lively.dashboard() as driver:
        for message in ("it can't be reached", "it can't be reached", "it is gone"):
            driver.app.complain(DatabaseUnavailable(message, "is it up?"))
            await driver.settle()
        assert driver.said() == ["it can't be reached\nis it up?", "it is gone\nis it up?"]


async def test_a_database_of_a_newer_drip_is_said(lively: Room) -> None:
    lively.sql("PRAGMA user_version = 999")
    async with lively.dashboard() as driver:
        assert "a newer drip has migrated it" in driver.text


async def test_a_file_that_is_no_database_is_said(files: Room) -> None:
    files.write("drip.db", "not a database " * 1000)
    async with files.dashboard() as driver:
        assert "not a database" in driver.text


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_hostile_names_are_only_shown(room: Room, size: tuple[int, int]) -> None:
    for number, name in enumerate(HOSTILE):
        email = f"eve{number}@example.com"
        room.subscribe(email, name="Eve", variables={"note": name})
        room.sql("UPDATE contact SET name = ? WHERE email = ?", name, email)
        room.sql("UPDATE event SET data = json_object('reason', ?) WHERE subscription_id = ?", name, number + 1)
    async with room.dashboard(*size) as driver:
        for keys in ((), ("enter",), ("tab",), ("2",), ("3",)):
            await driver.press(*keys)
            _assert_harmless(driver)
        for number, name in enumerate(HOSTILE):
            driver.app.show_person("welcome", f"eve{number}@example.com")
            await driver.settle()
            _assert_harmless(driver)
            if name.startswith("["):
                assert name[:8] in driver.text  # as it is, not as markup
            driver.app.back()
            await driver.settle()


def _assert_harmless(driver: Driver) -> None:
    text = driver.text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert max(cell_len(line) for line in text.splitlines()) <= driver.app.size.width


@pytest.mark.parametrize("keys", PLACES)
async def test_help_says_every_key_and_only_true_ones(lively: Room, keys: tuple[str, ...]) -> None:
    async with lively.dashboard(120, 60) as driver:
        await driver.press(*keys)
        place = driver.app.screen
        assert isinstance(place, Place)
        wanted = {active.binding.description for active in keys_of(place)}
        await driver.press("question_mark")
        text = driver.text
        assert wanted
        assert all(word in text for word in wanted)
        assert place.HELP[:40] in text
        await driver.press("escape")
        assert driver.app.screen is place


@pytest.mark.parametrize("keys", PLACES)
async def test_every_key_says_what_it_does(lively: Room, keys: tuple[str, ...]) -> None:
    async with lively.dashboard() as driver:
        await driver.press(*keys)
        place = driver.app.screen
        own = [binding for key, binding in place._bindings if binding.show]
        assert all(binding.tooltip for binding in own)


async def test_the_palette_runs_what_the_keys_do(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("enter", "colon")
        await driver.type("go to nurture")
        await driver.press("enter")
        assert "○ draft" in driver.text
        await driver.press("colon")
        await driver.type("Attention")
        await driver.press("enter")
        assert driver.place == "AttentionScreen"


@pytest.mark.parametrize("place", ["2", "3"])
async def test_the_palette_goes_to_a_sequence_from_everywhere(lively: Room, place: str) -> None:
    async with lively.dashboard() as driver:
        await driver.press(place, "colon")
        await driver.type("nurture")
        await driver.press("enter")
        assert "○ draft" in driver.text
        assert driver.place == "SequenceScreen"


async def test_light_and_dark(room: Room) -> None:
    async with room.dashboard() as driver:
        shown = []
        for _ in range(3):
            shown.append(driver.app.current_theme.dark)
            await driver.press("t")
        assert shown == [True, False, True]


async def test_tabs_are_clicked(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.pilot.click("PlaceTab:last-of-type", offset=(2, 0))
        await driver.settle()
        assert driver.place in ("FilesScreen", "AttentionScreen")


async def test_a_tab_is_clicked_from_deep_inside_and_keys_still_do_something(lively: Room) -> None:
    async with lively.dashboard() as driver, timeout(120):
        await driver.press("enter")
        await driver.pilot.click(list(driver.app.screen.query(PlaceTab))[1])
        await driver.settle()
        assert driver.place == "AttentionScreen"
        await driver.press("question_mark")
        assert driver.place == "HelpScreen"


@pytest.mark.parametrize("keys", [("s",), ("question_mark",), ("enter", "tab", "tab", "enter", "m")])
async def test_a_click_beside_a_dialog_that_only_shows_closes_it(lively: Room, keys: tuple[str, ...]) -> None:
    async with lively.dashboard() as driver:
        await driver.press(*keys[:-1])
        place = driver.place
        await driver.press(keys[-1])
        assert await driver.shows("esc ")
        await driver.pilot.click(".dialog", offset=(4, 1))
        await driver.settle()
        assert driver.place != place
        await driver.pilot.click(offset=(2, 1))
        await driver.settle()
        assert driver.place == place


@pytest.mark.parametrize(
    ("opening", "leaving"),
    [("s", "enter"), ("u", "escape"), ("question_mark", "escape"), ("colon", "escape")],
)
async def test_what_is_left_twice_is_left_once(lively: Room, opening: str, leaving: str) -> None:
    async with lively.dashboard() as driver:
        await driver.press(opening)
        dialog = driver.app.screen
        for _ in range(3):  # as of a double click, or a key held down: all are on their way before the first is done
            dialog.dismiss(None)
        await driver.press(leaving)
        assert isinstance(driver.app.screen, Place)


async def test_a_double_click_on_a_choice_is_one(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("s")
        options = driver.app.screen.query_one(OptionList)
        for _ in range(3):
            options.post_message(OptionList.OptionSelected(options, options.options[1], 1))
        await driver.settle()
        assert driver.place == "HomeScreen"
    assert lively.sql("SELECT COUNT(*) FROM event WHERE type = 'sequence.status'") == [(1,)]


async def test_the_palette_is_paged_also_before_there_is_anything_in_it(lively: Room) -> None:
    async with lively.dashboard() as driver:
        driver.app.action_command_palette()
        await driver.pilot._wait_for_screen()
        found = driver.app.screen.query_one(CommandList)
        found.display = False
        found.add_option("one").highlighted = 0
        await driver.pilot._wait_for_screen()
        await driver.app.screen.run_action("command_list('page_down')")
        await driver.press("escape")
        assert driver.place == "HomeScreen"


async def test_q_quits(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.pilot.press("q")
        await driver.pilot.pause()
        assert driver.app._exit


def test_a_question_nobody_waits_for_is_broken_off(room: Room) -> None:
    with room.project.opened() as store:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
        with pytest.raises(GivenUp), store.database.interruptible(lambda: True):
            store.database.value(endless)
        assert store.database.value("SELECT 1") == 1


def test_a_page_of_people_costs_what_it_shows(room: Room) -> None:
    from drip.store.board import _places

    with room.project.opened() as store:
        places: list[tuple[str, int | None]] = [("active", 1), ("active", None), ("paused", 1)]
        sql, params = _places(places, 1, 9, 9, {"beyond": "<", "order": "DESC"})
        plan = [row[3] for row in store.database.rows(f"EXPLAIN QUERY PLAN {sql}", *params, 9)]
    searches = [line for line in plan if line.startswith("SEARCH p ")]
    assert len(searches) == len(places), plan
    assert all("subscription_place (sequence_id=? AND status=? AND next_step_id=?" in line for line in searches), plan
    assert not any(line.startswith("SCAN p ") for line in plan), plan


def test_the_picture_of_the_manual_is_there() -> None:
    assert (Path(__file__).parents[2] / "drip/guide/dashboard.svg").exists()


async def test_people_of_all_sequences_are_found_in_the_palette(lively: Room) -> None:
    lively.subscribe("kate@example.com", "nurture")
    async with lively.dashboard() as driver:
        await driver.press("3", "colon")
        await driver.type("KAT")
        assert await driver.shows("kate@example.com in welcome")
        assert "kate@example.com in nurture" in driver.text
        assert "ada@example.com" not in driver.text
        await driver.press("enter")
        if driver.place == "CommandPalette":  # the first chooses, the second goes there
            await driver.press("enter")
        assert driver.place == "PersonScreen"
        assert "kate@example.com" in driver.text
