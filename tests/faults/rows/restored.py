"""Row 18: a database that is put back to what it was, or exchanged for a copy of it, after more was sent."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from drip.engine import people
from drip.engine.subscribe import Request, subscribe_many
from drip.store.highwater import HighWaterMark
from drip.store.opening import open_url
from drip.store.store import Store
from tests.databases import name_of, server
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.rows.consent import TWO_STEPS
from tests.faults.trial import Trial, a_trial, run_drip

DUE = 8
MESSAGES = 2
"""For each person."""


def trial(case: Case) -> Figures:
    """What is in the database's place knows nothing of what was sent: said, held, settled, and nothing sent twice."""
    figures = Figures(trials=1)
    latency, connections = case.random.choice((0.002, 0.006)), case.random.randint(1, 4)
    with a_trial(case, due=DUE, sequence=TWO_STEPS, connections=connections, latency=latency) as one, Copy(one) as copy:
        KINDS[case.number % len(KINDS)](one, copy, case, figures)
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


class Copy:
    """A copy of the trial's database that can take its place, as an operator would put it there."""

    def __init__(self, one: Trial) -> None:
        self._one = one
        self._file = one.folder / "copy.db"
        self._url = one.project().settings.database
        self._on_server = self._url.startswith("postgresql")
        self._name = f"{name_of(self._url)}_copy" if self._on_server else ""

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._on_server:
            server().sql(f"DROP DATABASE IF EXISTS {self._name}")

    def make(self) -> None:
        """Copy the database as it is now; on PostgreSQL nobody may be at work."""
        if self._on_server:
            self._exchange(name_of(self._url), self._name)
            return
        self._file.unlink(missing_ok=True)
        with self._one.project().opened() as store:
            store.database.backup_to(self._file)

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Open it, as another host does that has it for its database."""
        on_server = self._url.rpartition("/")[0] + "/" + self._name
        store = Store(open_url(on_server if self._on_server else f"sqlite:///{self._file}"))
        with store.opened():
            yield store

    def put_in_place(self) -> None:
        """Let the copy be the database; nobody is at work."""
        if self._on_server:
            self._exchange(self._name, name_of(self._url))
            return
        for path in self._one.folder.glob("drip.db-*"):
            path.unlink()
        shutil.copy(self._file, self._one.file)

    def _exchange(self, template: str, name: str) -> None:
        server().sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server().sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'")
        server().sql(f"CREATE DATABASE {name} TEMPLATE {template}")


def _restored(one: Trial, copy: Copy, case: Case, figures: Figures) -> None:
    """A backup of before a run or from the middle of it takes the place of the database; once more now and then."""
    child = one.start() if case.database == "sqlite" and case.random.random() < 0.5 else None
    if child is not None:
        one.wait_for(case.random.randint(0, DUE), child)
        time.sleep(case.random.random() * 0.01)
    copy.make()
    code = (child or one.start()).wait()
    assert code == 0, one.errors.read_text()
    # Somebody whose id the backup knows nothing of, and who is mailed.
    _subscribe(one, "gap@example.com")
    one.finish()
    for number in range(case.random.choice((1, 1, 2))):
        copy.put_in_place()
        _refused(one, figures)
        _subscribe(one, f"new{number}@example.com")
        one.finish()
        _settle_all(one)


def _killed(one: Trial, copy: Copy, case: Case, figures: Figures) -> None:
    """A run is killed in the middle, and a backup of before it takes the place of what it left."""
    copy.make()
    child = one.start()
    one.wait_for(case.random.randint(1, DUE), child)
    time.sleep(case.random.random() * 0.01)
    figures.kills += child.kill()
    copy.put_in_place()
    _refused(one, figures)


def _another_host(one: Trial, copy: Copy, case: Case, figures: Figures) -> None:
    """Another host works on a copy, without sending; then its copy, which is further by every number, comes back."""
    copy.make()
    one.finish()
    with copy.opened() as store:
        now = datetime.now(UTC)
        later = [Request(f"there{number}@example.com", started_at=now + timedelta(days=9)) for number in range(200)]
        subscribe_many(store, one.project().settings, "trial", later, now)
        for number in range(9):
            with store.transaction():
                store.claims.register("there", number, "1", now, now)
    copy.put_in_place()
    _refused(one, figures)


KINDS: list[Callable[[Trial, Copy, Case, Figures], None]] = [_restored, _killed, _another_host]

_TWO_NUMBERS = re.compile(
    r"its last event is (\d+), but (\d+) were written until|its last worker is number (\d+), but there were (\d+) until"
    r"|event \d+ is of (\S+), but that of (\S+) was written until"
)


def _refused(one: Trial, figures: Figures) -> None:
    """A run refuses, says both numbers, and sends nothing; then the operator has held what may have been sent."""
    before, said_before = one.accepted(), len(one.errors.read_text())
    code = run_drip(one, "run", "--once").wait()
    said = one.errors.read_text()[said_before:]
    figures.faults += 1
    figures.breach(code != 3, f"a database that went back: exit code {code}: {said[-300:]}")
    found = _TWO_NUMBERS.search(said)
    numbers = [number for number in found.groups() if number] if found else []
    figures.breach(len(set(numbers)) != 2, f"the two numbers are not said: {said[-300:]}")
    figures.breach("Traceback" in said, f"a traceback: {said[-300:]}")
    sent = one.accepted() - before
    figures.breach(sent > 0, f"{sent} were sent from a database that went back")
    code = run_drip(one, "resolve", "--restored", "--hold").wait()
    figures.breach(code != 0, f"resolve --restored: exit code {code}: {one.errors.read_text()[-300:]}")


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
        fault="a backup of before or from the middle of a run takes its place, once or twice, also after kill -9;"
        " a copy that another host worked on comes back. Not with its mark: such a clone can't be seen from inside",
        ci=20 * len(KINDS),
        release=100 * len(KINDS),
        trial=trial,
        databases=("sqlite", "postgresql"),
        control=Control("no mark beside the database", no_mark, within=6, shows="twice by Message-ID"),
    )
]
