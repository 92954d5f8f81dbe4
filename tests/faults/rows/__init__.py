"""The thirty rows, by number."""

from __future__ import annotations

from tests.faults.registry import Row
from tests.faults.rows import (
    busy,
    clocks,
    connections,
    consent,
    disk,
    durability,
    edits,
    files,
    forgery,
    http,
    imports,
    kills,
    legality,
    messages,
    overlap,
    points,
    restored,
    starts,
    stops,
    templates,
    webhooks,
)

MODULES = (
    kills,
    points,
    restored,
    starts,
    overlap,
    connections,
    consent,
    disk,
    durability,
    disk,
    busy,
    edits,
    clocks,
    files,
    messages,
    templates,
    forgery,
    webhooks,
    http,
    imports,
    stops,
    legality,
)
ROWS: dict[int, Row] = {row.number: row for module in MODULES for row in module.ROWS}
