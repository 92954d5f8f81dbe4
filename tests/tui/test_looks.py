"""How the places look at two sizes, held by pictures; and the picture in the manual, from the real program.

`DRIP_LOOKS=write python -m pytest tests/tui/test_looks.py` draws them anew. Styles are compared with the version of
Textual that drew them; with another one, the words are.
"""

from __future__ import annotations

import difflib
import html
import os
import re
from pathlib import Path

import pytest
import textual

from tests.tui.room import Room

LOOKS = Path(__file__).parent / "looks"
GUIDE = Path(__file__).parents[2] / "drip" / "guide" / "dashboard.svg"
PLACES = {
    "home": (),
    "sequence": ("enter",),
    "person": ("enter", "tab", "tab", "down", "enter"),
    "attention": ("2",),
    "files": ("3",),
    "confirm": ("2", "y"),
    "help": ("question_mark",),
}
SIZES = ((80, 24), (120, 40))


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_place_looks_as_it_did(busy: Room, place: str, size: tuple[int, int]) -> None:
    picture = await _picture(busy, PLACES[place], size)
    assert _difference(LOOKS / f"{place}-{size[0]}x{size[1]}.svg", picture) == []


async def test_the_light_theme_looks_as_it_did(busy: Room) -> None:
    picture = await _picture(busy, ("t", "enter"), (120, 40))
    assert _difference(LOOKS / "sequence-light-120x40.svg", picture) == []


async def test_the_picture_in_the_manual_is_the_program(busy: Room) -> None:
    assert _difference(GUIDE, await _picture(busy, (), (120, 32))) == []


async def _picture(room: Room, keys: tuple[str, ...], size: tuple[int, int]) -> str:
    async with room.dashboard(*size) as driver:
        await driver.press(*keys)
        svg = driver.app.export_screenshot(title="drip dashboard", simplify=True)
    # Nothing is loaded from elsewhere when it is looked at.
    svg = re.sub(r"\s*@font-face \{[^}]*\}", "", svg)
    return f"<!-- Textual {textual.__version__} -->\n{re.sub(r'terminal-[0-9]+', 'terminal', svg)}"


def _difference(path: Path, now: str) -> list[str]:
    """The lines in which a picture differs from the one that is kept: of its words, where another Textual drew that."""
    if os.environ.get("DRIP_LOOKS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(now, "utf-8")
    before = path.read_text("utf-8")
    same = before.partition("\n")[0] == now.partition("\n")[0]
    lines = str.splitlines if same else _words
    return list(difflib.unified_diff(lines(before), lines(now), path.name, "now: DRIP_LOOKS=write draws it anew"))


def _words(svg: str) -> list[str]:
    return [html.unescape(text).replace("\xa0", " ").strip() for text in re.findall(r"<text [^>]*>([^<]*)</text>", svg)]
