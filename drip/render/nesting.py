"""How deep the elements of a page stand in each other. Nothing is repaired, and no tree is made.

What parsers do with tags that do not match can't be told without one; so this counts rather too much than too little.
"""

from __future__ import annotations

from collections.abc import Iterable

from drip.render.markup import OPTIONAL_END, VOID, Element, scan

DEEPEST = 200
"""Elements inside each other. From 254 on libxml2 drops all text; some thousands are the end of the process in
html5ever, and elements that are never closed are made again in every paragraph (WHATWG HTML, 13.2.4.3)."""

_ROWS = frozenset({"tbody", "td", "tfoot", "th", "thead", "tr"})
_ENDS = {
    **{name: frozenset({name}) for name in ("li", "option", "p")},
    **dict.fromkeys(("dd", "dt"), frozenset({"dd", "dt"})),
    **dict.fromkeys(("td", "th"), frozenset({"td", "th"})),
    "tr": frozenset({"td", "th", "tr"}),
    **dict.fromkeys(("tbody", "tfoot", "thead"), _ROWS),
}
"""What each of these ends when it begins right behind it."""
_DRAWN = frozenset(
    {"circle", "clippath", "defs", "ellipse", "g", "line", "lineargradient", "mask", "path", "polygon", "polyline"}
    | {"radialgradient", "rect", "stop", "svg", "symbol", "text", "tspan", "use"}
)
"""Elements of a drawing, the only place where `/>` closes one."""


def too_deep(page: str) -> bool:
    """Whether elements of a page stand more than `DEEPEST` deep in each other."""
    return any(depth > DEEPEST for depth in _depths(part for part in scan(page) if isinstance(part, Element)))


def _depths(elements: Iterable[Element]) -> Iterable[int]:
    inside: list[str] = []
    drawing = False
    for element in elements:
        name = element.name
        if name == "svg":
            drawing = not element.closing and not element.self_closed
        elif name not in _DRAWN:
            drawing = False
        if name in VOID or (element.self_closed and (drawing or name == "svg")):
            continue
        if element.closing:
            _close(inside, name)
            continue
        while inside and inside[-1] in _ENDS.get(name, ()):
            inside.pop()
        inside.append(name)
        yield len(inside)


def _close(inside: list[str], name: str) -> None:
    """Close an element, if there is nothing in it that must be closed before."""
    for place in range(len(inside) - 1, -1, -1):
        if inside[place] == name:
            del inside[place:]
            return
        if inside[place] not in OPTIONAL_END:
            return
