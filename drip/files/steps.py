"""One step of a sequence file: its schedule, its content, its headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from drip.core.sequence import INHERIT, SendWindow, Step
from drip.files import values
from drip.files.declared import Use
from drip.files.inspection import Inspected, Kind, inspect, use_of
from drip.files.reader import Section, text_of
from drip.files.templates import Library, template_name
from drip.files.tree import WHOLE_FILE, ListNode, MappingNode, Node, Scalar
from drip.files.wording import BadValue, quote, suggest

STEP_KEYS = (
    "id", "delay", "subject", "template", "body", "html", "text", "at", "when", "send_window", "from", "reply_to",
    "headers",
)  # fmt: skip
WINDOW_KEYS = ("days", "hours")
CONTENT_KEYS = ("template", "body", "html", "text")

MOST_HEADERS = 50
"""Extra headers of one step."""

_KINDS: Mapping[str, Kind] = {"subject": "subject", "body": "markdown", "html": "html", "text": "text"}


@dataclass(frozen=True, slots=True)
class StepFile:
    """A step as read, with what it uses."""

    step: Step
    variables: tuple[Use, ...] = ()
    """Each variable used, with the place and the key path that use it."""
    templates: frozenset[str] = frozenset()
    """Templates it uses or includes."""
    place: tuple[int, int] = WHOLE_FILE
    """Line and column, from 1, where it begins."""


def read_step(section: Section, position: int, library: Library) -> StepFile:
    """Read one step; what is wrong in it is reported, and read as if left out.

    Args:
        position: from 1.
    """
    section.require("delay", "write delay: 0 to send at once, or delay: 3d")
    step = Step(
        key=_key(section, position),
        delay=section.duration("delay") or timedelta(0),
        subject=section.parsed("subject", values.line),
        template=section.text("template"),
        body=_content(section, "body"),
        html=_content(section, "html"),
        text=_content(section, "text"),
        at=section.parsed("at", values.clock, wanted="a time of day like '09:30'"),
        when=section.parsed("when", values.expression, wanted="an expression"),
        send_window=read_window(section),
        sender=section.parsed("from", values.address),
        reply_to=section.parsed("reply_to", values.address),
        headers=tuple(_headers(section)),
    )
    _check_one_content(section)
    _check_template(section, step, library)
    return _with_uses(section, step, library)


def _key(section: Section, position: int) -> str:
    if not section.mentions("id") or section.is_null("id"):
        hint = f"write id: step-{position} before people are in it"
        section.warn("id", f"the step has no id; it is step-{position} until the order changes", hint)
    return section.parsed("id", values.slug) or f"step-{position}"


def _content(section: Section, key: str) -> str | None:
    text = section.text(key)
    if text is not None and not text.strip():
        section.error(key, "it is empty", "write the words of the message")
    return text


def _check_one_content(section: Section) -> None:
    given = [key for key in CONTENT_KEYS if section.mentions(key)]
    if not given:
        section.document.report(section.node, section.where, "the step has no content", _CONTENT_HINT)
    elif len(given) > 1 and given != ["html", "text"]:
        message = f"the step has {' and '.join(given)}: it can have one content"
        section.error(given[1], message, _CONTENT_HINT)
    elif all(map(section.is_null, given)):
        section.error(given[0], "it has no value", _CONTENT_HINT)


_CONTENT_HINT = "write template, or body, or html with or without text"


def _check_template(section: Section, step: Step, library: Library) -> None:
    name = step.template
    if name is not None and name not in library.names:
        section.error("template", f"there is no template {quote(name)}", _template_hint(name, library))
    if step.subject is not None or section.has("subject"):
        return
    template = library.templates.get(name) if name is not None else None
    unknown = name is not None and template is None
    if section.mentions("subject"):
        section.error("subject", "it has no value", "write the subject of the message")
    elif not unknown and (template is None or template.template.subject is None):
        message = "the step has no subject" + (", and neither has its template" if template else "")
        section.document.report(section.node, section.path("subject"), message, "write subject: …")


def _template_hint(name: str, library: Library) -> str | None:
    if name != template_name(name) and template_name(name) in library.names:
        return f"write template: {template_name(name)}"
    return suggest(name, library.names) or "templates are in the folder `templates` beside the sequence files"


def _headers(section: Section) -> list[tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for key, node in section.entries("headers", "headers, as {X-Campaign: upgrade}"):
        where = f"{section.path('headers')}.{key.text[:60]}"
        try:
            place: Node = key
            name = values.header_name(key.text)
            if name.lower() in found:
                raise BadValue(f"the header is there twice, as {found[name.lower()][0]}", "keep one of them")
            place = node if not isinstance(node, Scalar) or node.text else key
            value = values.header_value(text_of(node))
        except BadValue as error:
            section.document.report(place, where, str(error), error.hint)
            continue
        found[name.lower()] = (name, value)
    if len(found) > MOST_HEADERS:
        section.error("headers", f"there are {len(found)} headers, more than {MOST_HEADERS}")
        return []
    return list(found.values())


def read_window(section: Section) -> SendWindow | Literal["inherit"] | None:
    """`send_window`; None when it is null, `inherit` when it is left out."""
    if section.is_null("send_window"):
        return None
    inner = section.section("send_window", WINDOW_KEYS)
    if inner is None:
        return INHERIT
    if not inner.has("days") and not inner.has("hours"):
        section.error("send_window", "it says neither days nor hours", 'write {days: mon-fri, hours: "09:00-18:00"}')
    opening = inner.parsed("hours", values.hours, wanted='hours like "09:00-18:00"')
    return values.window(_days(inner), opening)


def _days(section: Section) -> frozenset[int] | None:
    if not isinstance(node := section.get("days"), ListNode):
        return section.parsed("days", values.days, wanted="days like mon-fri")
    if not node.items:
        section.error("days", "the list is empty: nothing could ever be sent", "leave `days` out for every day")
        return None
    return frozenset().union(*section.texts("days", values.days, "days")) or None


def _with_uses(section: Section, step: Step, library: Library) -> StepFile:
    variables: list[Use] = []
    templates: set[str] = set()
    for key, kind in _KINDS.items():
        scalar = section.get(key)
        text = getattr(step, key)
        if isinstance(scalar, Scalar) and text is not None:
            found = inspect(section.document, scalar.text, kind, scalar=scalar, where=section.path(key))
            variables += _uses(section, key, scalar, found)
            templates |= _included(section, key, found, library)
    for name, value in step.headers:
        variables += _header_variables(section, name, value)
    if step.when is not None:
        variables += expression_uses(section, "when", step.when)
    if step.template is not None:
        templates |= library.reach(step.template)
    used = frozenset().union(*(library.templates[name].variables for name in templates if name in library.templates))
    if templates:
        key = "template" if step.template is not None else next(k for k in CONTENT_KEYS if section.mentions(k))
        variables += [(name, _spot(section, key), section.path(key)) for name in sorted(used)]
    return StepFile(step, tuple(variables), frozenset(templates), (section.node.line, section.node.column))


def _uses(section: Section, key: str, scalar: Scalar, found: Inspected) -> list[Use]:
    document = section.document
    return [
        (name, document.inside(scalar, *use_of(scalar.text, name)), section.path(key))
        for name in sorted(found.variables)
    ]


def _included(section: Section, key: str, found: Inspected, library: Library) -> set[str]:
    names: set[str] = set()
    for included in sorted(found.includes):
        name = template_name(included)
        if name not in library.names:
            section.error(key, f"there is no template {quote(included)} to include", suggest(name, library.names))
        names |= library.reach(name)
    return names


def _header_variables(section: Section, name: str, value: str) -> list[Use]:
    where = f"{section.path('headers')}.{name}"
    headers = section.get("headers")
    scalar = headers.entries[name][1] if isinstance(headers, MappingNode) else None
    if not isinstance(scalar, Scalar):
        return []
    found = inspect(section.document, value, "text", scalar=scalar, where=where)
    return [(variable, (scalar.line, scalar.column), where) for variable in sorted(found.variables)]


def expression_uses(section: Section, key: str, source: str) -> list[Use]:
    """The variables that an expression reads, with the place of the expression."""
    from drip.core.expressions import ExpressionFailed, expression_variables

    try:
        names = expression_variables(source)
    except (ExpressionFailed, ValueError, RecursionError):
        return []
    return [(name, _spot(section, key), section.path(key)) for name in sorted(names)]


def _spot(section: Section, key: str) -> tuple[int, int]:
    node = section.place(key)
    return node.line, node.column
