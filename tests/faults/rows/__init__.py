"""The thirty rows, by number."""

from __future__ import annotations

from tests.faults.registry import Row
from tests.faults.rows import connections, kills, overlap, points

ROWS: dict[int, Row] = {row.number: row for module in (kills, points, overlap, connections) for row in module.ROWS}
