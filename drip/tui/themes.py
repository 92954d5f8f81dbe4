"""The two themes, and what red, green and the others are in each: one palette for signs and frames."""

from __future__ import annotations

from rich.color import Color
from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

DARK = Theme(
    name="drip-dark",
    primary="#5fafd7",
    secondary="#87afaf",
    accent="#ffaf5f",
    success="#87d787",
    warning="#ffd75f",
    error="#ff8787",
    foreground="#d7dde4",
    background="#12161b",
    surface="#171c22",
    panel="#212932",
    dark=True,
    variables={"block-cursor-text-style": "none", "footer-key-foreground": "#ffaf5f"},
)
LIGHT = Theme(
    name="drip-light",
    primary="#005f87",
    secondary="#4e6e6e",
    accent="#af5f00",
    success="#006b2b",
    warning="#8a6100",
    error="#b00020",
    foreground="#1c2126",
    background="#f7f7f4",
    surface="#ffffff",
    panel="#e4e7e8",
    dark=False,
    variables={"block-cursor-text-style": "none", "footer-key-foreground": "#af5f00"},
)


def _signs(theme: Theme, normal: str, bright: str) -> TerminalTheme:
    """Colours by the names of a terminal: black, red, green, yellow, blue, magenta, cyan, white."""
    assert theme.background is not None
    assert theme.foreground is not None
    both = [[_rgb(f"#{code}") for code in row.split()] for row in (normal, bright)]
    return TerminalTheme(_rgb(theme.background), _rgb(theme.foreground), *both)


def _rgb(code: str) -> tuple[int, int, int]:
    red, green, blue = Color.parse(code).get_truecolor()
    return red, green, blue


DARK_SIGNS = _signs(
    DARK,
    "12161b ff8787 87d787 ffd75f 5fafd7 d7afff 7fcccc d7dde4",
    "7a8692 ffafaf afe7af ffe7a7 87c7e7 e7c7ff a7e0e0 ffffff",
)
LIGHT_SIGNS = _signs(
    LIGHT,
    "1c2126 b00020 006b2b 8a6100 005f87 7b2d9b 006d77 6b747c",
    "6b747c c82038 1e8045 a07410 20739c 9048af 20808a 1c2126",
)
