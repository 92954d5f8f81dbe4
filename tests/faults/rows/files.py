"""Row 19: files that were cut off, edited by chance or made to do harm change nothing; each problem has its place."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from unittest.mock import patch

from click.testing import CliRunner

from drip.cli.files import problems
from drip.cli.main import drip
from drip.errors import Severity
from drip.files.sequences import ProjectFiles
from drip.project import open_project
from tests.cli.conftest import CONFIG
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import look_over
from tests.files.projects import load, write
from tests.files.test_reader_properties import LARGE, MEGABYTE, PIECES, edited
from tests.files.test_sequences import FILES

DAMAGED = 50
"""Damaged files in a trial that are read."""
APPLIED = 6
"""Of those, how many are applied by the command."""
SECONDS = 2.0
"""Of the processor, for one project."""
_PLACE = re.compile(r"sequences/[\w./-]+\.(?:yaml|md|html|txt)(?::\d+:\d+)?: ")
KINDS = ("cut", "edit", "merge", "twice", "link")


def trial(case: Case) -> Figures:
    """Files of a project that stands, damaged one after the other."""
    figures, random = Figures(trials=1), case.random
    write(case.folder, {"drip.yaml": CONFIG, **FILES})
    assert _apply(case.folder)[0] == 0
    before = _state(case.folder)
    applied = set(random.sample(range(DAMAGED), APPLIED))
    for number in range(DAMAGED):
        name = random.choice(list(FILES))
        what = _damage(case, random, case.folder / name, FILES[name], number)
        figures.faults += 1
        found = _read(case.folder, figures, what)
        if found is not None and number in applied and _errors(found):
            code, said = _apply(case.folder)
            figures.breach(code == 0, f"{what}: applied in spite of its problems")
            # A template that lost its subject is a problem of the step that names it: a file is named, with a place.
            figures.breach(not _PLACE.search(said), f"{what}: no file is named: {said[:300]}")
            figures.breach(_state(case.folder) != before, f"{what}: the old state is gone")
        (case.folder / name).unlink()
        write(case.folder, {name: FILES[name]})
    with open_project(case.folder).opened() as store:
        look_over(store.database, figures)
    figures.breaches += _large(case, random)
    return figures


def _damage(case: Case, random: Random, path: Path, text: str, number: int) -> str:
    """Damage one file in one way; what was done."""
    kind = KINDS[number % len(KINDS)]
    raw = text.encode()
    match kind:
        case "cut":
            at = (case.number * DAMAGED + number) % (len(raw) + 1)
            path.write_bytes(raw[:at])
            return f"{path.name} cut at {at}"
        case "edit":
            edits = [(random.randrange(4000), random.randrange(12), random.choice([*PIECES, ""])) for _ in range(3)]
            path.write_bytes(edited(text, edits))
            return f"{path.name} edited {edits!r}"
        case "merge":
            lines = text.splitlines(keepends=True)
            at = random.randrange(len(lines))
            lines[at : at + 1] = ["<<<<<<< HEAD\n", lines[at], "=======\n", lines[at], ">>>>>>> other\n"]
            path.write_text("".join(lines))
            return f"{path.name} with the marks of a merge at line {at + 1}"
        case "twice":
            lines = text.splitlines(keepends=True)
            at = random.randrange(len(lines))
            path.write_text("".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]))
            return f"{path.name} with line {at + 1} twice"
    path.unlink()
    path.symlink_to(random.choice(("/etc/passwd", "/dev/zero", str(path), "/proc/self/environ", "/nonexistent")))
    return f"{path.name} as a link to {path.readlink()}"


def _read(folder: Path, figures: Figures, what: str) -> ProjectFiles | None:
    began = time.process_time()
    try:
        found = load(folder)
    except Exception as error:
        figures.breaches.append(f"{what}: raised {type(error).__name__}: {error}")
        return None
    figures.breach(time.process_time() - began > SECONDS, f"{what}: took longer than {SECONDS} s")
    for problem in found.problems:
        figures.breach(not problem.path or not problem.message, f"{what}: a problem without its place: {problem}")
    return found


def _errors(found: ProjectFiles) -> bool:
    return any(problem.severity is Severity.ERROR for problem in found.problems)


def _apply(folder: Path) -> tuple[int, str]:
    result = CliRunner().invoke(drip, ["-C", str(folder), "apply", "--yes"], prog_name="drip")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def _state(folder: Path) -> list[object]:
    with open_project(folder).opened() as store:
        tables = ("sequence", "step", "revision", "template", "event")
        return [row for table in tables for row in store.database.rows(f"SELECT * FROM {table} ORDER BY 1")]


def _large(case: Case, random: Random) -> list[str]:
    """One file that is made to hold up the reader."""
    name, source = random.choice(list(LARGE.items()))
    text = eval(source, {"M": MEGABYTE})[:MEGABYTE]
    (case.folder / "sequences" / "onboarding.yaml").write_text(text)
    figures = Figures()
    _read(case.folder, figures, f"a megabyte of {name}")
    return figures.breaches


@contextmanager
def what_can_be_read() -> Iterator[None]:
    """Whatever could be read is applied, its problems or not."""

    def usable(files: ProjectFiles) -> ProjectFiles:
        return files

    with patch.object(problems, "usable", usable):
        yield


ROWS = [
    Row(
        number=19,
        promise="Bad files change nothing",
        fault="cut at every octet, edited by chance, marks of a merge, lines twice, links, a megabyte of anything",
        ci=1000,
        asked=10_000,
        release=100_000,
        unit="files",
        per_trial=DAMAGED,
        trial=trial,
        control=Control("applies what could be read", what_can_be_read, within=4, shows="in spite of"),
    )
]
