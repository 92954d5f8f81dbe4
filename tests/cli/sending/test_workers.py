"""`run --workers`: several processes in one pass, stopped together, counted together, and missed when they are gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from drip.cli.invocation import Invocation
from drip.cli.sending.crew import CONNECTIONS, MOST, WORTHWHILE, Crew, worth
from drip.engine.report import Report
from drip.engine.worker import BATCH
from tests.cli.conftest import CONFIG, Cli
from tests.smtp_server import SmtpServer

PEOPLE = 3 * BATCH
SLOW = 0.02
"""Seconds before each of the server's answers, until all processes are at work: one can't do everything before that."""
PATIENCE = 120


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer(latency=SLOW) as running:
        yield running


@pytest.fixture
def crowd(cli: Cli, server: SmtpServer) -> Cli:
    """Many who are due, and a server."""
    cli.write(
        "drip.yaml",
        f"{CONFIG}transport: smtp\n"
        f"smtp: {{host: 127.0.0.1, port: {server.port}, security: none, connections: 2, timeout: 60s}}\n",
    )
    rows = "\n".join(f"p{number}@example.com,Ana" for number in range(PEOPLE))
    people = cli.write("people.csv", f"email,name\n{rows}\n")
    cli("import", "welcome", str(people))
    return cli


def start(cli: Cli, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "drip", "-C", str(cli.folder), "run", "--once", "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def running_in(cli: Cli) -> list[str]:
    """The command lines of the processes that work on a project."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_text().replace("\0", " "))
    return [line for line in found if f" -C {cli.folder} run " in line]


def until_at_work(server: SmtpServer) -> None:
    """Until both processes have both of their connections, and messages come."""
    deadline = time.monotonic() + PATIENCE
    while len(server.messages) < 40 or server.connections < 4:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def mailed(server: SmtpServer) -> Counter[str]:
    return Counter(message.recipients[0] for message in server.messages)


@pytest.mark.parametrize(
    ("wanted", "due", "connections", "count"),
    [
        (None, 10, 200, 1),
        (None, 10**6, 2 * CONNECTIONS - 1, 1),
        (1, 10**6, 200, 1),
        (8, BATCH, 4, 1),
        (8, BATCH + 1, 4, 2),
        (8, 10**6, 4, 8),
    ],
)
def test_as_many_processes_as_the_work_is_worth(wanted: int | None, due: int, connections: int, count: int) -> None:
    assert worth(wanted, due, BATCH, connections) == count
    assert 1 <= worth(None, 10 * WORTHWHILE, BATCH, 200) <= MOST


def test_two_processes_share_the_work_and_their_counts_are_one(crowd: Cli, server: SmtpServer) -> None:
    with start(crowd, "--workers", "2") as process:
        until_at_work(server)
        server.latency = 0.0
        out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert json.loads(out)["sent"] == PEOPLE
    assert mailed(server) == Counter({f"p{number}@example.com": 1 for number in range(PEOPLE)})
    assert server.connections >= 4  # a letter that waited too long for its turn is made anew, and costs a connection
    assert crowd.sql("SELECT COUNT(*) FROM worker") == [(2,)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="wants Linux's /proc")
def test_one_that_is_killed_is_reported_and_its_work_done(crowd: Cli, server: SmtpServer) -> None:
    with start(crowd, "--workers", "2") as process:
        until_at_work(server)
        (child,) = children(process.pid)
        os.kill(child, signal.SIGKILL)
        server.latency = 0.0
        out, errors = process.communicate(timeout=PATIENCE)
    report = json.loads(out)
    assert "one of the worker processes was ended by signal 9" in errors
    assert process.returncode == 1
    assert max(mailed(server).values()) == 1
    assert report["unknown"] <= 2
    unknown = {row[0] for row in crowd.sql(UNKNOWN)}
    assert len(set(mailed(server)) | unknown) == PEOPLE
    assert report["remaining_due"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_stops_all_of_them(crowd: Cli, server: SmtpServer, number: signal.Signals) -> None:
    with start(crowd, "--workers", "2") as process:
        until_at_work(server)
        process.send_signal(number)
        out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    report = json.loads(out)
    assert report["sent"] == len(server.messages) < PEOPLE
    assert crowd.sql("SELECT COUNT(*) FROM subscription WHERE owner IS NOT NULL") == [(0,)]
    assert max(mailed(server).values()) == 1


def test_one_that_is_stopped_before_it_listens_has_not_crashed(crowd: Cli, server: SmtpServer) -> None:
    with Crew(Invocation(crowd.folder, None, False), None, 2) as crew:
        crew.start(2)
        crew.stop()
        assert not crew.join(Report())
        assert crew.code == 0
    assert server.messages == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="wants Linux's /proc")
def test_when_the_first_is_killed_the_others_stop_and_the_next_run_does_the_rest(
    crowd: Cli, server: SmtpServer
) -> None:
    with start(crowd, "--workers", "2") as process:
        until_at_work(server)
        (child,) = children(process.pid)
        process.kill()
        process.communicate()
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(server.messages) < PEOPLE
    server.latency = 0.0
    with start(crowd, "--workers", "1") as process:
        process.communicate(timeout=PATIENCE)
    assert max(mailed(server).values()) == 1
    unknown = {row[0] for row in crowd.sql(UNKNOWN)}
    assert len(set(mailed(server)) | unknown) == PEOPLE
    assert len(unknown) <= 2


@pytest.mark.sqlite
def test_none_is_left_behind_when_the_first_cannot_open_the_database(crowd: Cli) -> None:
    with (crowd.folder / "drip.db").open("ab") as file:
        file.write(b"not a whole page")
    with start(crowd, "--workers", "3") as process:
        assert process.wait(PATIENCE) == 3
        assert running_in(crowd) == []


def test_a_limit_is_for_one_process(crowd: Cli) -> None:
    result = crowd("run", "--once", "--limit", "5", "--workers", "2", code=2)
    assert "--limit goes with one process" in result.stderr


UNKNOWN = (
    "SELECT c.email FROM delivery d JOIN subscription s ON s.id = d.subscription_id"
    " JOIN contact c ON c.id = s.contact_id WHERE d.state = 'unknown'"
)
