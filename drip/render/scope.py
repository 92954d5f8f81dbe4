"""What a template sees: plain values only, so that nothing in scope can do anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """The value as str, int, float, bool, None, list or dict all the way down; anything else as its text.

    Raises:
        RecursionError: it is nested too deeply, or contains itself.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Mapping):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _text(value)


def language_of(variables: Mapping[str, Any]) -> str | None:
    """The tag of BCP 47 in the variable `language` or `locale`; None when neither has one."""
    for name in ("language", "locale"):
        value = variables.get(name)
        if isinstance(value, str) and _LANGUAGE.fullmatch(value):
            return value.replace("_", "-")
    return None


def _text(value: Any) -> str:
    # Joining makes an exact str: a subclass such as Markup would not be escaped.
    return "".join(str(value))
