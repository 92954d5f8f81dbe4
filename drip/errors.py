"""Every error drip raises on purpose. No I/O and no knowledge of any library enters here.

    DripError                the root: a message, and a hint that says what to do next
    ├── Invalid              what was asked is wrong as written; asking again changes nothing
    │   ├── FilesInvalid     files with problems, each with its place
    │   ├── FieldInvalid     one field of a request
    │   └── NotFound         a name that does not exist, with the nearest that does
    ├── Refused              the request is well formed, the state of things forbids it (a code says why)
    ├── RenderFailed         a template could not be rendered for one person
    └── Unavailable          a server or database can't be used now; the same call may succeed later
        └── DatabaseUnavailable
            ├── DatabaseEmpty
            └── DatabaseRestored

The command line maps them to exit codes in one place (`drip/cli/main.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class DripError(Exception):
    """The root of all errors that are told to a person in words, without a traceback."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Invalid(DripError):
    """Usage, configuration or a file is wrong."""


class Severity(StrEnum):
    """How much a problem in a file matters."""

    ERROR = "error"  # nothing is applied while it is there
    WARNING = "warning"  # said by `check`, stops nothing


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one file."""

    path: str
    """The file, relative to the project's folder."""
    line: int
    """From 1; 0 when the problem has no line (the file is missing)."""
    column: int
    """From 1; 0 when the problem has no column."""
    where: str
    """The key path in the file, as `steps[2].delay`; empty for the file as a whole."""
    message: str
    """What is wrong."""
    hint: str | None = None
    """What to write instead."""
    severity: Severity = Severity.ERROR
    """A warning never stops `apply`."""

    def __str__(self) -> str:
        place = ":".join([self.path, *([str(self.line), str(self.column)] if self.line else [])])
        where = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        level = "warning: " if self.severity is Severity.WARNING else ""
        return f"{place}: {level}{where}{self.message}{hint}"


class FilesInvalid(Invalid):
    """Files that can't be used, with every problem found in them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class FieldInvalid(Invalid):
    """One field of a request can't be taken.

    Args:
        field: as the request names it; empty for the request as a whole.
        code: why, in the API's vocabulary: `invalid_field`, `content_missing`, `template_not_found`.
    """

    def __init__(self, field: str, message: str, hint: str | None = None, code: str = "invalid_field") -> None:
        super().__init__(message, hint)
        self.field = field
        self.code = code


class NotFound(Invalid):
    """A name that does not exist.

    Args:
        known: those that do, for the hint.
        place: where it was looked for, with a blank before it.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str] = (), hint: str | None = None, place: str = ""
    ) -> None:
        super().__init__(f"there is no {kind} {name!r}{place}", hint or did_you_mean(name, known))
        self.kind = kind
        self.name = name


class Refused(DripError):
    """The request is well formed, but what is stored forbids it.

    Args:
        code: why, in the API's vocabulary of `http-api.md`: `subscription_terminal`, `contact_suppressed`, …
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.code = code


class RenderFailed(DripError):
    """A template could not be rendered for one person; the message names template, line and variable."""


class Unavailable(DripError):
    """A mail server or a database can't be used now."""


class DatabaseUnavailable(Unavailable):
    """The database is missing, locked, full, newer than this program, or its server does not answer."""


class DatabaseBusy(DatabaseUnavailable):
    """Nothing was begun: somebody else writes, and was not to be waited for."""


class DatabaseEmpty(DatabaseUnavailable):
    """There is no database yet, or nothing in it."""


class DatabaseRestored(DatabaseUnavailable):
    """The database has gone back in time: somebody must say what of the lost time may be sent."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, in capitals or not, or None when none is like it."""
    folded = {one.casefold(): one for one in known}
    matches = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that suggests the nearest known name, or lists the few there are; None when nothing helps."""
    names = sorted(set(known))
    best = nearest(name, names)
    if best is not None:
        return f"did you mean {best!r}?"
    if 0 < len(names) <= 8:
        return "there is " + ", ".join(names)
    return None
