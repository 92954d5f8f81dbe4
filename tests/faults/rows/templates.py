"""Row 21: templates that come over the API do nothing but write what they were given, and cost little."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from random import Random
from typing import Any
from unittest.mock import patch

import jinja2

import drip.render.compile
from drip.errors import RenderFailed
from drip.render.environment import clean_url, format_date
from drip.render.guard import LONGEST_OUTPUT, LONGEST_TIME
from tests.core.test_sandbox import ESCAPES, HUGE
from tests.faults.registry import Case, Control, Figures, Row
from tests.render.test_guard import BOMBS, from_api

GENERATED = 50
"""Templates of the grammar in a trial, beside one of the corpus."""
CORPUS = [*ESCAPES, *HUGE, *BOMBS.values()]
SECONDS = 2 * LONGEST_TIME
"""Of the processor, with what compiling takes besides."""

_OBJECT = re.compile(
    r"<(?:class|module|function|method|built-in|bound method|generator|frame|code|slot|Undefined|Macro|jinja2)\b"
    r"|object at 0x|Template(?:Reference| memory)"
)
_NAMES = ("name", "many", "d", "deep", "rows", "missing", "loop", "self", "range", "lipsum", "config", "m", "caller")
_ATTRIBUTES = (
    *("k", "items", "upper", "__class__", "__mro__", "__globals__", "__init__", "_id", "append", "format", "join"),
    *("gi_frame", "f_globals", "mro", "__subclasses__", "__builtins__", "__dict__", "func_globals", "cycle", "index"),
)
_FILTERS = (
    *("upper", "join", "length", "list", "first", "last", "default", "replace", "sort", "unique", "items", "url"),
    *("attr", "map", "select", "groupby", "format", "center", "pprint", "tojson", "safe", "xmlattr", "batch"),
    *("truncate", "sum", "string", "reverse", "date", "escape", "min", "round", "urlencode"),
)
_LITERALS = (
    "1",
    "0",
    "-1",
    "99999999",
    "1e308",
    "'x'",
    "'__class__'",
    "'%s'",
    "''",
    "[]",
    "{}",
    "none",
    "true",
    "[1, 2]",
)
_OPERATORS = ("+", "*", "-", "/", "//", "%", "**", "~", "==", "<", "in", "and", "or", "is not")


def trial(case: Case) -> Figures:
    """One template of the corpus, and some that a grammar makes."""
    figures = Figures(trials=1, faults=GENERATED + 1)
    sources = [CORPUS[case.number % len(CORPUS)], *(_block(case.random, 4) for _ in range(GENERATED))]
    for source in sources:
        figures.breaches += harm(source, case.random.choice(("text", "html")))
    return figures


def harm(source: str, kind: str) -> list[str]:
    """What a template does that it may not."""
    found: list[str] = []
    began = time.process_time()
    try:
        message = from_api(source, kind)
    except RenderFailed as error:
        if not error.message:
            found.append(f"refused without a word: {source[:200]}")
    except Exception as error:
        found.append(f"raised {type(error).__name__}: {source[:200]}")
    else:
        words = message.text + unescape(message.html or "")
        if _OBJECT.search(words):
            found.append(f"reached out of the data: {source[:200]}")
        if len(message.text.encode("utf-8", "surrogatepass")) > LONGEST_OUTPUT + 1000:
            found.append(f"too long: {source[:200]}")
    if time.process_time() - began > SECONDS:
        found.append(f"took longer than {SECONDS:g} s: {source[:200]}")
    return found


def _block(random: Random, depth: int) -> str:
    """A few pieces of a template."""
    return "".join(_piece(random, depth) for _ in range(random.randint(1, 3)))


def _piece(random: Random, depth: int) -> str:
    value = _value(random, depth)
    if depth == 0:
        return f"{{{{ {value} }}}}"
    inner = _block(random, depth - 1)
    pieces = (
        f"{{{{ {value} }}}}",
        f"{{% for x in {value} %}}{inner}{{% endfor %}}",
        f"{{% if {value} %}}{inner}{{% else %}}x{{% endif %}}",
        f"{{% set name = {value} %}}{inner}",
        f"{{% set d %}}{inner}{{% endset %}}{{{{ d }}}}",
        f"{{% macro m(a, b={value}) %}}{inner}{{% endmacro %}}{{{{ m({value}) }}}}",
        f"{{% call(x) m() %}}{inner}{{% endcall %}}",
        f"{{% filter {random.choice(_FILTERS)} %}}{inner}{{% endfilter %}}",
        f"{{% with rows = {value} %}}{inner}{{% endwith %}}",
        f"{{% {random.choice(('include', 'import', 'extends', 'autoescape', 'do', 'raw'))} {value} %}}",
    )
    return random.choice(pieces)


def _value(random: Random, depth: int) -> str:
    if depth <= 0 or random.random() < 0.3:
        return random.choice(random.choice((_NAMES, _LITERALS)))
    value, other = _value(random, depth - 1), _value(random, depth - 2)
    shapes = (
        f"{value}.{random.choice(_ATTRIBUTES)}",
        f"{value}['{random.choice(_ATTRIBUTES)}']",
        f"{value}[{other}]",
        f"{value}[{other}:]",
        f"{value}({other})",
        f"({value} | {random.choice(_FILTERS)})",
        f"({value} | {random.choice(_FILTERS)}({other}))",
        f"({value} {random.choice(_OPERATORS)} {other})",
        f"({value} if {other} else {value})",
        f"[{value}, {other}]",
    )
    return random.choice(shapes)


@contextmanager
def no_sandbox() -> Iterator[None]:
    """Jinja2 as it comes."""

    def plain(*, html: bool, undefined: Any) -> Any:
        environment = jinja2.Environment(autoescape=html, undefined=jinja2.ChainableUndefined)
        environment.filters.update(url=clean_url, date=format_date)
        return environment

    def anything(tree: object) -> None:
        return None

    def at_once(template: jinja2.Template, scope: Any) -> list[str]:
        return [template.render(scope)]

    with ExitStack() as stack:
        for name, wrong in {
            "guarded_environment": plain,
            "check_tree": anything,
            "limit_tree": anything,
            "render_limited": at_once,
        }.items():
            stack.enter_context(patch.object(drip.render.compile, name, wrong))
        # The corpus begins with ways out; what is huge would take the control's memory too.
        yield


ROWS = [
    Row(
        number=21,
        promise="Templates from the API can't hurt",
        fault="a corpus of ways out and of bombs, and what a grammar of Jinja2 makes",
        ci=5000,
        release=50_000,
        unit="templates",
        per_trial=GENERATED,
        table=len(CORPUS),
        trial=trial,
        control=Control("Jinja2 as it comes", no_sandbox, within=4, shows="reached out"),
    )
]
