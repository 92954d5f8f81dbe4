"""A sequence: funnel, preview, and people that are searched, filtered and paged."""

from __future__ import annotations

from threading import Event

import pytest
from textual import events
from textual.widgets import Input

from drip.store.store import Store
from drip.tui.messages import MorePeopleWanted
from drip.tui.queries import Desk, Funnel
from drip.tui.screens.place import Place
from drip.tui.screens.sequence import PAGE, SequenceScreen
from drip.tui.widgets.people import PeopleTable
from tests.tui.room import Driver, Room

WORDS = """\
name: Words
status: active
send_window: {days: mon-fri, hours: "09:00-17:00"}
steps:
  - {id: a, delay: 0, subject: S, body: B, send_window: null}
  - {id: b, delay: 36h, subject: S, body: B}
  - {id: c, delay: 1w, at: "10:00", when: "plan == 'free' and tags in [1]", subject: S, body: B}
"""


def crowd(room: Room, count: int, slug: str = "welcome") -> None:
    """That many people, by bulk SQL; named person000000@example.com and so on."""
    room.sql(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"
        " INSERT INTO contact (email, email_key, name, created_at, updated_at)"
        " SELECT printf('person%06d@example.com', i), printf('person%06d@example.com', i), 'Person ' || i, 1, 1 FROM n",
        count,
    )
    room.sql(
        "INSERT INTO subscription (sequence_id, contact_id, status, started_at, origin_at, next_step_id, next_send_at,"
        " created_at, updated_at) SELECT q.id, c.id, 'active', 1, 1, (SELECT MIN(t.id) FROM step t WHERE"
        " t.sequence_id = q.id), 4000000000000, 1, 1 FROM contact c, sequence q"
        " WHERE q.slug = ? AND c.email LIKE 'person%' ORDER BY c.id",
        slug,
    )


def shown(driver: Driver) -> list[str]:
    return [face.email for face in driver.app.screen.query_one(PeopleTable).faces]


async def test_the_funnel_counts_what_became_of_each_step(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("enter")
        lines = driver.text.splitlines()
    hello = next(line for line in lines if line.startswith("│ hello"))
    # after 0; waiting: paul (paused) and kate; sent: ada and grace; failed: fay; left: carl left before any step
    assert hello.split("│")[1].rstrip(" █").split() == ["hello", "at", "once", "2", "2", "0", "1", "0"]
    assert "████" in hello  # everybody it was sent to
    tips = next(line for line in lines if line.startswith("│ tips"))
    assert tips.split("│")[1].split() == ["tips", "3d", "10:00", "2", "0", "0", "0", "0"]


async def test_wide_terminals_say_windows_in_words(lively: Room) -> None:
    async with lively.dashboard(200, 60) as driver:
        await driver.press("enter")
        assert "mon-fri 09:00-17:00" in driver.text
        assert "████" in driver.text


async def test_the_preview_follows_the_cursor(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("enter")
        assert "Subject: Hello Grace" in driver.text
        assert "Hi Grace, welcome." in driver.text
        await driver.press("down")
        assert "Subject: Three tips" in driver.text


async def test_the_preview_has_three_views(room: Room) -> None:
    async with room.dashboard(200, 60) as driver:
        await driver.press("enter", "v")
        assert "<strong>welcome</strong>" in driver.text
        await driver.press("v")
        assert "Message-ID: <preview@example.com>" in driver.text
        assert "List-Unsubscribe" in driver.text


async def test_a_template_that_fails_says_why_in_the_preview(files: Room) -> None:
    files.write(
        "sequences/broken.yaml",
        "name: B\nstatus: draft\nsteps:\n  - {id: a, delay: 0, subject: S, body: '{{ 1/0 }}'}\n",
    )
    files.apply()
    async with files.dashboard() as driver:
        driver.app.show_sequence("broken")
        await driver.settle()
        assert "division by zero" in driver.text


async def test_narrow_terminals_swap_the_preview_in(room: Room) -> None:
    async with room.dashboard(80, 24) as driver:
        await driver.press("enter")
        assert "Subject: Hello" not in driver.text
        await driver.press("p")
        assert "Subject: Hello Grace" in driver.text
        await driver.press("p")
        assert "Subject: Hello" not in driver.text


async def test_people_are_read_in_pages_as_one_goes_down(room: Room) -> None:
    crowd(room, 250)
    async with room.dashboard() as driver:
        await driver.press("enter", "tab", "tab")
        assert len(shown(driver)) == PAGE
        assert shown(driver)[0] == "person000249@example.com"
        await driver.press("G")
        assert len(shown(driver)) == 2 * PAGE
        await driver.press("G", "G")
        assert len(shown(driver)) == 250
        assert len(set(shown(driver))) == 250
        await driver.press("r")
        assert len(shown(driver)) == 250  # reading again loses nobody


async def test_the_oldest_are_one_key_away(room: Room) -> None:
    crowd(room, 250)
    async with room.dashboard() as driver:
        await driver.press("enter", "o")
        assert shown(driver)[:2] == ["person000000@example.com", "person000001@example.com"]


async def test_people_are_found_as_one_types(room: Room) -> None:
    crowd(room, 250)
    room.subscribe("ada@example.com", name="Ada Lovelace")
    async with room.dashboard() as driver:
        await driver.press("enter", "slash")
        await driver.type("love")
        assert shown(driver) == ["ada@example.com"]
        await driver.press(*["backspace"] * 4)
        assert len(shown(driver)) == PAGE
        await driver.type("person00024")
        assert len(shown(driver)) == 10
        assert "10 matches" in driver.text
        await driver.type("x")
        assert shown(driver) == []
        await driver.press("escape")
        assert len(shown(driver)) == PAGE
        assert driver.place == "SequenceScreen"


async def test_names_are_shown_where_there_is_room_for_them(room: Room) -> None:
    room.subscribe("ada@example.com", name="Lovelace")
    async with room.dashboard(80, 24) as driver:
        await driver.press("enter")
        assert "Lovelace" in driver.text
        room.subscribe(f"{'a' * 40}@example.com", name="Somebody With A Long Name")
        await driver.press("r")
        assert "Lovelace" not in driver.text
        assert "at once" in driver.text


async def test_a_search_stops_at_a_page_and_goes_on_below(room: Room) -> None:
    crowd(room, 250)
    async with room.dashboard() as driver:
        await driver.press("enter", "slash")
        await driver.type("person")
        assert "+" in driver.text
        first = len(shown(driver))
        assert PAGE <= first < 250
        await driver.press("enter", "G", "G", "G")
        assert len(set(shown(driver))) == len(shown(driver)) == 250


async def test_what_is_typed_is_no_pattern(room: Room) -> None:
    room.subscribe("ada@example.com", name="100% [bold]_")
    async with room.dashboard() as driver:
        await driver.press("enter")
        driver.app.screen.query_one("#search", Input).value = "%"
        await driver.settle()
        assert shown(driver) == ["ada@example.com"]
        driver.app.screen.query_one("#search", Input).value = "%%"
        await driver.settle()
        assert shown(driver) == []


async def test_people_are_filtered_by_status_and_step(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("enter", "f", "f")
        assert shown(driver) == ["paul@example.com"]
        await driver.press("f", "f", "f")
        assert shown(driver) == ["fay@example.com"]
        await driver.press("f")
        assert len(shown(driver)) == 6
        await driver.press("down", "w")  # who waits for tips
        assert shown(driver) == ["grace@example.com", "ada@example.com"]
        await driver.press("up")  # the filter follows the cursor
        assert set(shown(driver)) == {"kate@example.com", "fay@example.com", "paul@example.com"}
        await driver.press("w")
        assert len(shown(driver)) == 6


async def test_nobody_yet_says_how_to_begin(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("enter")
        assert "u subscribes a person" in driver.text


async def test_a_sequence_that_is_gone_is_left(room: Room) -> None:
    async with room.dashboard() as driver:
        driver.app.show_sequence("gone")
        await driver.settle()
        assert driver.place == "HomeScreen"
        assert "there is no sequence 'gone'" in driver.said()[0]


async def test_a_click_opens_a_person(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("enter")
        screen = driver.app.screen
        assert isinstance(screen, SequenceScreen)
        await driver.pilot.click(PeopleTable, offset=(5, 1))
        await driver.settle()
        assert driver.place == "PersonScreen"


@pytest.mark.parametrize(
    ("setting", "key", "words"),
    [
        ("", "a", "right after the start"),
        ("", "b", "1 day 12 hours after a, within mon-fri 09:00-17:00"),
        ("", "c", "7 days after b, at 10:00, within mon-fri 09:00-17:00, if plan == 'free' and tags in [1]"),
        ("delay_from: start", "b", "1 day 12 hours after the start, within mon-fri 09:00-17:00"),
    ],
)
async def test_a_step_says_in_words_when_it_comes(bare: Room, setting: str, key: str, words: str) -> None:
    bare.write("sequences/words.yaml", f"{WORDS}{setting}\n")
    bare.apply()
    async with bare.dashboard(200, 40) as driver:
        await driver.press("enter", *["down"] * "abc".index(key))
        assert f" {key}: {words} ─" in driver.text


async def test_how_many_people_there_are_is_said(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("enter")
        assert "6 people" in driver.text
        await driver.press("f")
        assert "3 people, active" in driver.text
        await driver.press("f", "f", "o", "w")
        assert "nobody, completed, " in driver.text  # whatever there is no room for


async def test_what_is_typed_right_after_the_slash_is_searched_for(room: Room) -> None:
    room.subscribe("ada@example.com", name="Ada a/b")
    room.subscribe("grace@example.com", name="Grace")
    async with room.dashboard() as driver:
        await driver.press("enter")
        for character in ("slash", "a", "slash", "b"):  # in one burst, as they come from a paste or a fast hand
            driver.app.post_message(events.Key(character, "/" if character == "slash" else character))
        await driver.settle()
        assert driver.app.screen.query_one("#search", Input).value == "a/b"
        assert shown(driver) == ["ada@example.com"]
        assert "Search" not in driver.text.splitlines()[-1]  # there, the key is a letter like others
        await driver.press("escape")
        assert "/ Search" in driver.text.splitlines()[-1]


async def test_steps_are_there_before_anything_is_counted(lively: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, ask = Event(), Desk.funnel

    def slow(desk: Desk, store: Store, slug: str, *, count: bool = True) -> Funnel:
        assert not count or counted.wait(30)
        return ask(desk, store, slug, count=count)

    monkeypatch.setattr(Desk, "funnel", slow)
    async with lively.dashboard() as driver:
        await driver.pilot.press("enter")
        try:
            while not ("Subject: Hello Grace" in driver.text and "kate@example.com" in driver.text):
                await driver.pilot.pause(0.05)
            assert "…        …" in driver.text
        finally:
            counted.set()
        await driver.settle()
        assert "…        …" not in driver.text


async def test_reading_again_while_a_page_is_on_its_way_loses_no_page(room: Room) -> None:
    crowd(room, 3 * PAGE + 10)
    async with room.dashboard() as driver:
        await driver.press("enter", "tab", "tab", "G")
        screen = driver.app.screen
        assert isinstance(screen, SequenceScreen)
        assert len(screen.faces) == 2 * PAGE
        screen._read_more(MorePeopleWanted())
        screen.look_anew()
        await driver.settle()
        await driver.press("G", "G")
        assert len({face.id for face in screen.faces}) == len(screen.faces) == 3 * PAGE + 10


async def test_what_lies_under_a_sequence_or_a_dialog_asks_nothing(lively: Room) -> None:
    async with lively.dashboard() as driver:
        home = driver.app.screen
        await driver.press("enter")
        sequence = driver.app.screen
        assert isinstance(home, Place)
        assert isinstance(sequence, Place)
        home.tick()
        assert not list(driver.app.workers)
        assert not home.is_current
        await driver.press("s")
        sequence.tick()
        assert not list(driver.app.workers)
        assert sequence.is_current  # it is seen behind the dialog
