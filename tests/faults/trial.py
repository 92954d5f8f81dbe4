"""One trial: people who are due, a server in a process of its own, workers that are killed, and the books at the end.

The oracle is the server's log, written and synced before it answers 250; never drip's tables.
"""

from __future__ import annotations

import fcntl
import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from drip.engine import people
from drip.engine.apply import Origin, apply
from drip.engine.subscribe import Request, subscribe_many
from drip.engine.worker import Worker
from drip.project import Project, open_project
from drip.store.invariants import broken_rules, violations
from tests.databases import begin_like, drop, keep_server, name_of, new_postgres, server
from tests.faults.processes import Child, a_server, fork
from tests.faults.registry import Case, Figures
from tests.smtp_server import Accepted, Authority, Certificate, Features, read_log

SEQUENCE = """
name: Trial
status: active
steps:
  - id: one
    delay: 0
    subject: "For {{ name }}"
    text: "Hello {{ name }}."
"""


@dataclass(frozen=True, slots=True)
class Books:
    """What is true at the end of a trial."""

    due: int
    accepted: Counter[str]
    """By recipient, as the server counted."""
    unknown: frozenset[str]
    """Addresses whose delivery is unknown."""
    failed: frozenset[str]
    """Addresses whose delivery failed, with its reason."""

    @property
    def twice(self) -> list[str]:
        """Who was mailed more than once."""
        return sorted(email for email, count in self.accepted.items() if count > 1)

    @property
    def lost(self) -> int:
        """How many were neither accepted nor are unknown, nor failed with a reason."""
        return self.due - len(set(self.accepted) | self.unknown | self.failed)

    @property
    def unknown_in_vain(self) -> frozenset[str]:
        """Unknown to drip, and never given to the server."""
        return self.unknown - set(self.accepted)

    def figures(self) -> Figures:
        """As a row counts."""
        figures = Figures(trials=1, duplicates=len(self.twice), unknown=len(self.unknown), lost=self.lost)
        figures.unknown_had = len(self.unknown) - len(self.unknown_in_vain)
        figures.breach(bool(self.twice), f"mailed twice: {', '.join(self.twice[:3])}")
        figures.breach(self.lost > 0, f"{self.lost} were forgotten")
        return figures


def one_pass(folder: Path, before: Callable[[Worker], None] = lambda worker: None) -> int:
    """What a worker's process does: `run --once`; 3 when the transport is in trouble."""
    project = open_project(folder)
    with project.opened(), project.worker() as worker:
        before(worker)
        report = worker.run_once()
    return 3 if report.trouble else 0


class Trial:
    """A project with people who are due, and a server."""

    def __init__(self, case: Case, due: int, sequence: str = SEQUENCE, **smtp: Any) -> None:
        self.folder = folder = case.folder
        self.due = due
        self.log = folder / "server.jsonl"
        self.errors = folder / "errors.txt"
        project, name = prepared(due, sequence, case.database)
        shutil.copytree(project, folder, dirs_exist_ok=True)
        self._database = None
        if case.database == "postgresql":
            self._database = _databases[folder] = new_postgres(name)
        self.configure(**smtp)

    def configure(self, **smtp: Any) -> None:
        """Write drip.yaml, with these lines of `smtp:`."""
        self._smtp = smtp
        (self.folder / "drip.yaml").write_text(_config(self._database, smtp))

    @property
    def file(self) -> Path:
        """SQLite's file."""
        return Path(self._database.removeprefix("sqlite:///")) if self._database else self.folder / "drip.db"

    def move_database(self, folder: Path) -> None:
        """Put SQLite's file into another folder; nobody may be at work."""
        for path in self.folder.glob("drip.db*"):
            shutil.move(path, folder)
        self.use_database(f"sqlite:///{folder / 'drip.db'}")

    def use_database(self, url: str) -> None:
        """Name another way to the database in drip.yaml."""
        self._database = url
        self.configure(**self._smtp)

    def start(self, before: Callable[[Worker], None] = lambda worker: None) -> Child:
        """A worker in a process of its own."""
        return fork(lambda: one_pass(self.folder, before), self.errors)

    def kill_at(self, count: int, *, after: float, before: Callable[[Worker], None] = lambda worker: None) -> bool:
        """Run a worker and kill it `after` seconds from when the server accepted so many; False when it had ended."""
        child = self.start(before)
        self.wait_for(count, child)
        time.sleep(after)
        return child.kill()

    def wait_for(self, count: int, *children: Child, seconds: float = math.inf) -> None:
        """Wait until the server has accepted so many, all the children have ended, or so many seconds have passed."""
        deadline = time.monotonic() + seconds
        while self.accepted() < count and any(child.poll() is None for child in children):
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)

    def finish(self, passes: int = 5) -> None:
        """Run workers until one says that nothing is left.

        Raises:
            AssertionError: a worker failed, or the transport stays in trouble.
        """
        for _ in range(passes):
            code = self.start().wait()
            assert code in (0, 3), self.errors.read_text()
            if code == 0:
                return
        raise AssertionError("the transport stays in trouble")

    def settle(self, books: Books) -> None:
        """Settle what is unknown as the server's log has it, and send the rest."""
        if not books.unknown:
            return
        with self.project().opened() as store:
            for delivery in store.deliveries.unknown():
                sent = delivery.email in books.accepted
                people.resolve(store, self.project().settings, delivery.id, sent=sent, now=datetime.now(UTC))
        self.finish()

    def all_had_one(self, books: Books, figures: Figures, kind: str = "") -> None:
        """Settle what is unknown; then everybody has had their message, and had it once."""
        self.settle(books)
        after = self.books()
        missing = self.due - len(after.accepted)
        figures.breach(bool(after.twice), f"{kind}mailed twice after resolve: {after.twice[:3]}")
        figures.breach(missing > 0, f"{kind}{missing} were never mailed, also after resolve")

    def accepted(self) -> int:
        """How many messages the server has taken so far."""
        return self.log.read_bytes().count(b'"event": "message"') if self.log.exists() else 0

    def messages(self) -> tuple[Accepted, ...]:
        """What the server has taken so far."""
        return read_log(self.log).messages

    def books(self) -> Books:
        """The state of things, by the server's log and drip's own word on what it does not know."""
        accepted = Counter(message.recipients[0] for message in self.messages())
        with self.project().opened() as store:
            unknown = frozenset(delivery.email for delivery in store.deliveries.unknown())
            failed = frozenset(delivery.email for delivery in store.deliveries.failed(self.due))
            assert store.claims.count_due(datetime.now(UTC)) == 0, "somebody is due, and nobody works"
        return Books(self.due, accepted, unknown, failed)

    def look_over(self, figures: Figures) -> None:
        """The invariants (row 29), and that nobody holds a claim any more."""
        with self.project().opened() as store:
            look_over(store.database, figures)
            held = store.database.value("SELECT COUNT(*) FROM subscription WHERE owner IS NOT NULL")
        figures.breach(held > 0, f"{held} claims outlived their workers")

    def project(self) -> Project:
        """The project, anew."""
        return open_project(self.folder)


def look_over(database: Any, figures: Figures, *, whole: bool = True) -> None:
    """Check a database after a trial (row 29); not `whole` leaves out whether the file is damaged."""
    figures.checked += 1
    for violation in violations(database) if whole else broken_rules(database):
        figures.breaches.append(f"29: {violation.rule}: {violation.what}")


def run_drip(one: Trial, *arguments: str, before: Callable[[], None] = lambda: None) -> Child:
    """`drip` with these arguments, in a process of its own."""
    from drip.cli.main import drip

    def work() -> None:
        before()
        drip.main(["-C", str(one.folder), *arguments], "drip")

    return fork(work, one.errors)


@contextmanager
def a_trial(
    case: Case, *, due: int, sequence: str = SEQUENCE, connections: int = 4, tls: str = "none", **server: Any
) -> Iterator[Trial]:
    """A trial in the case's folder, with its server running.

    Args:
        tls: `none`, `starttls` or `tls`.
        server: options of `SmtpServer`.
    """
    smtp: dict[str, Any] = {"connections": connections, "security": tls}
    if tls != "none":
        authority, server["certificate"] = credentials()
        server["features"] = Features(tls=tls == "tls", starttls=tls == "starttls")
        smtp["ca_file"] = authority.file
    with a_server(case.folder / "server.jsonl", **server) as port:
        yield Trial(case, due, sequence, port=port, **smtp)


@cache
def credentials() -> tuple[Authority, Certificate]:
    """A certificate authority of this process, and a server's certificate."""
    authority = Authority(scratch())
    return authority, authority.certificate()


_shared: list[Path] = []


@cache
def scratch() -> Path:
    """A folder of this process for what its trials share; it goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="drip-faults-", dir=_shared[0] if _shared else None))
    Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=0)
    return folder


def share(folder: Path) -> None:
    """Where this process finds what the others of its pool have made, and they what it makes."""
    _shared[:] = [folder]
    begin_like(lambda: made_once("postgres", keep_server) / "data")


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is filled by one process for all of its pool."""
    folder = (_shared[0] if _shared else scratch()) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = folder.with_suffix(".part")
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder


@cache
def prepared(due: int, sequence: str, database: str) -> tuple[Path, str]:
    """A folder with a project in which so many are due, and its database on PostgreSQL, both to be copied."""
    folder = scratch() / f"due{due}-{len(list(scratch().iterdir()))}"
    (folder / "sequences").mkdir(parents=True)
    (folder / "sequences" / "trial.yaml").write_text(sequence)
    url = new_postgres() if database == "postgresql" else None
    (folder / "drip.yaml").write_text(_config(url, {"port": 25}))
    project, now = open_project(folder), datetime.now(UTC)
    with project.opened() as store:
        files = project.files()
        incoming = project.incoming(files)
        apply(store, project.settings, incoming, files.templates, prune=False, now=now, origin=Origin())
        requests = [Request(f"p{number}@example.com", f"Person {number}") for number in range(due)]
        for start in range(0, due, 1000):
            subscribe_many(store, project.settings, "trial", requests[start : start + 1000], now)
    if url is None:
        return folder, ""
    # Connections that are kept for later use would keep others from copying it.
    server().sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'")
    return folder, name_of(url)


_databases: dict[Path, str] = {}


def forget(folder: Path) -> None:
    """Drop the database of the trial in a folder, if it was not in the folder."""
    if folder in _databases:
        drop(_databases.pop(folder))


def _config(database: str | None, smtp: dict[str, Any]) -> str:
    lines = ["from: us@example.com", "base_url: https://mail.example.com", "transport: smtp"]
    lines += [*([] if database is None else [f"database: {database}"]), "smtp:"]
    given = {"host": "127.0.0.1", "security": "none", **smtp}
    return "\n".join([*lines, *(f"  {name}: {value}" for name, value in given.items()), ""])
