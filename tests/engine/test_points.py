"""The points of sending are all reached by the code, and say nothing when nobody listens."""

from __future__ import annotations

import re
from pathlib import Path

import drip
from drip.engine.points import Point, listen
from tests.lab import Lab, a_sequence, a_step


def test_every_point_is_somewhere_in_the_code() -> None:
    folder = Path(drip.__file__).parent
    sources = [path.read_text() for path in folder.rglob("*.py") if path.name != "points.py"]
    named = {name for source in sources for name in re.findall(r"\bPoint\.([A-Z_]+)\b", source)}
    assert named == {point.name for point in Point}


def test_a_pass_tells_where_it_is_in_order(lab: Lab) -> None:
    reached: list[Point] = []
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    listen(reached.append)
    try:
        lab.tick()
    finally:
        listen(None)
    order = [Point.REGISTERED, Point.CLAIMED, Point.COMPOSED, Point.MARK, Point.MARK_WRITTEN, Point.MARKED]
    order += [Point.RECORD_WRITTEN, Point.RECORDED, Point.TOLD, Point.LEFT]
    places = [reached.index(point) for point in order]
    assert places == sorted(places)
