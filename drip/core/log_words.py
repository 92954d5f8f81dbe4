"""Events in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEFT_OUT = ("at", "event", "step", "email", "until", "rule", "was", "was_name", "message_id")


def data_words(data: Mapping[str, Any]) -> str:
    """What else there is to say of an event: `window`, `450 4.7.1 try later (attempt 2)`."""
    words = []
    for name, value in data.items():
        if name in _LEFT_OUT or value in (None, ""):
            continue
        if name == "code" and value in str(data.get("error", "")):
            continue  # the server's words begin with it
        match name:
            case "reason" | "error" | "answer" | "smtp_code" | "status":
                words.append(str(value))
            case "variables":
                words.append(", ".join(map(str, value)))
            case "sent":
                words.append("it was sent" if value else "it was not sent")
            case "attempts":
                words.append(f"attempt {value}" if value not in (0, 1) else "")
            case _:
                words.append(f"{name} {value}")
    return "  ".join(word for word in words if word)


def short(event: str) -> str:
    """`sent` of `sequence.step.sent`."""
    return _CALLED.get(event) or event.rpartition(".")[2]


_CALLED = {"suppression.added": "suppressed", "suppression.removed": "allowed"}
"""Events whose last word alone does not say what happened."""
