"""`when` and `stop_when`: Jinja2 expressions over a person's variables, in the sandbox.

Jinja2 is imported at the first expression, never before: most runs have nothing due.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST = 2000
"""Characters; an expression is a condition, not a program."""


class ExpressionFailed(Exception):
    """An expression can't be compiled, or went wrong for one person; the text says how."""


def compile_expression(source: str) -> Callable[[Mapping[str, Any]], bool]:
    """Compile once; the result tells whether the expression is true for a person's variables.

    A variable that is missing counts as not true.

    Raises:
        ExpressionFailed: the expression is not valid. The compiled function raises it too, when evaluation fails.
    """
    if len(source) > LONGEST:
        raise ExpressionFailed(f"longer than {LONGEST} characters")
    return _compile(source)


def expression_variables(source: str) -> frozenset[str]:
    """The names an expression reads.

    Raises:
        ExpressionFailed: the expression is not valid.
    """
    from jinja2 import TemplateError, meta

    try:
        return frozenset(meta.find_undeclared_variables(_environment().parse("{{ (" + source + ") }}")))
    except TemplateError as error:
        raise ExpressionFailed(str(error)) from error


@lru_cache(maxsize=4096)
def _compile(source: str) -> Callable[[Mapping[str, Any]], bool]:
    from jinja2 import TemplateError

    if not source.strip():
        raise ExpressionFailed("it is empty")
    try:
        expression = _environment().compile_expression(source, undefined_to_none=True)
    except (TemplateError, RecursionError) as error:
        raise ExpressionFailed(str(error) or type(error).__name__) from error

    def evaluate(variables: Mapping[str, Any]) -> bool:
        try:
            return bool(expression(**{name: value for name, value in variables.items() if name.isidentifier()}))
        # The sandbox runs the operator's expression over a stranger's values: any error is that person's alone.
        except Exception as error:
            raise ExpressionFailed(f"{type(error).__name__}: {error}") from error

    return evaluate


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    from drip.core.sandbox import make_environment

    return make_environment()
