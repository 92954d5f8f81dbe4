"""A definition as JSON and back: what a revision stores, and what two revisions are compared by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import time, timedelta
from functools import lru_cache
from typing import Any

from drip.core.address import Address
from drip.core.sequence import (
    Definition,
    DelayFrom,
    Layout,
    Resubscribe,
    SendWindow,
    Sequence,
    SequenceStatus,
    Source,
    Step,
    Template,
    Variable,
)


def definition_to_json(definition: Definition) -> str:
    """Canonical JSON: equal definitions give equal text. The status is left out: it is not content."""
    return json.dumps(
        {
            "sequence": _sequence_to_dict(definition.sequence),
            "templates": {name: _plain(template) for name, template in sorted(definition.templates.items())},
            "layouts": {name: layout.html for name, layout in sorted(definition.layouts.items())},
        },
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )


@lru_cache(16)
def definition_from_json(text: str, status: SequenceStatus = SequenceStatus.DRAFT) -> Definition:
    """Read what `definition_to_json` wrote; `status` is the one the store holds now. Whoever asks again shares it."""
    data = json.loads(text)
    return Definition(
        sequence=_sequence_from_dict(data["sequence"], status),
        templates={
            name: Template(**{**value, "source": Source(value["source"])} if "source" in value else value)
            for name, value in data["templates"].items()
        },
        layouts={name: Layout(name, html) for name, html in data["layouts"].items()},
    )


def window_to_dict(window: SendWindow) -> dict[str, Any]:
    """`{"days": [0, 1], "opens": "09:00", "closes": "18:00" or null}`."""
    return {
        "days": sorted(window.days),
        "opens": _clock(window.opens),
        "closes": None if window.closes is None else _clock(window.closes),
    }


def _window_from_dict(data: Mapping[str, Any]) -> SendWindow:
    closes = data["closes"]
    return SendWindow(
        days=frozenset(data["days"]),
        opens=time.fromisoformat(data["opens"]),
        closes=None if closes is None else time.fromisoformat(closes),
    )


def _clock(moment: time) -> str:
    return moment.strftime("%H:%M")


def _sequence_to_dict(sequence: Sequence) -> dict[str, Any]:
    data = _plain(sequence)
    data["steps"] = [_plain(step) for step in sequence.steps]
    if sequence.variables:
        data["variables"] = {name: _plain(variable) for name, variable in sorted(sequence.variables.items())}
    return data


def _sequence_from_dict(data: dict[str, Any], status: SequenceStatus) -> Sequence:
    known = dict(data)
    _revive(known)
    known["status"] = status
    known["steps"] = tuple(_step_from_dict(step) for step in data.get("steps", ()))
    known["variables"] = {name: Variable(**value) for name, value in data.get("variables", {}).items()}
    if "delay_from" in known:
        known["delay_from"] = DelayFrom(known["delay_from"])
    if "resubscribe" in known:
        known["resubscribe"] = Resubscribe(known["resubscribe"])
    if isinstance(known.get("stale_after"), (int, float)):
        known["stale_after"] = timedelta(seconds=known["stale_after"])
    return Sequence(**known)


def _step_from_dict(data: dict[str, Any]) -> Step:
    known = dict(data)
    _revive(known)
    known["delay"] = timedelta(seconds=known["delay"])
    if known.get("at") is not None:
        known["at"] = time.fromisoformat(known["at"])
    if "headers" in known:
        known["headers"] = tuple((name, value) for name, value in known["headers"])
    return Step(**known)


def _revive(known: dict[str, Any]) -> None:
    for name in ("sender", "reply_to"):
        if known.get(name) is not None:
            known[name] = Address(**known[name])
    if isinstance(known.get("send_window"), dict):
        known["send_window"] = _window_from_dict(known["send_window"])


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, as JSON values."""
    data: dict[str, Any] = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if field.name in ("steps", "variables", "status") or content == field.default:
            continue
        data[field.name] = _plain_value(content)
    return data


def _plain_value(content: Any) -> Any:
    if isinstance(content, timedelta):
        seconds = content.total_seconds()
        return int(seconds) if seconds == int(seconds) else seconds
    if isinstance(content, time):
        return _clock(content)
    if isinstance(content, SendWindow):
        return window_to_dict(content)
    if isinstance(content, Address):
        return {"email": content.email, "name": content.name}
    if isinstance(content, tuple):
        return [list(pair) for pair in content]
    return content
