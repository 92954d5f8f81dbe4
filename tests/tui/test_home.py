"""Home: sequences, figures, log, and what it says where there is nothing."""

from __future__ import annotations

import re

from drip.tui.widgets.keys import KeyLine
from tests.tui.room import Room


async def test_it_shows_sequences_people_and_what_happened(lively: Room) -> None:
    async with lively.dashboard() as driver:
        text = driver.text
    assert "● active  welcome" in text
    assert "○ draft   nurture" in text
    assert "sent today" in text
    assert re.search(r"✓ sent +ada@example.com +welcome/hello", text)
    assert "! 1" in text  # failed, without a colour
    row = next(line for line in text.splitlines() if "● active  welcome" in line)
    # active, paused, completed, cancelled, failed
    assert row.split()[4:9] == ["3", "1", "0", "1", "1"]


async def test_narrow_terminals_see_fewer_columns(lively: Room) -> None:
    async with lively.dashboard(80, 24) as driver:
        assert "completed" not in driver.text
        assert "last 24 h" in driver.text


async def test_wide_terminals_see_charts(lively: Room) -> None:
    async with lively.dashboard(200, 60) as driver:
        assert "sent in the last 24 hours: 2" in driver.text
        assert "Welcome aboard" in driver.text


async def test_without_a_database_it_says_what_to_do(files: Room) -> None:
    async with files.dashboard() as driver:
        assert "there is no database yet" in driver.text
        assert "press 3" in driver.text
    assert not (files.folder / "drip.db").exists()


async def test_an_empty_database_says_what_to_do(bare: Room) -> None:
    bare.apply()
    async with bare.dashboard() as driver:
        assert "no sequence is applied yet" in driver.text


async def test_what_happens_meanwhile_is_seen(lively: Room) -> None:
    async with lively.dashboard() as driver:
        lively.subscribe("new@example.com")
        await driver.press("r")
        assert re.search(r"\+ subscribed new@example.com +welcome", driver.text)
        assert driver.text.count("ada@example.com") == 2  # subscribed, sent: no line twice


async def test_enter_opens_a_sequence_and_escape_comes_back(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("enter")
        assert driver.place == "SequenceScreen"
        assert "Welcome aboard" in driver.text
        await driver.press("escape")
        assert driver.place == "HomeScreen"


async def test_status_is_chosen_in_a_dialog(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("s", "down", "enter")
        assert "welcome is draft now" in driver.said()
    assert room.sql("SELECT status FROM sequence WHERE slug = 'welcome'") == [("draft",)]


async def test_a_person_is_subscribed_from_a_form(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("u")
        await driver.type("nobody")
        await driver.press("enter")
        assert "!" in driver.text  # what is wrong is said in the dialog
        await driver.press(*["backspace"] * 6)
        await driver.type("ada@example.com")
        await driver.press("tab")
        await driver.type("Ada")
        await driver.press("tab")
        await driver.type("plan=pro seats:=5")
        await driver.press("enter")
        assert driver.said() == ["ada@example.com is subscribed to welcome"]
    assert room.sql("SELECT variables FROM subscription") == [('{"plan":"pro","seats":5}',)]


async def test_escape_leaves_a_form_without_a_trace(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("u", "escape")
        assert driver.place == "HomeScreen"
    assert room.sql("SELECT COUNT(*) FROM subscription") == [(0,)]


async def test_the_log_begins_at_its_end_and_stays_where_one_went(busy: Room) -> None:
    for size in ((80, 24), (120, 40)):
        async with busy.dashboard(*size) as driver:
            newest = re.compile(r"✓ sent +evelyn\+59@example.com")
            assert newest.search(driver.text)
            await driver.press("l", "home")
            assert not newest.search(driver.text)
            busy.subscribe(f"new{size[0]}@example.com")
            await driver.press("r")
            assert not newest.search(driver.text)
            await driver.press("end")
            assert f"new{size[0]}@example.com" in driver.text


async def test_the_bottom_line_never_loses_help_and_the_way_out(busy: Room) -> None:
    for width in (80, 120, 200):
        async with busy.dashboard(width, 24) as driver:
            await driver.press("enter")
            bottom = driver.text.splitlines()[-1]
            assert bottom.startswith(" ⏎ Open  esc Back")
            assert "? Help" in bottom
            assert bottom.rstrip().endswith("q" if width == 80 else "q Quit")
            assert ("…" in bottom) == (width < 200)  # what does not fit is on the help screen


async def test_a_line_of_the_log_that_is_cut_says_so(room: Room) -> None:
    for width in range(80, 100):
        async with room.dashboard(width, 24) as driver:
            assert re.search(r"welcome +(revision 1 |[revision 1]*… )", driver.text), driver.text


async def test_a_key_in_the_bottom_line_is_clicked(busy: Room) -> None:
    async with busy.dashboard(80, 24) as driver:
        bottom = driver.text.splitlines()[-1]
        await driver.pilot.click(KeyLine, offset=(bottom.index("Subscribe"), 0))
        await driver.settle()
        assert "Subscribe a person to onboarding" in driver.text


async def test_making_a_sequence_active_says_who_is_overdue(room: Room) -> None:
    room.subscribe("ada@example.com", "nurture")
    room.move("2d")
    async with room.dashboard() as driver:
        await driver.press("down", "s", "up", "enter")
        assert await driver.shows("1 person is overdue, and would get the next step with the next run.")
        await driver.press("n")
        assert room.sql("SELECT status FROM sequence WHERE slug = 'nurture'") == [("draft",)]
        await driver.press("s", "up", "enter", "y")
        assert await driver.shows("● active  nurture")
    assert room.sql("SELECT status FROM sequence WHERE slug = 'nurture'") == [("active",)]
