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

from drip.cli.files import problems as command
from drip.cli.main import drip
from drip.errors import Problem
from drip.files.sequences import ProjectFiles
from drip.project import open_project
from tests.cli.conftest import CONFIG
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import look_over
from tests.files.projects import errors, problems, write
from tests.files.test_reader_properties import LARGE, MEGABYTE, PIECES, edited
from tests.files.test_sequences import FILES

DAMAGED = 250
"""Files in a trial that are damaged by chance, and read."""
WHOLE = {"drip.yaml": CONFIG, **FILES}
CUTS: list[tuple[str, int | None]] = [(name, at) for name, text in WHOLE.items() for at in range(len(text.encode()))]
"""Every octet of every file, at which it ends too early; the trials share them out."""
SHARES = 40
APPLIED = 10
"""Of a trial's damaged files, how many are applied by the command."""
SECONDS = 2.0
"""Of the processor, for one project."""
_PLACE = re.compile(r"(?:drip|sequences/[\w./-]+)\.(?:yaml|md|html|txt)(?::\d+:\d+)?: ")
KINDS = ("edit", "edit", "edit", "merge", "twice", "link")


def trial(case: Case) -> Figures:
    """Files of a project that stands, damaged one after the other."""
    figures, random = Figures(trials=1), case.random
    write(case.folder, WHOLE)
    assert _apply(case.folder)[0] == 0
    before = _state(case.folder)
    rounds = [[place] for place in CUTS[case.number % SHARES :: SHARES]] + _crowds(random)
    applied = set(random.sample(range(len(rounds)), APPLIED))
    for number, places in enumerate(rounds):
        done = [
            _damage(random, case.folder, name) if at is None else _cut(case.folder, name, at) for name, at in places
        ]
        what = ", ".join(done)
        figures.faults += len(done)
        found = _read(case.folder, figures, what)
        if number in applied and errors(found):
            code, said = _apply(case.folder)
            figures.breach(code == 0, f"{what}: applied in spite of its problems")
            # A template that lost its subject is a problem of the step that names it: a file is named, with a place.
            figures.breach(not _PLACE.search(said), f"{what}: no file is named: {said[:300]}")
            figures.counts["applied"] += 1
        for name, _ in places:
            (case.folder / name).unlink()
        write(case.folder, {name: WHOLE[name] for name, _ in places})
        if number in applied:
            figures.breach(_state(case.folder) != before, f"{what}: the old state is gone")
    with open_project(case.folder).opened() as store:
        look_over(store.database, figures)
    if case.number % 2 == 0:
        figures.breaches += _large(case)
    return figures


def _crowds(random: Random) -> list[list[tuple[str, int | None]]]:
    """The files that are damaged by chance, one to three of them at a time: each is read, whatever the others are."""
    left = DAMAGED
    crowds: list[list[tuple[str, int | None]]] = []
    while left:
        names = random.sample(list(FILES), min(left, random.randint(1, 3)))
        crowds.append([(name, None) for name in names])
        left -= len(names)
    return crowds


def _cut(folder: Path, name: str, at: int) -> str:
    (folder / name).write_bytes(WHOLE[name].encode()[:at])
    return f"{name} cut at {at}"


def _damage(random: Random, folder: Path, name: str) -> str:
    """Damage a file of the sequences in one way; what was done."""
    kind = random.choice(KINDS)
    path, text = folder / name, FILES[name]
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines))
    match kind:
        case "edit":
            edits = [(random.randrange(4000), random.randrange(12), random.choice([*PIECES, ""])) for _ in range(3)]
            path.write_bytes(edited(text, edits))
            return f"{name} edited {edits!r}"
        case "merge":
            lines[at : at + 1] = ["<<<<<<< HEAD\n", lines[at], "=======\n", lines[at], ">>>>>>> other\n"]
            path.write_text("".join(lines))
            return f"{name} with the marks of a merge at line {at + 1}"
        case "twice":
            path.write_text("".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]))
            return f"{name} with line {at + 1} twice"
    path.unlink()
    path.symlink_to(random.choice(("/etc/passwd", "/dev/zero", str(path), "/proc/self/environ", "/nonexistent")))
    return f"{name} as a link to {path.readlink()}"


def _read(folder: Path, figures: Figures, what: str) -> tuple[Problem, ...]:
    """The problems of the project."""
    began = time.process_time()
    try:
        found = problems(folder)
    except Exception as error:
        figures.breaches.append(f"{what}: raised {type(error).__name__}: {error}")
        return ()
    figures.breach(time.process_time() - began > SECONDS, f"{what}: took longer than {SECONDS} s")
    for problem in found:
        figures.breach(not problem.path or not problem.message, f"{what}: a problem without its place: {problem}")
    return found


def _apply(folder: Path) -> tuple[int, str]:
    result = CliRunner().invoke(drip, ["-C", str(folder), "apply", "--yes"], prog_name="drip")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def _state(folder: Path) -> list[object]:
    with open_project(folder).opened() as store:
        tables = ("sequence", "step", "revision", "template", "event")
        return [row for table in tables for row in store.database.rows(f"SELECT * FROM {table} ORDER BY 1")]


def _large(case: Case) -> list[str]:
    """One file that is made to hold up the reader."""
    name, source = list(LARGE.items())[case.number // 2 % len(LARGE)]
    text = eval(source, {"M": MEGABYTE})[:MEGABYTE]
    (case.folder / "sequences" / "onboarding.yaml").write_text(text)
    figures = Figures()
    _read(case.folder, figures, f"a megabyte of {name}")
    return figures.breaches


def some_were_applied(figures: Figures) -> Iterator[str]:
    """Damage that the command was never given shows nothing of the database."""
    if figures.trials >= SHARES and figures.counts["applied"] < 2 * figures.trials:
        yield f"only {figures.counts['applied']} damaged files were applied in {figures.trials} trials"


@contextmanager
def what_can_be_read() -> Iterator[None]:
    """Whatever could be read is applied, its problems or not."""

    def usable(read: ProjectFiles) -> ProjectFiles:
        return read

    with patch.object(command, "usable", usable):
        yield


ROWS = [
    Row(
        number=19,
        promise="Bad files change nothing",
        fault="cut at every octet, edited by chance, marks of a merge, lines twice, links, a megabyte of anything",
        ci=10_000,
        release=100_000,
        unit="files",
        per_trial=DAMAGED,
        table=SHARES,
        trial=trial,
        judged=some_were_applied,
        control=Control("applies what could be read", what_can_be_read, within=4, shows="in spite of"),
    )
]
