"""`${NAME}` and `${NAME:-default}` in the values of drip.yaml. The environment is an argument, never read here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from drip.files.document import Document
from drip.files.tree import ListNode, MappingNode, Node, Scalar, Style, place_of

_REFERENCE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")


def fill(document: Document, node: Node, environ: Mapping[str, str], where: str = "") -> Node:
    """The same tree with every reference replaced. A missing variable is a problem at its line."""
    if isinstance(node, ListNode):
        items = [fill(document, item, environ, f"{where}[{index}]") for index, item in enumerate(node.items)]
        return ListNode(node.line, node.column, items)
    if isinstance(node, MappingNode):
        entries = {
            name: (key, fill(document, value, environ, f"{where}.{name}" if where else name))
            for name, (key, value) in node.entries.items()
        }
        return MappingNode(node.line, node.column, entries)
    return _fill_scalar(document, node, environ, where) if "${" in node.text else node


def _fill_scalar(document: Document, scalar: Scalar, environ: Mapping[str, str], where: str) -> Scalar:
    broken = False

    def value(found: re.Match[str]) -> str:
        nonlocal broken
        name, default = found.groups()
        problem = _problem(name, default, environ)
        if problem is None:
            return environ.get(name) or default or ""
        broken = True
        document.report(document.inside(scalar, *place_of(scalar.text, found.start())), where, *problem)
        return ""

    text = _REFERENCE.sub(value, scalar.text)
    return replace(scalar, text="" if broken else text, style=Style.BROKEN if broken else Style.FILLED)


def _problem(name: str | None, default: str | None, environ: Mapping[str, str]) -> tuple[str, str] | None:
    if name is None:
        return "'${' begins no variable", "write ${NAME} or ${NAME:-default}"
    if default is None and name not in environ:
        return f"the environment variable {name} is not set", f"set it, or write ${{{name}:-default}}"
    if not environ.get(name, "").isprintable():
        return (
            f"the environment variable {name} holds characters that can't be used here",
            "set it to one line of UTF-8",
        )
    return None
