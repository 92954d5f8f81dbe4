"""Variables of people, before they are stored: names that templates can use, and values that are JSON."""

from __future__ import annotations

import json
import math
import re
from typing import Any

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
"""What templates can name."""
DEEPEST = 20
"""Lists and objects inside of each other."""
LARGEST_NUMBER = 2**63 - 1024
"""The largest that is the same number to all who read JSON: SQLite's integers end there, and doubles skip the rest."""


def check_name(name: str) -> str:
    """The name of a variable, as it is.

    Raises:
        ValueError: templates could not use it; the text says what can be.
    """
    if not VARIABLE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't be a variable: use letters, digits and _, and begin with a letter")
    return name


def parse_json_value(text: str) -> Any:
    """Read one JSON value, as the store can keep it.

    Raises:
        ValueError: it is not JSON, or can't be kept; the text says why.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{text!r} is not JSON: {error}") from None
    return check_value(value)


def check_value(value: Any, depth: int = 0) -> Any:
    """A JSON value, as it is.

    Raises:
        ValueError: it can't be kept: not finite, too large a number, too deep, or text that has no UTF-8.
    """
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    match value:
        case str():
            _check_text(value)
        case float() if not math.isfinite(value):
            raise ValueError("a number is not finite")
        case int() if abs(value) > LARGEST_NUMBER:
            raise ValueError("a number is too large")
        case list():
            for item in value:
                check_value(item, depth + 1)
        case dict():
            for name, item in value.items():
                _check_text(name)
                check_value(item, depth + 1)
        case None | bool() | int() | float():
            pass
        case _:
            raise ValueError(f"{type(value).__name__} is not a JSON value")
    return value


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValueError("it has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a character (a lone surrogate)") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")
