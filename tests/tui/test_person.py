"""A person: what was, what is to come in their zone, and each thing that can be done, asked about first."""

from __future__ import annotations

import pytest

from tests.tui.room import Driver, Room


async def open_person(driver: Driver, email: str, slug: str = "welcome") -> None:
    driver.app.show_person(slug, email)
    await driver.settle()


async def test_it_shows_past_future_and_variables_in_their_zone(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await open_person(driver, "ada@example.com")
        text = driver.text
    assert "America/New_York" in text
    assert "Mon 2026-03-02 04:00" in text  # 09:00 UTC
    assert "✓ sent" in text
    assert "Thu 2026-03-05 10:00  tips" in text  # ten o'clock in New York
    assert "if plan ==" in text
    assert "plan free" in text


async def test_pause_and_resume(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await open_person(driver, "ada@example.com")
        await driver.press("p")
        assert lively.status("ada@example.com") == "paused"
        assert "‖ paused" in driver.text
        await driver.press("p")
        assert driver.place == "Confirm"  # going on may send
        await driver.press("y")
    assert lively.status("ada@example.com") == "active"


@pytest.mark.parametrize(
    ("email", "key", "status"),
    [
        ("ada@example.com", "c", "cancelled"),
        ("ada@example.com", "S", "cancelled"),
        ("fay@example.com", "R", "active"),
        ("paul@example.com", "c", "cancelled"),
    ],
)
async def test_what_ends_or_sends_is_asked_about(lively: Room, email: str, key: str, status: str) -> None:
    before = lively.status(email)
    async with lively.dashboard() as driver:
        await open_person(driver, email)
        for no in ("n", "escape", "enter"):  # the focus is on no
            await driver.press(key)
            assert driver.place == "Confirm"
            await driver.press(no)
            assert lively.status(email) == before
        await driver.press(key, "y")
        assert lively.status(email) == status
        assert len(driver.said()) == 1


async def test_suppressing_suppresses(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await open_person(driver, "ada@example.com")
        await driver.press("S", "y")
        assert "never mailed: manual" in driver.text
    assert lively.sql("SELECT reason FROM suppression WHERE email_key = 'ada@example.com'") == [("manual",)]


async def test_the_wait_is_skipped(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await open_person(driver, "ada@example.com")
        await driver.press("w")
        assert "goes out with the next run" in driver.text
        await driver.press("y")
        assert "tips, due now" in driver.text
    due = lively.sql("SELECT next_send_at FROM subscription WHERE id = 1")[0][0]
    assert due == int(lively.now.timestamp() * 1000)


async def test_an_unknown_delivery_is_settled(unknown: Room) -> None:
    async with unknown.dashboard() as driver:
        await open_person(driver, "kate@example.com")
        assert "nobody knows" in driver.text
        await driver.press("y", "y")
        assert "is settled: sent" in driver.said()[0]
    assert unknown.sql("SELECT state FROM delivery WHERE subscription_id = 6") == [("sent",)]


async def test_only_what_can_be_done_has_a_key(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await open_person(driver, "carl@example.com")
        footer = driver.text.splitlines()[-1]
        assert "Cancel" not in footer
        assert "Pause" not in footer
        await driver.press("c", "p", "w", "R")
        assert driver.place == "PersonScreen"
    assert lively.status("carl@example.com") == "cancelled"


async def test_a_person_who_is_not_there_is_left(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await open_person(driver, "nobody@example.com")
        assert driver.place == "HomeScreen"
        assert "there is no subscriber" in driver.said()[0]


async def test_what_changed_meanwhile_is_refused_in_words(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await open_person(driver, "grace@example.com")
        await driver.press("c")
        lively.sql(
            "UPDATE subscription SET status = 'completed', next_step_id = NULL, next_send_at = NULL WHERE id = 2"
        )
        await driver.press("y")
        assert "there is nothing to cancel" in driver.said()[0]


async def test_the_next_message_is_shown_as_they_would_get_it(lively: Room) -> None:
    async with lively.dashboard() as driver:
        driver.app.show_person("welcome", "kate@example.com")
        await driver.settle()
        await driver.press("m")
        assert await driver.shows("To: Kate <kate@example.com>")
        assert "Subject: Hello" in driver.text
        await driver.press("v")
        assert await driver.shows("<strong>welcome</strong>")
        await driver.press("escape")
        assert driver.place == "PersonScreen"
        driver.app.back()
        driver.app.show_person("welcome", "carl@example.com")  # cancelled: nothing is to come
        await driver.settle()
        await driver.press("m")
        assert driver.place == "PersonScreen"
