"""What came of a test of a sequence file, to be shown: side by side, or as JSON values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len

from drip.cli.output import clean
from drip.engine.verdicts import Verdict

LONGEST_LEFT = 60
"""Characters of the left column, at the most; what is longer pushes the right one on."""


def verdict_object(verdict: Verdict, path: str) -> dict[str, Any]:
    """What came of one test, as JSON values."""
    return {
        "sequence_id": verdict.sequence,
        "name": verdict.test.name,
        "path": path,
        "line": verdict.test.line,
        "passed": verdict.passed,
        "lines": [{"expected": line.expected, "got": line.got, "same": line.same} for line in verdict.lines],
    }


def side_by_side(verdict: Verdict) -> Iterator[tuple[str, bool]]:
    """Expected and got in two columns; `≠` marks what differs."""
    rows = [("expected", "got", True), *((clean(line.expected), clean(line.got), line.same) for line in verdict.lines)]
    width = min(max(cell_len(left) for left, _, _ in rows), LONGEST_LEFT)
    for left, right, same in rows:
        space = " " * max(0, width - cell_len(left))
        yield f"      {' ' if same else '≠'} {left}{space}   {right}", same
