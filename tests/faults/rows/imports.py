"""Row 27: a file of people is taken in whole batches or not at all, and taken again it adds nobody twice."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from drip.cli.people import importing
from drip.cli.people.csv_file import BadRow, read_people
from drip.errors import Invalid
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import Trial, run_drip

FILES = 340
"""Hostile files in a trial."""
BATCH, PEOPLE = 40, 400
SECONDS = 2.0
"""Of the processor, for one file."""
PIECES = [
    "a@example.com", "email", "name", ",", ";", "\t", '"', '""', "\n", "\r\n", "\r", "\0", "\ufeff",
    "=cmd|'/c calc'!A1", "@SUM(1)", "é", "\u2028", "\x1b[31m", "started_at", "2026-03-27", "9" * 400, "x" * 140_000,
    "'", "\\", " ", "😀",
]  # fmt: skip


def trial(case: Case) -> Figures:
    """Hostile files are read; then an import is killed in the middle, and done again."""
    figures, random = Figures(trials=1, faults=FILES), case.random
    for _ in range(FILES):
        figures.breaches += _read(_hostile(random))
    one = Trial(case, 0, port=25)
    bad = sorted(random.sample(range(PEOPLE), 5))
    lines = [f"n{number}@example.com" if number not in bad else f"nobody{number}" for number in range(PEOPLE)]
    (case.folder / "people.csv").write_text("email\n" + "\n".join(lines) + "\n")
    child = run_drip(one, "import", "trial", "people.csv", before=_smaller_batches)
    wanted = random.randrange(PEOPLE)
    deadline = time.monotonic() + 20
    while child.poll() is None and (there := _count(one)) < wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    figures.kills += child.kill()
    there = _count(one)
    whole = {
        sum(number not in bad for number in range(min(end, PEOPLE))) for end in range(0, PEOPLE + BATCH + 1, BATCH)
    }
    figures.breach(there not in whole, f"killed in the middle of a batch: {there} are in")
    for _ in range(2):
        code = run_drip(one, "import", "trial", "people.csv", before=_smaller_batches).wait()
        said = one.errors.read_text()
        figures.breach(code != 1, f"exit code {code}: {said[-300:]}")
        figures.breach(_count(one) != PEOPLE - len(bad), f"{_count(one)} are in, not {PEOPLE - len(bad)}")
    for number in bad:
        figures.breach(f"line {number + 2}: " not in said, f"line {number + 2} is not named")
    one.look_over(figures)
    return figures


def _smaller_batches() -> None:
    importing.BATCH = BATCH


def _count(one: Trial) -> int:
    with one.project().opened() as store:
        return int(store.database.value("SELECT COUNT(*) FROM subscription"))


def _hostile(random: Random) -> bytes:
    """A file that is almost one."""
    text = "email,name,plan\n" + "".join(random.choice(PIECES) for _ in range(random.randrange(60)))
    raw = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(random.randrange(4)):
        at = random.randrange(len(raw))
        raw[at : at + random.randrange(3)] = random.choice((b"\xff", b"\xff\xfe", b"", b"\x00", b'"', b"\xe9"))
    return bytes(raw[: random.choice((len(raw), random.randrange(len(raw) + 1)))])


def _read(raw: bytes) -> list[str]:
    """What is wrong with how a file is read."""
    began, found = time.process_time(), []
    lines = raw.count(b"\n") + raw.count(b"\r") + 2
    try:
        for row in read_people(io.BytesIO(raw)):
            if not 1 <= row.line <= lines:
                found.append(f"line {row.line} of {lines}: {raw[:200]!r}")
            if isinstance(row, BadRow):
                if not row.message:
                    found.append(f"refused without a word: {raw[:200]!r}")
            elif any(character in row.email + row.name for character in "\0\r\n\x1b\u2028"):
                found.append(f"a control character came in: {row!r}"[:300])
    except Invalid as error:
        if not error.message:
            found.append(f"refused without a word: {raw[:200]!r}")
    except Exception as error:
        found.append(f"raised {type(error).__name__}: {error} for {raw[:200]!r}")
    if time.process_time() - began > SECONDS:
        found.append(f"took longer than {SECONDS} s: {raw[:200]!r}")
    return found


@contextmanager
def row_by_row() -> Iterator[None]:
    """Each person is a transaction of their own."""
    take = importing._Importer.take

    def one_by_one(self: importing._Importer, rows: list[object]) -> None:
        for row in rows:
            take(self, [row])  # type: ignore[list-item]

    with patch.object(importing._Importer, "take", one_by_one):
        yield


ROWS = [
    Row(
        number=27,
        promise="Imports are taken in whole batches, and nobody twice",
        fault="hostile CSV (NUL, long fields, marks, mixed encodings, formulas, open quotes), kill -9 in the middle",
        ci=5000,
        release=50_000,
        unit="files",
        per_trial=FILES,
        trial=trial,
        control=Control("a transaction for each person", row_by_row, within=6, shows="in the middle of a batch"),
    )
]
