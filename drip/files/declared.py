"""`variables:` of a sequence file: what is declared, and whether it is what the sequence uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drip.core.sequence import Variable
from drip.files import values
from drip.files.reader import Section, plain_value, section_of
from drip.files.tree import Node, Scalar
from drip.files.wording import BadValue, describe, suggest

Use = tuple[str, tuple[int, int], str]
"""A variable that is used, the line and column, and the key path that use it."""

VARIABLE_KEYS = ("default", "required", "example")

FILLED_BY_DRIP = frozenset({"email", "unsubscribe_url", "preferences_url", "sequence", "step", "postal_address"})
"""Names that always have drip's own value."""


def read_variables(sequence: Section) -> dict[str, Variable]:
    """`variables:`; those that are wrong are left out."""
    found: dict[str, Variable] = {}
    for key, node in sequence.entries("variables", "names, as {plan: {required: true}}"):
        where = f"{sequence.path('variables')}.{key.text[:60]}"
        try:
            name = values.variable_name(key.text)
        except BadValue as error:
            sequence.document.report(key, where, str(error), error.hint)
            continue
        if name in FILLED_BY_DRIP:
            sequence.document.warn(key, where, "drip fills this in itself; declaring it does nothing", "remove it")
        found[name] = _variable(sequence, node, where)
    return found


def _variable(sequence: Section, node: Node, where: str) -> Variable:
    document = sequence.document
    if isinstance(node, Scalar):
        if node.text:
            hint = f"write {{default: {node.text[:40]}}}"
            document.report(node, where, f"found {describe(node)}, wanted default, required or example", hint)
        return Variable()
    section = section_of(document, node, where, VARIABLE_KEYS)
    if section is None:
        return Variable()
    default, example = (
        plain_value(document, given, section.path(key)) if (given := section.get(key)) is not None else None
        for key in ("default", "example")
    )
    required = section.flag("required") or False
    if required and default is not None:
        section.warn("default", "it is never used: the variable is required", "remove `default` or `required`")
    return Variable(default=default, required=required, example=example)


def check_variables(sequence: Section, declared: Mapping[str, Variable], uses: Iterable[Use]) -> None:
    """Warn about variables that are used and not declared, once any is, and about those that nothing uses.

    Args:
        uses: each use of a variable: its name, the place and the key path that use it.
    """
    if not declared:
        return
    from drip.render.lint import BUILTIN_NAMES  # with Jinja2 behind it

    used: set[str] = set()
    for name, place, where in uses:
        if name not in used and name not in declared and name not in BUILTIN_NAMES:
            hint = suggest(name, declared, listing=False) or f"declare it: variables: {{{name}: {{default: …}}}}"
            sequence.document.warn(place, where, f"the variable {name!r} is not declared", hint)
        used.add(name)
    keys = {key.text: key for key, _ in sequence.entries("variables", "names")}
    for name in declared:
        # `timezone` is read by the schedule, not by a template.
        if name in keys and name not in used and name not in FILLED_BY_DRIP | {"timezone"}:
            sequence.document.warn(keys[name], f"{sequence.path('variables')}.{name}", "nothing uses it")
