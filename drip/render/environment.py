"""The Jinja2 environment of templates: the shared sandbox, drip's filters, and what a template may be made of.

There is no loader, so nothing is ever read from a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from jinja2 import ChainableUndefined, StrictUndefined, Undefined, nodes

from drip.core.sandbox import Sandbox, make_environment
from drip.core.settings import UndefinedRule

REFUSED_TAGS: dict[type[nodes.Node], str] = {
    nodes.Extends: "extends",
    nodes.Import: "import",
    nodes.FromImport: "from … import",
}
"""Tags that templates do not have; `include` is the one way to share."""

_DIRECTIVE = re.compile(r"%-?[A-Za-z%]")
_DIRECTIVES = frozenset("aAbBdHIjmMpSyYzZ%")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ud800-\udfff]")
_SCHEME = re.compile(r"(https?://|mailto:)[^/]", re.IGNORECASE)
_URL_SAFE = "!#$%&'()*+,-./:;=?@[]_~"


GIVES_UP = (RecursionError, MemoryError, SyntaxError, ValueError)
"""How parser and compiler give up on a source that is a template: Jinja2's without a word, and Python's with its own
limits (25 loops in each other, an argument named twice, a number of 5,000 digits)."""

_MANGLED = re.compile(r"'l_\d+_(\w+)'")


def why_given_up(error: Exception) -> str:
    """One of those, in words."""
    if isinstance(error, SyntaxError):
        return "it can't be compiled: " + _MANGLED.sub(r"'\1'", error.msg)
    return "a number in it is too large" if isinstance(error, ValueError) else "it is nested too deeply"


class TemplateSandbox(Sandbox):
    """The sandbox, where a key of a mapping goes before the mapping's own methods: `order.items` is the items."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Jinja2's hook for `obj.attribute`."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def template_environment(*, html: bool, undefined: UndefinedRule, kind: type[Sandbox] = TemplateSandbox) -> Sandbox:
    """An environment for one part of a message. It has no loader: `include` is done before Jinja2 sees a template.

    Args:
        html: values are escaped for HTML.
        undefined: what a variable without a value is.
        kind: the sandbox to use.
    """
    rules: dict[UndefinedRule, type[Undefined]] = {
        UndefinedRule.EMPTY: ChainableUndefined,
        UndefinedRule.ERROR: StrictUndefined,
    }
    environment = make_environment(autoescape=html, undefined=rules[undefined], kind=kind)
    environment.filters["url"] = clean_url
    environment.filters["date"] = format_date
    return environment


def refused_tags(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Line and name of every tag in a template that drip does not have."""
    for kind, name in REFUSED_TAGS.items():
        for node in tree.find_all(kind):
            yield node.lineno, name


def clean_url(value: Any) -> str:
    """An http, https or mailto URL that is safe inside of a quoted attribute; `#` for anything else.

    Blanks, controls and invisible characters are removed first: browsers skip them when they look for the scheme.
    Characters that no URL has (RFC 3986), quotes among them, are percent-encoded.
    """
    if isinstance(value, Undefined):
        return "#"
    text = str(value)
    stripped = _NOT_IN_A_URL.sub("", text.strip().replace(" ", "%20"))
    if not _SCHEME.match(stripped):
        return "#"
    return quote(stripped, safe=_URL_SAFE.replace("'", ""))


def format_date(value: Any, pattern: str = "%Y-%m-%d") -> str:
    """A date or time in ISO 8601 by strftime's directives; anything else stays as it is."""
    if isinstance(value, Undefined):
        return ""
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return str(value)

    def fill(directive: re.Match[str]) -> str:
        return moment.strftime(directive[0]) if directive[0][-1] in _DIRECTIVES else directive[0]

    return _DIRECTIVE.sub(fill, str(pattern)[:200])
