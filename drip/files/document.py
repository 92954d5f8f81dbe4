"""One file being read: its text as a tree, and the problems found in it so far, each at its place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from drip.errors import Problem, Severity
from drip.files.tree import MOST_PROBLEMS, WHOLE_FILE, Node, Scalar, Style, TreeProblem, decode, read_tree


@dataclass(slots=True)
class Document:
    """One file being read: its lines, and the problems found in it so far."""

    path: str
    """Relative to the project's folder."""
    lines: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _counts: Counter[Severity] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        """Whether so much is wrong that more would not help."""
        return self._counts[Severity.ERROR] > MOST_PROBLEMS

    @property
    def failed(self) -> bool:
        """Whether an error was found."""
        return self._counts[Severity.ERROR] > 0

    def report(
        self,
        place: Node | tuple[int, int],
        where: str,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Keep one problem; beyond a hundred of a kind only says that there are more."""
        self._counts[severity] += 1
        if self._counts[severity] > MOST_PROBLEMS + 1:
            return
        line, column = place if isinstance(place, tuple) else (place.line, place.column)
        if self._counts[severity] > MOST_PROBLEMS:
            where, message, hint = "", f"and more: these are the first hundred {severity}s", None
        self.problems.append(Problem(self.path, line, column, where, message, hint, severity))

    def warn(self, place: Node | tuple[int, int], where: str, message: str, hint: str | None = None) -> None:
        """Keep one warning."""
        self.report(place, where, message, hint, Severity.WARNING)

    def read(self, raw: bytes, *, empty: str | None = None) -> Node | None:
        """The tree of the file; None when there is nothing to go on with.

        Args:
            empty: the problem that an empty file is; None when it is none.
        """
        try:
            text = decode(raw)
        except TreeProblem as problem:
            self.report((problem.line, problem.column), "", problem.message, problem.hint)
            return None
        self.lines = text.split("\n")
        root, problems = read_tree(text)
        for found in problems:
            self.report((found.line, found.column), "", found.message, found.hint)
        if root is None and not problems and empty is not None:
            self.report(WHOLE_FILE, "", empty)
        return root

    def inside(self, scalar: Scalar, line: int, column: int) -> tuple[int, int]:
        """The place in the file of a place in a value's text; the value's own where it can't be told.

        Args:
            line: from 1.
            column: from 1.
        """
        if scalar.style is Style.LITERAL:
            return scalar.line + line, self._indent(scalar) + column
        if scalar.line == scalar.end_line and line == 1:
            return scalar.line, scalar.column + column - 1 + (scalar.style is Style.QUOTED)
        return scalar.line, scalar.column

    def _indent(self, scalar: Scalar) -> int:
        for offset, line in enumerate(scalar.text.split("\n")):
            if line.strip() and scalar.line + offset < len(self.lines):
                return max(len(self.lines[scalar.line + offset]) - len(line), 0)
        return 0
