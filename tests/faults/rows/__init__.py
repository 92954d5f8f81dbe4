"""The thirty rows, by number."""

from __future__ import annotations

from tests.faults.registry import Row
from tests.faults.rows import (
    clocks,
    connections,
    consent,
    durability,
    kills,
    messages,
    overlap,
    points,
    starts,
    stops,
    templates,
)

MODULES = (
    kills,
    points,
    starts,
    overlap,
    connections,
    consent,
    durability,
    clocks,
    messages,
    templates,
    stops,
)
ROWS: dict[int, Row] = {row.number: row for module in MODULES for row in module.ROWS}
