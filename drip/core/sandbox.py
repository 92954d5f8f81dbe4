"""The one Jinja2 sandbox: for expressions here, and for templates in `drip.render`.

Importing this module imports Jinja2; import it inside the function that needs it.
"""

from __future__ import annotations

from typing import Any

from jinja2 import ChainableUndefined, Undefined
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEXT = 512 * 1024
"""Characters that an operator may make at once; `'a' * 10**9` is refused instead of made."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, with the operators intercepted that can make huge values."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse powers and products that would be huge."""
        if operator == "**" and not (_small(left) and _small(right) and abs(right) <= 64):
            raise SecurityError("a power of large numbers")
        if operator == "*" and _repeated_length(left, right) > LONGEST_TEXT:
            raise SecurityError("a text repeated too often")
        if operator == "%" and isinstance(left, (str, bytes)):
            raise SecurityError("% formatting")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """As Jinja2's, and no `str.format`: its widths make texts of any length."""
        if isinstance(obj, str) and attr in {"format", "format_map", "ljust", "rjust", "center", "zfill"}:
            return False
        return bool(super().is_safe_attribute(obj, attr, value))


def make_environment(
    *, autoescape: bool = False, undefined: type[Undefined] = ChainableUndefined, kind: type[Sandbox] = Sandbox
) -> Sandbox:
    """A sandbox; filters that make texts of any length are left out.

    Jinja2's `trim_blocks` is off: it would join the lines of `Hi {% if name %}{{ name }}{% endif %}` and the next.
    `drip.render` takes out the lines that hold nothing but tags.
    """
    environment = kind(autoescape=autoescape, undefined=undefined, keep_trailing_newline=True)
    for name in ("format", "center", "indent", "xmlattr", "pprint", "random"):
        environment.filters.pop(name, None)
    environment.globals.clear()
    environment.globals["range"] = _short_range
    return environment


def _short_range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > 1000:
        raise SecurityError("a range over more than 1,000")
    return numbers


def _small(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= 1_000_000


def _repeated_length(left: Any, right: Any) -> int:
    for text, count in ((left, right), (right, left)):
        if isinstance(text, (str, bytes, list, tuple)) and isinstance(count, int):
            return len(text) * max(count, 0)
    if isinstance(left, int) and isinstance(right, int):
        return (left.bit_length() + right.bit_length()) // 4
    return 0
