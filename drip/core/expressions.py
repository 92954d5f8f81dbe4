"""`when` and `stop_when`: Jinja2 expressions over a person's variables, in the sandbox.

Jinja2 is imported at the first expression, never before: most runs have nothing due.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jinja2 import nodes

    from drip.core.sandbox import Sandbox

LONGEST = 2000
"""Characters; an expression is a condition, not a program."""

_DEEPEST = 60
"""How far an expression may be nested: the time to compile one grows with the cube of it."""

# fmt: off
_FILTERS = frozenset({
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "items", "last", "length", "list",
    "lower", "map", "max", "min", "reject", "rejectattr", "round", "select", "selectattr", "sort", "string",
    "sum", "title", "trim", "unique", "upper", "wordcount",
})
# fmt: on
"""What a condition needs, and nothing that lets one over the API keep the worker busy."""


_TOO_SOON = re.compile(r"unexpected '?end of template'?(, expected .*)?")


class ExpressionFailed(Exception):
    """An expression can't be compiled, or went wrong for one person; the text says how."""


def compile_expression(source: str) -> Callable[[Mapping[str, Any]], bool]:
    """Compile once; the result tells whether the expression is true for a person's variables.

    A variable that is missing is not true, and neither is what can't be worked out without it, as `age > 18`.

    Raises:
        ExpressionFailed: the expression is not valid. The compiled function raises it too, when evaluation fails.
    """
    if len(source) > LONGEST:
        raise ExpressionFailed(f"longer than {LONGEST} characters")
    return _compile(source)


@lru_cache(maxsize=4096)
def expression_variables(source: str) -> frozenset[str]:
    """The names an expression reads.

    Raises:
        ExpressionFailed: the expression is not valid.
    """
    from jinja2 import meta

    compile_expression(source)
    return frozenset(meta.find_undeclared_variables(_parse(source)))


@lru_cache(maxsize=4096)
def _compile(source: str) -> Callable[[Mapping[str, Any]], bool]:
    from jinja2 import UndefinedError

    if not source.strip():
        raise ExpressionFailed("it is empty")
    with _compiling():
        if _depth(_parse(source)) > _DEEPEST:
            raise RecursionError
        expression = _environment().compile_expression(source, undefined_to_none=True)

    def evaluate(variables: Mapping[str, Any]) -> bool:
        try:
            # As one mapping: a variable may be named `self`, or not be a name at all.
            return bool(expression(dict(variables)))
        except UndefinedError:
            return False
        # The sandbox runs the operator's expression over a stranger's values: any error is that person's alone.
        except Exception as error:
            raise ExpressionFailed(f"{type(error).__name__}: {str(error)[:300]}") from error

    return evaluate


def _parse(source: str) -> nodes.Template:
    from jinja2 import TemplateSyntaxError, nodes
    from jinja2.parser import Parser

    environment = _environment()
    parser = Parser(environment, source, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateSyntaxError(f"{parser.stream.current.value!r} is one too many", 1)
    tree = nodes.Template([nodes.Output([expression], lineno=1)], lineno=1)
    tree.set_environment(environment)
    return tree


def _depth(node: nodes.Node) -> int:
    return 1 + max(map(_depth, node.iter_child_nodes()), default=0)


@contextmanager
def _compiling() -> Iterator[None]:
    from jinja2 import TemplateError

    try:
        yield
    except TemplateError as error:
        raise ExpressionFailed(_TOO_SOON.sub("it ends too soon", error.message or type(error).__name__)) from error
    # Python's own compiler gives up on deep nesting, in one of several ways.
    except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
        raise ExpressionFailed(f"too deeply nested, or a number too large ({type(error).__name__})") from error


@lru_cache(maxsize=1)
def _environment() -> Sandbox:
    from drip.core.sandbox import make_environment

    environment = make_environment()
    environment.filters = {name: code for name, code in environment.filters.items() if name in _FILTERS}
    return environment
