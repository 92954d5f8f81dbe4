"""Problems in files, as they are shown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drip.cli.output import clean, count, line, note, paint
from drip.errors import FilesInvalid, Problem, Severity
from drip.files.sequences import ProjectFiles

NO_FILES = "there are no sequence files yet: `drip init` writes an example"


def problem_object(problem: Problem) -> dict[str, Any]:
    """A problem as JSON values."""
    return {
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "severity": problem.severity.value,
        "where": problem.where,
        "message": problem.message,
        "hint": problem.hint,
    }


def show_problems(problems: Sequence[Problem], sequences: int) -> None:
    """Each in a line on stdout, then how many in a line on stderr."""
    for problem in problems:
        line(paint(clean(str(problem)), "yellow" if problem.severity is Severity.WARNING else "red"))
    warnings = sum(problem.severity is Severity.WARNING for problem in problems)
    errors = len(problems) - warnings
    if not sequences and not errors:
        note(NO_FILES)
        return
    found = ", ".join(count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number)
    note(f"{count(sequences, 'sequence file')}: {found or 'no problems'}")


def usable(files: ProjectFiles) -> ProjectFiles:
    """The files, when they have no errors; warnings are counted on stderr.

    Raises:
        FilesInvalid: with every error in them.
    """
    errors = [problem for problem in files.problems if problem.severity is Severity.ERROR]
    if errors:
        raise FilesInvalid(errors)
    if files.problems:
        note(f"{count(len(files.problems), 'warning')} in the files: `drip check` shows them")
    return files
