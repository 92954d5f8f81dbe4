from __future__ import annotations

from tests.cli.conftest import Cli


def test_a_bar_per_day_and_what_is_held(ada: Cli) -> None:
    ada("subscribe", "welcome", "bob@example.com")
    ada("pause", "welcome", "bob@example.com")
    rows = ada("agenda").stdout.splitlines()
    assert rows[0].endswith("  1  " + "█" * 40)
    assert rows[1].split() == ["1", "welcome/hello"]
    assert sum("█" in row for row in rows) == 2  # today, and in three days
    assert rows[-2:] == ["held", "  welcome: 1 paused: `drip resume welcome EMAIL`"]
    assert len([row for row in rows if row[:3].isalpha()]) in (8, 9)  # seven days from now, and "held"


def test_the_agenda_as_json(ada: Cli) -> None:
    found = ada.json("agenda", "--next", "1d")
    assert found["days"][0]["total"] == 1
    assert found["days"][0]["steps"] == [{"sequence_id": "welcome", "step": "hello", "due": 1, "following": 0}]
    assert found["held"] == []


def test_an_empty_agenda_says_that_nobody_waits(cli: Cli) -> None:
    assert "nobody waits" in cli("agenda").stderr


def test_who_waits_for_later_is_not_said_to_wait_for_nothing(cli: Cli) -> None:
    cli("subscribe", "welcome", "ada@example.com", "--at", "2090-01-02T00:00:00Z")
    said = cli("agenda").stderr
    assert "the next is due later: Mon 2090-01-02 01:00 (in " in said
    assert "nobody" not in said
