"""What reaches the terminal: plain where nobody watches, and never raw."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from drip.cli.output import clean, clean_prose, count, distance
from tests.cli.conftest import Cli

EVIL = "A\x1b]0;owned\x07\x9b31m\u202eada"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë 🎉 日本", "Zoë 🎉 日本"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\rd", "a\\nb c\\x0dd"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\ud800", "\\ud800"),
        ("\0", "\\x00"),
    ],
)
def test_one_line_is_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_prose_keeps_its_lines() -> None:
    assert clean_prose("a\n\tb\x1b[0m") == "a\n\tb\\x1b[0m"


NOW = datetime(2026, 3, 27, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(seconds=90), "in 1m"),
        (timedelta(days=2, hours=3, minutes=4), "in 2d 3h"),
        (-timedelta(hours=1, minutes=5, seconds=6), "1h 5m ago"),
    ],
)
def test_distances_in_time_are_said_in_their_largest_unit(away: timedelta, words: str) -> None:
    assert distance(NOW + away, NOW) == words


def test_a_count_takes_the_plural_where_it_must() -> None:
    assert [count(number, "person", "people") for number in (0, 1, 2)] == ["0 people", "1 person", "2 people"]


@pytest.mark.parametrize("command", ["list", "subscribers", "log", "status", "show welcome", "plan", "suppress list"])
def test_nobody_watches_nothing_is_coloured(ada: Cli, command: str) -> None:
    result = ada(*command.split())
    assert "\x1b" not in result.stdout + result.stderr


def test_long_cells_are_whole_where_nobody_watches(cli: Cli) -> None:
    name = "N" * 500
    cli("subscribe", "welcome", "ada@example.com", "--name", name)
    assert name in cli("subscribers").stdout


def _on_a_terminal(cli: Cli, *args: str, **environment: str) -> str:
    master, terminal = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    with subprocess.Popen(
        ["drip", "-C", str(cli.folder), *args],
        stdin=terminal, stdout=terminal, stderr=terminal, env={**kept, "TERM": "xterm", **environment},
    ):  # fmt: skip
        os.close(terminal)
        output = b""
        while True:
            try:
                chunk = os.read(master, 10_000)
            except OSError:  # Linux says so when the other side is closed
                break
            if not chunk:
                break
            output += chunk
    os.close(master)
    return output.decode()


def test_a_terminal_gets_colours_unless_it_wants_none(ada: Cli) -> None:
    assert "\x1b[" in _on_a_terminal(ada, "list")
    assert "\x1b" not in _on_a_terminal(ada, "list", NO_COLOR="1")
    assert "\x1b" not in _on_a_terminal(ada, "list", TERM="dumb")


def test_what_people_wrote_never_reaches_the_terminal_raw(cli: Cli) -> None:
    cli("subscribe", "welcome", "ada@example.com", "--var", "x:=" + '"\\u001b]0;owned\\u0007"')
    cli.sql("UPDATE contact SET name = ?", EVIL)
    cli.sql("UPDATE event SET data = ?", json.dumps({"error": EVIL}))
    for command in (
        ["subscribers"], ["subscriber", "welcome", "ada@example.com"], ["log"], ["run", "--dry-run"],
        ["preview", "welcome", "hello", "--as", "ada@example.com"],
        ["preview", "welcome", "hello", "--eml", "--as", "ada@example.com"],
        ["-v", "run", "--once"],
    ):  # fmt: skip
        output = _on_a_terminal(cli, *command)
        for raw in ("\x1b]", "\x07", "\x9b", "\u202e"):
            assert raw not in output, (command, output)
    assert "\x1b" not in _on_a_terminal(cli, "subscribers", NO_COLOR="1")


def test_a_narrow_terminal_breaks_no_word(cli: Cli) -> None:
    cli("subscribe", "welcome", "ada.lovelace@example.com", "--name", "Ada")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", _on_a_terminal(cli, "subscribers", COLUMNS="40")).splitlines()
    assert plain[:2] == ["email      ada.lovelace@example.com", "name       Ada"]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", _on_a_terminal(cli, "list", COLUMNS="40")).splitlines()
    assert "cancelled  0" in plain
    wide = re.sub(r"\x1b\[[0-9;]*m", "", _on_a_terminal(cli, "list", COLUMNS="80")).splitlines()
    assert wide[0].split() == [
        "id",
        "status",
        "steps",
        "active",
        "paused",
        "completed",
        "cancelled",
        "failed",
        "next",
        "due",
    ]


def test_rich_words_in_data_are_only_words(cli: Cli) -> None:
    cli("subscribe", "welcome", "ada@example.com", "--name", "[bold red]Ada[/]")
    assert "[bold red]Ada[/]" in _on_a_terminal(cli, "subscribers", COLUMNS="200")


def test_json_is_json_on_a_terminal_too(ada: Cli) -> None:

    assert json.loads(_on_a_terminal(ada, "list", "--json"))[0]["id"] == "welcome"


def test_json_keeps_letters_as_they_are(cli: Cli) -> None:
    cli("subscribe", "welcome", "ada@example.com", "--name", "Zoë 日本")
    assert "Zoë 日本" in cli("subscribers", "--json").stdout
