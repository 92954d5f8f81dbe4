"""Attention: every trouble, with the key that cures it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tui.room import Room


async def test_nothing_is_a_good_place_to_be(room: Room) -> None:
    async with room.dashboard() as driver:
        await driver.press("2")
        assert await driver.shows("nothing needs you")


async def test_troubles_are_listed_with_their_cures(unknown: Room) -> None:
    unknown.write("sequences/odd.yaml", "name: Odd\nsteps:\n  - {id: a, dealy: 1d, subject: S, body: B}\n")
    async with unknown.dashboard(160, 40) as driver:
        assert "2 Attention (2)" in driver.text  # failed and unknown; the badge counts what the database knows
        await driver.press("2")
        lines = driver.text.splitlines()
    assert any("? unknown" in line and "y was sent · n was not" in line for line in lines)
    assert any("! failed" in line and "R retry" in line for line in lines)
    assert any("! error" in line and "e edit" in line for line in lines)
    assert any("554 5.7.1 not wanted here" in line for line in lines)


@pytest.mark.parametrize(("key", "state"), [("y", "sent"), ("n", "deferred")])
async def test_an_unknown_delivery_is_settled_here(unknown: Room, key: str, state: str) -> None:
    async with unknown.dashboard() as driver:
        await driver.press("2", key)
        assert driver.place == "Confirm"
        await driver.press("n")
        assert unknown.sql("SELECT state FROM delivery WHERE subscription_id = 6") == [("unknown",)]
        await driver.press(key, "y")
        assert "? unknown" not in driver.text
    assert unknown.sql("SELECT state FROM delivery WHERE subscription_id = 6") == [(state,)]


async def test_a_failed_one_is_tried_again(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("2", "R", "y")
        assert await driver.shows("nothing needs you")
    assert lively.status("fay@example.com") == "active"


async def test_keys_of_other_troubles_do_nothing(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("2", "n", "y", "e")
        assert driver.place == "AttentionScreen"


async def test_enter_opens_the_person(lively: Room) -> None:
    async with lively.dashboard() as driver:
        await driver.press("2", "enter")
        assert driver.place == "PersonScreen"
        assert "fay@example.com" in driver.text


async def test_a_dead_webhook_is_posted_again(lively: Room) -> None:
    lively.sql("INSERT INTO webhook_endpoint (url, created_at) VALUES ('https://hooks.example.com/in', 1)")
    lively.sql(
        "INSERT INTO webhook_delivery (event_id, endpoint_id, public_id, body, state, attempts, last_attempt_at,"
        " status) VALUES (2, 1, 'evt_1', x'7b7d', 'dead', 12, 1, 500)"
    )
    lively.sql("UPDATE subscription SET status = 'active' WHERE status = 'failed'")
    lively.sql("DELETE FROM delivery WHERE state = 'failed'")
    async with lively.dashboard() as driver:
        await driver.press("2")
        assert "hooks.example.com" in driver.text
        await driver.press("R")
        assert "the same octets" in driver.text
        await driver.press("y")
    assert lively.sql("SELECT state, attempts FROM webhook_delivery") == [("waiting", 0)]


async def test_a_file_with_a_problem_is_edited_at_its_line(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drip.tui.editor import command

    monkeypatch.setenv("EDITOR", "vim -n")
    assert command(Path("a.yaml"), 7) == ["vim", "-n", "+7", "a.yaml"]
    monkeypatch.setenv("VISUAL", "code")
    assert command(Path("a.yaml"), 7) == ["code", "--wait", "--goto", "a.yaml:7"]
    monkeypatch.setenv("VISUAL", sys.executable)
    assert command(Path("a.yaml"), 7) == [sys.executable, "a.yaml"]


async def test_all_that_failed_of_a_sequence_are_tried_again_at_once(lively: Room) -> None:
    lively.subscribe("gwen@example.com")
    lively.sql("UPDATE subscription SET status = 'failed', next_send_at = NULL WHERE id = 7")
    async with lively.dashboard() as driver:
        await driver.press("2", "A")
        assert await driver.shows("Try all 2 failed people of welcome again?")
        await driver.press("n")
        assert lively.status("gwen@example.com") == "failed"
        await driver.press("A")
        assert await driver.shows("Try all 2 failed people of welcome again?")
        await driver.press("y")
        assert await driver.shows("nothing needs you")
    assert {lively.status("fay@example.com"), lively.status("gwen@example.com")} == {"active"}
