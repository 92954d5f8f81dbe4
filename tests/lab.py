"""A project without files or sockets: a real database, a clock that is moved by hand, a transport that records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from drip.core.address import Address
from drip.core.delivery import Outcome, OutcomeKind
from drip.core.durations import parse_duration
from drip.core.sequence import Definition, SequenceStatus, Step
from drip.core.sequence import Sequence as EmailSequence
from drip.core.settings import Settings
from drip.core.subscription import Subscription
from drip.engine.apply import Origin, apply
from drip.engine.people import find_subscription
from drip.engine.plan import Incoming, Plan, make_plan
from drip.engine.ports import Envelope
from drip.engine.records import Worker as WorkerRow
from drip.engine.report import Report
from drip.engine.results import Fact
from drip.engine.subscribe import Answered, Request, subscribe
from drip.engine.worker import Worker
from drip.store.database import Database
from drip.store.processes import LocalProcesses
from drip.store.sqlite import SqliteDatabase
from drip.store.store import Store
from tests.databases import database_at, put_tables

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday."""

Script = Callable[[Envelope, bytes], Outcome]


def accept(envelope: Envelope, content: bytes) -> Outcome:
    """What a good server says."""
    return Outcome(OutcomeKind.SENT, 250, "2.0.0", "2.0.0 Ok: queued")


class RecordingTransport:
    """Keeps what is handed over; a script gives the answers."""

    connections = 2

    def __init__(self) -> None:
        self.script: Script = accept
        self.before_mark: Callable[[], None] = lambda: None
        self.sent: list[tuple[Envelope, bytes]] = []

    def session(self) -> RecordingTransport:
        return self

    def fleet(self) -> None:
        return None

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        outcome = self.script(envelope, content)
        if outcome.kind in _BEFORE_DOT:
            return outcome
        self.before_mark()
        if not mark():
            return Outcome(OutcomeKind.NOT_MARKED)
        if outcome.kind is OutcomeKind.SENT:
            self.sent.append((envelope, content))
        return outcome

    def close(self) -> None:
        pass


_BEFORE_DOT = {
    OutcomeKind.NO_MAILBOX,
    OutcomeKind.BAD_ADDRESS,
    OutcomeKind.LOST,
    OutcomeKind.DOWN,
    OutcomeKind.MISCONFIGURED,
    OutcomeKind.OUR_FAULT,
}


class FakeProcesses(LocalProcesses):
    """Every other worker can be declared dead."""

    def __init__(self) -> None:
        self.all_gone = False

    def is_gone(self, worker: WorkerRow) -> bool:
        return self.all_gone or super().is_gone(worker)


def a_step(key: str, delay: str = "0", **fields: Any) -> Step:
    """A step with a body; `delay` as in a file."""
    content = {} if {"body", "html", "text", "template"} & set(fields) else {"text": f"This is {key}."}
    return Step(key=key, delay=parse_duration(delay), **{"subject": f"Subject of {key}", **content, **fields})


def a_sequence(*steps: Step, id: str = "welcome", **fields: Any) -> EmailSequence:  # noqa: A002
    """An active sequence of these steps."""
    return EmailSequence(**{"id": id, "name": id.title(), "status": SequenceStatus.ACTIVE, "steps": steps, **fields})


class Lab:
    """Everything a test of the engine needs, in a few words."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings = Settings(
            folder=folder, path=folder / "drip.yaml", sender=Address("hello@example.com", "Us"), project="lab"
        )
        self.settings = replace(self.settings, **settings)
        put_tables(folder / "drip.db")
        self.store = Store(database_at(folder / "drip.db"), self.settings)
        self.transport = RecordingTransport()
        self.processes = FakeProcesses()
        self.now = START
        self.facts: list[Fact] = []

    def apply(self, *sequences: EmailSequence, prune: bool = False) -> Plan:
        """Make these the project's files."""
        done = apply(
            *(self.store, self.settings, _incoming(sequences), {}),
            prune=prune,
            now=self.now,
            origin=Origin(),
        )
        assert done is not None
        return done

    def plan(self, *sequences: EmailSequence, prune: bool = False) -> Plan:
        return make_plan(self.store, self.settings, _incoming(sequences), {}, prune=prune, now=self.now)

    def subscribe(self, email: str, slug: str = "welcome", **fields: Any) -> Answered:
        return subscribe(self.store, self.settings, slug, Request(email, **fields), self.now)

    def crowd(self, count: int, slug: str = "welcome") -> None:
        """So many people, `p0@example.com` and on, in one transaction."""
        with self.store.transaction():
            for number in range(count):
                self.subscribe(f"p{number}@example.com", slug)

    def tick(self, limit: int | None = None) -> Report:
        """One `run --once`."""
        with self.worker() as worker:
            return worker.run_once(limit)

    def worker(self, clock: Callable[[], datetime] | None = None) -> Worker:
        return Worker(
            *(self.store, self.settings, self.transport, self.processes),
            clock=clock or (lambda: self.now),
            told=self.facts.append,
            random=Random(7),
        )

    def move(self, length: str) -> None:
        """Let time pass; `length` as in a file."""
        self.now += parse_duration(length)

    def person(self, email: str, slug: str = "welcome") -> Subscription:
        row_id = find_subscription(self.store, slug, email).person.id
        found = self.store.overview.subscription(row_id)
        assert found is not None
        return found

    def steps_sent(self, email: str | None = None) -> list[str]:
        """The keys of what went out, in order, by the subject."""
        subjects = []
        for envelope, content in self.transport.sent:
            if email is None or envelope.recipient == email:
                line = next(line for line in content.split(b"\r\n") if line.startswith(b"Subject: "))
                subjects.append(line.removeprefix(b"Subject: Subject of ").decode())
        return subjects

    def events(self) -> list[str]:
        return [entry.type for entry in self.store.events.entries(limit=10_000)]


def _incoming(sequences: Sequence[EmailSequence]) -> list[Incoming]:
    return [Incoming(Definition(sequence), f"sequences/{sequence.id}.yaml") for sequence in sequences]


def sqlite(database: Database) -> SqliteDatabase:
    """A database that is known to be SQLite, for what only that can do."""
    assert isinstance(database, SqliteDatabase)
    return database


@contextmanager
def open_lab(folder: Path, **settings: Any) -> Iterator[Lab]:
    """A lab whose database is open."""
    lab = Lab(folder, **settings)
    with lab.store.opened():
        yield lab


def utc(text: str) -> datetime:
    """A moment from ISO text without an offset, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MADRID = ZoneInfo("Europe/Madrid")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
