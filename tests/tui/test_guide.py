"""The keys in the manual are those of the program. `DRIP_LOOKS=write` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.binding import Binding, BindingsMap

from drip.tui.app import Dashboard
from drip.tui.dialogs.confirm import Confirm
from drip.tui.screens.attention import AttentionScreen
from drip.tui.screens.files import FilesScreen
from drip.tui.screens.home import HomeScreen
from drip.tui.screens.person import PersonScreen
from drip.tui.screens.place import Place
from drip.tui.screens.sequence import SequenceScreen
from drip.tui.widgets.table import Table

PAGE = Path(__file__).parents[2] / "drip" / "guide" / "dashboard.md"
PLACES: tuple[tuple[str, type[Dashboard] | type[Place] | type[Table]], ...] = (
    ("Everywhere", Dashboard),
    ("In every place", Place),
    ("In every table", Table),
    ("Home", HomeScreen),
    ("A sequence", SequenceScreen),
    ("A person", PersonScreen),
    ("Attention", AttentionScreen),
    ("Files", FilesScreen),
)
SHOWN = {"question_mark": "?", "slash": "/", "colon": ":", "escape": "esc", "enter": "Enter"}


def _bindings(owner: type[Dashboard] | type[Place] | type[Table]) -> Iterator[Binding]:
    """Its own, each action once, with all its keys."""
    keys: dict[str, list[str]] = {}
    found: dict[str, Binding] = {}
    for binding in BindingsMap(owner.__dict__["BINDINGS"]):
        one = binding[1]
        found.setdefault(one.action, one)
        keys.setdefault(one.action, []).append(SHOWN.get(one.key, one.key))
    for action, one in found.items():
        yield Binding(" ".join(keys[action]), action, one.description, tooltip=one.tooltip)


def _table() -> str:
    parts = []
    for title, owner in PLACES:
        lines = [f"### {title}", "", "| key | | |", "|---|---|---|"]
        for one in _bindings(owner):
            shown = " ".join(f"`{key}`" for key in one.key.split())
            lines.append(f"| {shown} | {one.description} | {one.tooltip} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def test_the_manual_has_the_keys_of_every_place() -> None:
    page = PAGE.read_text("utf-8")
    before, heading, _ = page.partition("### Everywhere")
    if os.environ.get("DRIP_LOOKS") == "write":
        PAGE.write_text(before + _table(), "utf-8")
    assert heading
    assert PAGE.read_text("utf-8") == before + _table()


@pytest.mark.parametrize("owner", [owner for _, owner in PLACES])
def test_what_sends_or_ends_says_that_it_asks(owner: type[Dashboard]) -> None:
    asking = ("retry", "retry_all", "cancel", "suppress", "settle(True)", "settle(False)", "replay", "apply", "resume")
    for binding in _bindings(owner):
        if binding.action in (*asking, "skip_wait"):
            assert binding.tooltip.endswith("(asks)"), binding


def test_a_question_is_answered_by_no_unless_one_says_yes() -> None:
    keys = {binding.key: binding.action for _, binding in BindingsMap(Confirm.BINDINGS)}
    assert [key for key, action in keys.items() if action == "answer(True)"] == ["y"]
