"""How values become columns and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drip.core.moments import from_milliseconds, to_milliseconds

# `json.dumps` with arguments makes an encoder for every call.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def ms(moment: datetime | None) -> int | None:
    """A moment as the column keeps it: milliseconds, rounded down."""
    return None if moment is None else to_milliseconds(moment)


def moment(milliseconds: int | None) -> datetime | None:
    """A column as a moment."""
    return None if milliseconds is None else from_milliseconds(milliseconds)


def dump(values: Mapping[str, Any]) -> str:
    """A JSON object as text."""
    return _encode(values) if values else "{}"


def load(text: str) -> dict[str, Any]:
    """Text as a JSON object."""
    if text == "{}":
        return {}
    values: dict[str, Any] = json.loads(text)
    return values


def marks(count: int) -> str:
    """So many placeholders, for IN (…); for none of them what is in nothing."""
    return ",".join("?" * count) or "NULL"


def given(*conditions: tuple[str, Any]) -> tuple[str, list[Any]]:
    """` AND …` for each condition whose value is not None, and the values: one for each `?` in it."""
    known = [(sql, value) for sql, value in conditions if value is not None]
    return (
        "".join(f" AND {sql}" for sql, _ in known),
        [value for sql, value in known for _ in range(sql.count("?"))],
    )
