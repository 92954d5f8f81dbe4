"""Row 18: a database that is put back to what it was, after more was sent."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from drip.engine import people
from drip.engine.subscribe import Request, subscribe_many
from drip.store.highwater import HighWaterMark
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.rows.consent import TWO_STEPS
from tests.faults.trial import Trial, a_trial, run_drip

DUE = 16
MESSAGES = 2
"""For each person."""


def trial(case: Case) -> Figures:
    """A backup at some moment, more is sent, the backup takes the place of the file; once more in every third trial."""
    figures = Figures(trials=1)
    latency, connections = case.random.choice((0.002, 0.006)), case.random.randint(1, 4)
    with a_trial(case, due=DUE, sequence=TWO_STEPS, connections=connections, latency=latency) as one:
        backup = case.folder / "backup.db"
        _back_up_meanwhile(one, backup, case)
        # Somebody whose id the backup knows nothing of, and who is mailed.
        _subscribe(one, "gap@example.com")
        one.finish()
        for number in range(1 + (case.number % 3 == 2)):
            _go_back(one, backup, figures)
            _subscribe(one, f"new{number}@example.com")
            one.finish()
            _settle_all(one)
        ids = Counter(message.message_id for message in one.messages())
        twice = [message_id for message_id, count in ids.items() if count > 1]
        figures.duplicates = len(twice)
        figures.breach(bool(twice), f"{len(twice)} were sent twice by Message-ID")
        got = Counter(message.recipients[0] for message in one.messages())
        most = max(got.values())
        figures.breach(most > MESSAGES, f"somebody got {most} messages instead of {MESSAGES}")
        short = [f"p{number}@example.com" for number in range(DUE) if got[f"p{number}@example.com"] < MESSAGES]
        figures.lost = len(short)
        figures.breach(bool(short), f"{len(short)} did not get all: {short[:3]}")
        one.look_over(figures)
    return figures


def _back_up_meanwhile(one: Trial, backup: Path, case: Case) -> None:
    """A backup at a random moment of a run, or before it; the run then comes to its end."""
    child = one.start() if case.number % 2 else None
    if child is not None:
        one.wait_for(case.random.randint(0, DUE), child)
        time.sleep(case.random.random() * 0.01)
    source, target = sqlite3.connect(one.folder / "drip.db"), sqlite3.connect(backup)
    source.backup(target)
    source.close()
    target.close()
    code = (child or one.start()).wait()
    assert code == 0, one.errors.read_text()


def _go_back(one: Trial, backup: Path, figures: Figures) -> None:
    """Put the backup in the place of the file: a run must refuse, say both numbers, and send nothing."""
    for path in one.folder.glob("drip.db-*"):
        path.unlink()
    written = _last_event(one.folder / "drip.db")
    shutil.copy(backup, one.folder / "drip.db")
    known = _last_event(one.folder / "drip.db")
    before, said_before = one.accepted(), len(one.errors.read_text())
    code = run_drip(one, "run", "--once").wait()
    said = one.errors.read_text()[said_before:]
    numbers = {int(found) for found in re.findall(r"\d+", said)}
    figures.faults += 1
    figures.breach(code != 3, f"a database that went back: exit code {code}: {said[-300:]}")
    figures.breach(not {known, written} <= numbers, f"{known} and {written} are not said: {said[-300:]}")
    figures.breach("Traceback" in said, f"a traceback: {said[-300:]}")
    sent = one.accepted() - before
    figures.breach(sent > 0, f"{sent} were sent from a database that went back")
    code = run_drip(one, "resolve", "--restored", "--hold").wait()
    figures.breach(code != 0, f"resolve --restored: exit code {code}: {one.errors.read_text()[-300:]}")


def _last_event(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()[0])
    finally:
        connection.close()


def _subscribe(one: Trial, email: str) -> None:
    with one.project().opened() as store:
        subscribe_many(store, one.project().settings, "trial", [Request(email, "Somebody")], datetime.now(UTC))


def _settle_all(one: Trial) -> None:
    """Settle what is held, step by step, as the server's log has it."""
    for _ in range(MESSAGES + 1):
        got = Counter(message.recipients[0] for message in one.messages())
        with one.project().opened() as store:
            held = store.deliveries.unknown()
            settings = one.project().settings
            for delivery in held:
                place = ("one", "two").index(delivery.step)
                people.resolve(store, settings, delivery.id, sent=got[delivery.email] > place, now=datetime.now(UTC))
        one.finish()
        if not held:
            return


@contextmanager
def no_mark() -> Iterator[None]:
    """Nothing beside the database knows how far it was."""
    blind: Callable[[HighWaterMark], None] = lambda self: None  # noqa: E731
    with patch.object(HighWaterMark, "ahead", blind):
        yield


ROWS = [
    Row(
        number=18,
        promise="A database that went back in time is noticed",
        fault="a backup of before or from the middle of a run takes the file's place, once or twice",
        ci=20,
        release=60,
        trial=trial,
        control=Control("no mark beside the database", no_mark, within=6, shows="twice by Message-ID"),
    )
]
