"""Templates that came over the API: what they may be made of, and how far they may run.

What bounds what:

    the source            512 kB, of which 64 kB within {{ }}, {% %} and {# #}, before it is parsed
    what exists at all    an allow-list of filters; no method calls, no attributes but those of `loop`, no `autoescape`,
                          no list that is put together from values (lists of lists of lists are no small thing)
    turns of a loop       1,000, and each turn is charged for the words in it
    sizes on the way      every text made by an operator, filter, macro or `{{ … }}` is charged to one budget
    the output            512 kB, counted while it is written
    time                  2 s, looked at in every turn, call, operation and piece of output

No single operation can take long, because none gets a value longer than the budget. There is no child process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from types import FunctionType
from typing import Any, cast

from jinja2 import Template, Undefined, nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.lexer import TOKEN_DATA
from jinja2.nodes import EvalContext
from jinja2.runtime import LoopContext, Macro, TemplateReference
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from drip.core.sandbox import Sandbox
from drip.core.settings import UndefinedRule
from drip.errors import did_you_mean
from drip.render.environment import TemplateSandbox, template_environment

LONGEST_SOURCE = 512 * 1024
"""Octets."""
LONGEST_CODE = 64 * 1024
"""Characters within tags: what they cost to compile has little to do with what words around them cost."""
LONGEST_OUTPUT = 512 * 1024
"""Octets of one part."""
LONGEST_LOOP = 1000
"""Turns."""
LONGEST_TIME = 2.0
"""Seconds for one part."""

_WORK = 4 * LONGEST_OUTPUT
_TURNS = 100_000
_FILTERS = frozenset(
    {"abs", "capitalize", "d", "date", "default", "e", "escape", "first", "float", "int", "items", "join", "last"}
    | {"length", "count", "list", "lower", "max", "min", "replace", "reverse", "round", "sort", "string", "sum"}
    | {"title", "trim", "truncate", "unique", "upper", "url", "urlencode", "wordcount"}
)
_LOOP = frozenset(
    {"changed", "cycle", "depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem"}
    | {"revindex", "revindex0"}
)
# No template can write these names: they have a blank in them.
_TURN, _JOIN = "drip turn", "drip join"


class _Budget:
    """What is left for one part."""

    __slots__ = ("deadline", "turns", "work")

    def __init__(self) -> None:
        self.deadline = time.monotonic() + LONGEST_TIME
        self.turns = _TURNS
        self.work = _WORK

    def spend(self, work: int) -> None:
        self.work -= work
        if self.work < 0:
            raise SecurityError("it makes more text than a message may have")
        if time.monotonic() > self.deadline:
            raise SecurityError(f"it takes longer than {LONGEST_TIME:g} s")


_budget: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextmanager
def limited() -> Iterator[_Budget]:
    """A new budget for what runs inside."""
    budget = _Budget()
    token = _budget.set(budget)
    try:
        yield budget
    finally:
        _budget.reset(token)


def render_limited(template: Template, scope: Mapping[str, Any]) -> list[str]:
    """The way of templates that are not trusted; raises SecurityError at a limit."""
    pieces: list[str] = []
    size = 0
    with limited() as budget:
        for piece in template.generate(scope):
            budget.spend(0)
            size += len(piece.encode("utf-8", "surrogatepass"))
            if size > LONGEST_OUTPUT:
                raise SecurityError(f"it gets longer than {LONGEST_OUTPUT // 1024} kB")
            pieces.append(piece)
    return pieces


def too_long(source: str) -> str | None:
    """Why a source is not to be parsed; None: it may be."""
    octets = len(source.encode("utf-8", "surrogatepass"))
    if octets > LONGEST_SOURCE:
        return f"is longer than {LONGEST_SOURCE // 1024} kB"
    if octets > LONGEST_CODE and _has_much_code(source):
        return f"has more than {LONGEST_CODE // 1024} kB within its tags"
    return None


def _has_much_code(source: str) -> bool:
    code = 0
    with suppress(TemplateSyntaxError):  # parsing says it better
        for _, kind, words in template_environment(html=False, undefined=UndefinedRule.EMPTY).lex(source):
            code += 0 if kind == TOKEN_DATA else len(words)
            if code > LONGEST_CODE:
                return True
    return False


def guarded_environment(*, html: bool, undefined: UndefinedRule) -> Sandbox:
    """The environment for templates that are not trusted."""
    environment = template_environment(html=html, undefined=undefined, kind=_GuardedSandbox)
    environment.optimized = False  # nothing is computed while compiling
    for name in [name for name in environment.filters if name not in _FILTERS]:
        del environment.filters[name]
    for name, function in environment.filters.items():
        environment.filters[name] = _charged(function)
    environment.filters[_TURN] = _turns
    environment.filters[_JOIN] = _charged(_concatenate)
    environment.finalize = _finalize
    return environment


def check_tree(tree: nodes.Template) -> None:
    """Refuse what templates that are not trusted may not be made of.

    Raises:
        TemplateSyntaxError: with the line.
    """
    for node in tree.find_all(nodes.Filter):
        if node.name not in _FILTERS:
            hint = did_you_mean(node.name, _FILTERS)
            message = f"templates from the API have no filter {node.name!r}" + (f"; {hint}" if hint else "")
            raise TemplateSyntaxError(message, node.lineno)
    for call in tree.find_all(nodes.Call):
        if not _is_plain_call(call):
            raise TemplateSyntaxError("templates from the API call no methods", call.lineno)
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            raise TemplateSyntaxError("templates from the API have no recursive loops", loop.lineno)
    for switch in tree.find_all((nodes.EvalContextModifier, nodes.ScopedEvalContextModifier)):
        raise TemplateSyntaxError("templates from the API have no `autoescape`", switch.lineno)
    looped = {id(loop.iter) for loop in tree.find_all(nodes.For)}
    for literal in tree.find_all((nodes.List, nodes.Tuple, nodes.Dict)):
        if getattr(literal, "ctx", "load") == "load" and id(literal) not in looped and not _is_constant(literal):
            raise TemplateSyntaxError("templates from the API make no lists of values", literal.lineno)


def limit_tree(tree: nodes.Template) -> None:
    """Put the counters into a tree that `check_tree` has passed."""
    _Counters().visit(tree)


class _Counters(NodeTransformer):
    """The names of the methods are Jinja2's."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        self.generic_visit(node)
        words = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        node.iter = _filter(_TURN, node.iter, [nodes.Const(words, lineno=node.lineno)])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return _filter(_JOIN, nodes.List(node.nodes, lineno=node.lineno), [])


def _filter(name: str, node: nodes.Node, arguments: list[nodes.Expr]) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, node), name, arguments, [], None, None, lineno=node.lineno)


def _is_plain_call(call: nodes.Call) -> bool:
    target = call.node
    if isinstance(target, nodes.Getattr) and isinstance(target.node, nodes.Name):
        return target.node.name == "loop" and target.attr in ("cycle", "changed")
    return isinstance(target, nodes.Name)


def _is_constant(literal: nodes.Node) -> bool:
    kinds = (nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Neg)
    return all(isinstance(child, kinds) for child in literal.find_all(nodes.Node))


class _GuardedSandbox(TemplateSandbox):
    """No attributes but a mapping's keys and `loop`'s; every operator and call is charged."""

    intercepted_binops = frozenset({"*", "**", "%", "+", "//", "/", "-"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, (dict, LoopContext, Undefined)):
            return super().getattr(obj, attribute) if not isinstance(obj, dict) else self.getitem(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (AttributeError, TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return isinstance(obj, Undefined) or (isinstance(obj, LoopContext) and attr in _LOOP)

    def is_safe_callable(self, obj: Any) -> bool:
        owner = getattr(obj, "__self__", None)
        return isinstance(obj, (Macro, Undefined)) or isinstance(owner, LoopContext) or obj is self.globals["range"]

    def call(self, *arguments: Any, **keywords: Any) -> Any:
        _charge(None)
        return _charge(super().call(*arguments, **keywords))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if isinstance(value, (list, tuple, dict)):
                raise SecurityError("lists can't be calculated with")
        return _charge(super().call_binop(context, operator, left, right))


def _charge(value: Any) -> Any:
    """Pay for a value that was made."""
    budget = _budget.get()
    if budget is None:
        raise SecurityError("outside of its limits")
    if isinstance(value, (str, list, tuple, dict)):
        budget.spend(len(value))
    elif isinstance(value, int):
        budget.spend(value.bit_length() // 8)
    else:
        budget.spend(0)
    return value


_NO_DATA = (Macro, LoopContext, TemplateReference, FunctionType)
"""What a template can name, and what Python would write of in its own words."""


def _charged(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def charged(*arguments: Any, **keywords: Any) -> Any:
        if any(isinstance(value, _NO_DATA) for value in (*arguments, *keywords.values())):
            raise SecurityError("what is no data can't be put through a filter")
        return _charge(function(*arguments, **keywords))

    return charged


@pass_context
def _finalize(context: Any, value: Any) -> Any:
    if isinstance(value, (str, int, float)) or value is None:
        return _charge(value)
    if isinstance(value, Undefined):
        return value
    raise SecurityError("a list can't be written; use the filter `join`")


def _turns(values: Iterable[Any], words: int) -> Iterator[Any]:
    """The values of a loop, counted."""
    budget = _budget.get()
    if budget is None:
        raise SecurityError("outside of its limits")
    for index, value in enumerate(values):
        budget.turns -= 1
        if index >= LONGEST_LOOP or budget.turns < 0:
            raise SecurityError(f"a loop over more than {LONGEST_LOOP:,}")
        budget.spend(words + 8)
        yield value


@pass_eval_context
def _concatenate(eval_context: EvalContext, values: list[Any]) -> str:
    """`a ~ b`: with autoescape, safe if any is, as Jinja2's own."""
    items = [item if isinstance(item, str) else _as_text(item) for item in values]
    if sum(map(len, items)) > LONGEST_OUTPUT:
        raise SecurityError("a text that is too long")
    if eval_context.autoescape and any(isinstance(item, Markup) for item in items):
        return Markup("").join(items)
    return "".join(items)


def _as_text(value: Any) -> str:
    if isinstance(value, (int, float, Undefined)) or value is None:
        return str(value)
    raise SecurityError("what is neither text nor a number can't be joined to a text")
