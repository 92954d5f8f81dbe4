"""The one Jinja2 sandbox: for expressions here, and for templates in `drip.render`.

Importing this module imports Jinja2; import it inside the function that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import ChainableUndefined, Undefined, filters, pass_environment, pass_eval_context
from jinja2.environment import Environment
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEXT = 512 * 1024
"""Characters, or things in a list, that an operator or filter may make at once; `'a' * 10**9` is refused, not made."""

MOST_ROUNDS = 1000
"""Of a range, and of the rows or columns that a list is laid out in."""

_REMOVED_FILTERS = ("format", "center", "indent", "xmlattr", "pprint", "random")

# fmt: off
_METHODS = frozenset({
    "capitalize", "casefold", "count", "endswith", "find", "get", "index", "isalnum", "isalpha", "isascii",
    "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle",
    "isupper", "items", "keys", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rfind",
    "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase",
    "title", "upper", "values",
})
# fmt: on
"""What plain values can be asked: all that looks, or makes something no larger."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, which also refuses to make huge values, and says so when an attribute is not for templates."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse powers, products and sums that would be huge."""
        if operator == "**" and not (_small(left) and _small(right) and abs(right) <= 64):
            raise SecurityError("a power of large numbers")
        if operator == "*" and _product_size(left, right) > LONGEST_TEXT:
            raise SecurityError("a text repeated too often")
        if operator == "+" and _is_series(left) and _is_series(right) and len(left) + len(right) > LONGEST_TEXT:
            raise SecurityError("too long a text")
        if operator == "%" and isinstance(left, (str, bytes)):
            raise SecurityError("% formatting")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """As Jinja2's, and of the methods of plain values only those that can't make texts of any length."""
        plain = isinstance(obj, (str, bytes, int, float, list, tuple, dict, range))
        if plain and callable(value) and attr not in _METHODS:
            return False
        return bool(super().is_safe_attribute(obj, attr, value))

    def wrap_str_format(self, value: Any) -> None:
        """Jinja2 would hand out a `str.format` of its own before it asks whether the attribute is safe."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """Refuse at once: a `ChainableUndefined` would pass for a missing variable."""
        if isinstance(obj, Undefined):
            return obj
        raise SecurityError(f"{attribute!r} of a {type(obj).__name__} is not for templates")


def make_environment(
    *, autoescape: bool = False, undefined: type[Undefined] = ChainableUndefined, kind: type[Sandbox] = Sandbox
) -> Sandbox:
    """A sandbox; filters that make texts of any length are left out.

    Jinja2's `trim_blocks` is off: it would join the lines of `Hi {% if name %}{{ name }}{% endif %}` and the next.
    `drip.render` takes out the lines that hold nothing but tags.
    """
    environment = kind(autoescape=autoescape, undefined=undefined, keep_trailing_newline=True)
    for name in _REMOVED_FILTERS:
        environment.filters.pop(name, None)
    environment.filters.update(_BOUNDED_FILTERS)
    environment.globals.clear()
    environment.globals["range"] = _short_range
    return environment


def _short_range(*arguments: int) -> range:
    numbers = range(*arguments)
    if numbers[MOST_ROUNDS:]:
        raise SecurityError(f"a range over more than {MOST_ROUNDS}")
    return numbers


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Iterable[list[Any]]:
    return filters.do_batch(value, _few(linecount), fill_with)


def _slice(value: Iterable[Any], slices: int, fill_with: Any = None) -> Iterable[list[Any]]:
    return filters.sync_do_slice(list(value), _few(slices), fill_with)


@pass_eval_context
def _join(eval_ctx: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    items = list(value)
    if _size(items) + len(items) * len(str(d)) > LONGEST_TEXT:
        raise SecurityError("too long a text")
    return filters.sync_do_join(eval_ctx, items, d, attribute)


@pass_eval_context
def _replace(eval_ctx: EvalContext, s: str, old: str, new: str, count: int | None = None) -> str:
    if len(str(s)) + str(s).count(str(old)) * len(str(new)) > LONGEST_TEXT:
        raise SecurityError("too long a text")
    return filters.do_replace(eval_ctx, s, old, new, count)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    return filters.do_round(value, max(-20, min(precision, 20)), method)


@pass_environment
def _sum(
    environment: Environment, iterable: Iterable[Any], attribute: str | int | None = None, start: float = 0
) -> Any:
    if not isinstance(start, (int, float)):
        raise SecurityError("a sum of anything but numbers")
    return filters.sync_do_sum(environment, iterable, attribute, start)


@pass_eval_context
def _tojson(eval_ctx: EvalContext, value: Any) -> str:
    return filters.do_tojson(eval_ctx, value)


@pass_eval_context
def _urlize(eval_ctx: EvalContext, value: str, trim_url_limit: int | None = None) -> str:
    return filters.do_urlize(eval_ctx, value, trim_url_limit)


@pass_environment
def _wordwrap(environment: Environment, s: str, width: int = 79, break_long_words: bool = True) -> str:
    return filters.do_wordwrap(environment, s, width, break_long_words)


_BOUNDED_FILTERS: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "slice": _slice,
    "sum": _sum,
    "tojson": _tojson,
    "urlize": _urlize,
    "wordwrap": _wordwrap,
}
"""Jinja2's own, without the arguments that make a large value of a small one."""


def _few(count: int) -> int:
    if count > MOST_ROUNDS:
        raise SecurityError(f"more than {MOST_ROUNDS} rows or columns")
    return count


def _small(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= 1_000_000


def _is_series(value: Any) -> bool:
    return isinstance(value, (str, bytes, list, tuple))


def _product_size(left: Any, right: Any) -> int:
    for series, count in ((left, right), (right, left)):
        if _is_series(series) and isinstance(count, int):
            return _size(series) * max(count, 0)
    if isinstance(left, int) and isinstance(right, int):
        return (left.bit_length() + right.bit_length()) // 4
    return 0


def _size(value: Any) -> int:
    """How much would be written for a value, roughly; counting stops where it is too much."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if not isinstance(value, (list, tuple)):
        return 1
    size = len(value)
    for item in value:
        if size > LONGEST_TEXT:
            break
        size += _size(item)
    return size
