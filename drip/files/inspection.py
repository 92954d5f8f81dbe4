"""Looks at one template source and reports what is wrong with it at its place in the file.

What a template may say is decided in `drip.render.lint`, what a mail should be in `drip.files.mail_warnings`; here is
the way from a place in a source to a place in a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from drip.errors import Severity
from drip.files.document import Document
from drip.files.mail_warnings import TAG, mail_warnings
from drip.files.tree import Scalar, place_of

if TYPE_CHECKING:
    from drip.render.lint import Inspection

Kind = Literal["html", "markdown", "text", "subject", "layout"]

LARGEST_SOURCE = 512 * 1024
"""Octets of one content; as much as one that is rendered may have."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a source reads."""

    variables: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()
    """Names as written in `{% include %}`."""


def inspect(
    document: Document,
    source: str,
    kind: Kind,
    *,
    scalar: Scalar | None = None,
    where: str = "",
    line_offset: int = 0,
) -> Inspected:
    """Report what is wrong with a source, and return what it reads.

    Args:
        scalar: the value in a YAML file that the source is; None when it is (the end of) a file of its own.
        where: the key path of that value.
        line_offset: lines of the file before the source.
    """

    def place(line: int, column: int) -> tuple[int, int]:
        line, column = max(line, 1), max(column, 1)
        return document.inside(scalar, line, column) if scalar is not None else (line + line_offset, column)

    inspection = _inspect(source, kind)
    for finding in inspection.findings:
        spot = place(finding.line, finding.column)
        document.report(spot, where, finding.message, finding.hint, finding.severity)
    if not any(finding.severity is Severity.ERROR for finding in inspection.findings):
        for offset, message, hint in mail_warnings(source, kind):
            document.warn(place(*place_of(source, offset)), where, message, hint)
    return Inspected(inspection.variables, inspection.includes)


def use_of(source: str, name: str) -> tuple[int, int]:
    """Line and column, from 1, where a tag of a source first reads a variable."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    for tag in TAG.finditer(source):
        if (found := word.search(tag[0])) is not None:
            return place_of(source, tag.start() + found.start())
    return 1, 1


@lru_cache(maxsize=256)
def _inspect(source: str, kind: Kind) -> Inspection:
    from drip.render.lint import Finding, Inspection, inspect_template  # with Jinja2: not for readers of drip.yaml

    if len(source.encode()) > LARGEST_SOURCE:
        message, hint = f"it is larger than {LARGEST_SOURCE // 1024} KB", "Gmail clips what is over 102 KB"
        return Inspection((Finding(1, 1, Severity.ERROR, message, hint),), frozenset(), frozenset())
    try:
        return inspect_template(source, kind)
    # Jinja2 hands numbers on to Python, which refuses those with thousands of digits.
    except ValueError as error:
        message = f"the template can't be compiled: {error}"
        return Inspection((Finding(1, 1, Severity.ERROR, message, None),), frozenset(), frozenset())
