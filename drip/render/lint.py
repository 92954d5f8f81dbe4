"""What is wrong with a template as written: for `check`, and for whoever saves one over the API.

Nothing is rendered here, no variable has a value, and no file is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from jinja2 import TemplateSyntaxError, meta, nodes

from drip.core.sandbox import Sandbox
from drip.core.settings import UndefinedRule
from drip.errors import Severity, did_you_mean
from drip.render.environment import GIVES_UP, clean_url, refused_tags, template_environment, why_given_up
from drip.render.lint_html import Fault, structure_faults, value_faults
from drip.render.markdown import markdown_to_html
from drip.render.placeholders import Placeholders
from drip.render.tags import normalize

Kind = Literal["html", "markdown", "text", "subject", "layout"]

BUILTIN_NAMES: frozenset[str] = frozenset(
    {
        "content",
        "email",
        "name",
        "postal_address",
        "preferences_url",
        "sequence",
        "step",
        "subject",
        "title",
        "unsubscribe_url",
    }
)
"""What drip itself puts in scope; no sequence has to declare them. `content` only in a layout."""

MOST_FAULTS = 200
"""Errors, and warnings, of one page that are told of: a place costs a look at all before it."""

_INSECURE = re.compile(r"\bhttp://[^\s<>\"')\]]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in one template."""

    line: int
    """From 1."""
    column: int
    """From 1; 1 when only the line is known."""
    severity: Severity
    message: str
    hint: str | None
    """What to write instead, or None."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """All there is to say about a template before it is rendered."""

    findings: tuple[Finding, ...]
    """By place."""
    variables: frozenset[str]
    """Every name it reads and does not set itself, those of `BUILTIN_NAMES` too; empty when it does not parse."""
    includes: frozenset[str]
    """The names it includes, as written."""


def inspect_template(source: str, kind: Kind) -> Inspection:
    """Look for all that would go wrong, or be unsafe, in one template.

    Args:
        source: the template, without its front matter.
        kind: what it is written in.
    """
    environment = template_environment(html=kind != "text", undefined=UndefinedRule.EMPTY)
    source = normalize(source)
    try:
        tree = environment.parse(source)
        findings = [*_tree_findings(tree, environment), *_KINDS[kind](source)]
        variables = _variables(tree, environment)
        environment.compile(tree)
    except TemplateSyntaxError as error:
        return _unreadable(error.lineno, error.message or "it can't be compiled")
    except GIVES_UP as error:
        return _unreadable(1, why_given_up(error))
    return Inspection(
        findings=tuple(sorted(set(findings), key=lambda finding: (finding.line, finding.column, finding.message))),
        variables=variables,
        includes=frozenset(name for name in meta.find_referenced_templates(tree) if name is not None),
    )


def _unreadable(line: int, message: str) -> Inspection:
    return Inspection((Finding(line, 1, Severity.ERROR, message, None),), frozenset(), frozenset())


def _tree_findings(tree: nodes.Template, environment: Sandbox) -> Iterator[Finding]:
    for line, name in refused_tags(tree):
        yield Finding(line, 1, Severity.ERROR, f"templates have no `{name}`", "use {% include %}")
    for kind, known in ((nodes.Filter, environment.filters), (nodes.Test, environment.tests)):
        for node in tree.find_all(kind):
            if node.name not in known:
                what = kind.__name__.lower()
                message = f"there is no {what} {node.name!r}"
                yield Finding(node.lineno, 1, Severity.ERROR, message, did_you_mean(node.name, known))
    for include in tree.find_all(nodes.Include):
        if not _is_literal(include.template):
            message = "what is included must be written as a name in quotes"
            yield Finding(include.lineno, 1, Severity.ERROR, message, "{% include 'name' %}")


def _variables(tree: nodes.Template, environment: Sandbox) -> frozenset[str]:
    # Jinja2 compiles the tree to find them and stops at a filter it does not know; those are reported already.
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        known = environment.filters if isinstance(node, nodes.Filter) else environment.tests
        known.setdefault(node.name, clean_url)
    return frozenset(meta.find_undeclared_variables(tree))


def _is_literal(template: nodes.Expr) -> bool:
    names = template.items if isinstance(template, (nodes.List, nodes.Tuple)) else [template]
    return all(isinstance(name, nodes.Const) and isinstance(name.value, str) for name in names)


def _html(source: str) -> Iterator[Finding]:
    placeholders = Placeholders(source)
    page = placeholders.hide(source, "")
    faults = [*structure_faults(page, placeholders), *value_faults(page, placeholders)]
    for warning in (False, True):
        for fault in [fault for fault in faults if fault.warning is warning][:MOST_FAULTS]:
            yield _at(fault, page, placeholders)


def _layout(source: str) -> Iterator[Finding]:
    yield from _html(source)
    if not re.search(r"\{\{[-+]?\s*content\b", source):
        yield Finding(1, 1, Severity.ERROR, "the layout has no {{ content }}", "put it where the body belongs")


def _markdown(source: str) -> Iterator[Finding]:
    placeholders = Placeholders(source)
    page = markdown_to_html(placeholders.hide(source, ""), placeholders)
    for fault in value_faults(page, placeholders):
        if fault.tag is not None:
            yield _at_tag(fault, source)
    yield from _insecure(source)


def _insecure(source: str) -> Iterator[Finding]:
    for link in _INSECURE.finditer(source):
        yield _at_offset(Fault(link.start(), None, "the link is not encrypted", "https://", warning=True), source)


def _nothing(source: str) -> Iterator[Finding]:
    return iter(())


_KINDS: dict[Kind, Callable[[str], Iterator[Finding]]] = {
    "html": _html,
    "layout": _layout,
    "markdown": _markdown,
    "text": _insecure,
    "subject": _nothing,
}


def _at(fault: Fault, page: str, placeholders: Placeholders) -> Finding:
    """The finding for a fault in an HTML page whose tags are hidden."""
    before = placeholders.reveal(page[: fault.offset])
    message, hint = placeholders.reveal(fault.message), fault.hint and placeholders.reveal(fault.hint)
    return _at_offset(Fault(len(before), None, message, hint, fault.warning), before)


def _at_tag(fault: Fault, source: str) -> Finding:
    """The finding for a fault in what Markdown made: the tag knows where it was written."""
    start = fault.tag.start if fault.tag is not None else 0
    return _at_offset(Fault(start, None, fault.message, fault.hint, fault.warning), source)


def _at_offset(fault: Fault, source: str) -> Finding:
    line = source.count("\n", 0, fault.offset) + 1
    column = fault.offset - (source.rfind("\n", 0, fault.offset) + 1) + 1
    severity = Severity.WARNING if fault.warning else Severity.ERROR
    return Finding(line, column, severity, fault.message, fault.hint)
