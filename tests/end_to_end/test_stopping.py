"""Signals while requests and mail are in hand: answered or refused, never lost, nothing twice, no traceback."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.api.site import SEQUENCES
from tests.api.test_connection import everything, last_answer
from tests.api.test_walk import drip, wait_for
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.slow

PEOPLE = 12
SEQUENCE = "status: active\nsteps:\n  - {id: one, delay: 0, subject: Hola, text: Hola.}\n"
CONFIG = "from: Ana <hola@miempresa.com>\nauthorized_domains: [miempresa.com]\n"


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer(latency=0.05) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, server: SmtpServer) -> Path:
    """People who are due, and a server that takes its time."""
    smtp = f"{{host: 127.0.0.1, port: {server.port}, security: none, connections: 1}}"
    (tmp_path / "drip.yaml").write_text(f"{CONFIG}transport: smtp\nsmtp: {smtp}\n")
    (tmp_path / "sequences").mkdir()
    (tmp_path / "sequences" / "crowd.yaml").write_text(SEQUENCE)
    (tmp_path / "people.csv").write_text("email\n" + "".join(f"p{number}@empresa.com\n" for number in range(PEOPLE)))
    drip(tmp_path, "apply", "--yes")
    drip(tmp_path, "import", "crowd", str(tmp_path / "people.csv"))
    return tmp_path


@contextmanager
def listening(folder: Path, *words: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A command that serves: its port and its process."""
    command = [sys.executable, "-m", "drip", "-C", str(folder), *words, "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if "listening on" in line)
            yield int(said.rpartition(":")[2]), process
        finally:
            process.kill()


def begin(port: int, key: str, body: bytes) -> socket.socket:
    """A request whose body the app waits for."""
    conn = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST {SEQUENCES} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n"
    conn.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert conn.recv(100).startswith(b"HTTP/1.1 100 ")
    conn.sendall(body[:5])
    return conn


def until_it_takes_no_more(port: int) -> None:
    def refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
        except ConnectionError:
            return True
        return False

    wait_for(refused)


def make_key(folder: Path) -> str:
    return str(json.loads(drip(folder, "keys", "create", "app", "--json"))["key"])


def body_of(name: str) -> bytes:
    return json.dumps({"name": name}).encode()


def test_a_stop_answers_what_comes_in_time_and_refuses_what_does_not(project: Path) -> None:
    key, whole = make_key(project), body_of("Whole")
    with listening(project, "serve") as (port, process):
        ready, late = begin(port, key, whole), begin(port, key, body_of("Late"))
        process.send_signal(signal.SIGTERM)
        until_it_takes_no_more(port)
        with ready, late:
            ready.sendall(whole[5:])
            status, headers, made = last_answer(everything(ready))
            assert (status, made["name"]) == (201, "Whole")
            status, headers, refused = last_answer(everything(late))
        assert (status, refused["error"]["type"], refused["error"]["code"]) == (503, "api_error", "unavailable")
        assert headers["x-request-id"].startswith("req_")
        assert headers["retry-after"]
        assert headers["connection"] == "close"
        assert process.stderr is not None
        said = process.stderr.read()
        assert (process.wait(60), "Traceback" in said) == (0, False), said
    assert headers["x-request-id"] in said
    assert {one["name"] for one in json.loads(drip(project, "list", "--json"))} == {"Whole", "crowd"}


@pytest.mark.parametrize("command", [("serve",), ("run", "--http")])
@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_ends_it_at_once(
    project: Path, server: SmtpServer, command: tuple[str, ...], numbers: tuple[int, int]
) -> None:
    """Two different ones: the system makes one of two that are the same, where the first was not taken yet."""
    key = make_key(project)
    with listening(project, *command) as (port, process):
        if command[0] == "run":
            wait_for(lambda: len(server.messages) >= 2)
        with begin(port, key, body_of("Late")) as late:
            for number in numbers:
                process.send_signal(number)
            everything(late)
        assert process.stderr is not None
        said = process.stderr.read()
        assert (process.wait(60), said) == (130, "")
    nothing_is_lost(project, server)


def test_the_first_signal_finishes_mail_and_requests(project: Path, server: SmtpServer) -> None:
    key, whole = make_key(project), body_of("Whole")
    with listening(project, "run", "--http") as (port, process):
        wait_for(lambda: len(server.messages) >= 2)
        with begin(port, key, whole) as ready:
            process.send_signal(signal.SIGTERM)
            until_it_takes_no_more(port)
            ready.sendall(whole[5:])
            assert last_answer(everything(ready))[0] == 201
        assert process.stderr is not None
        said = process.stderr.read()
        assert (process.wait(60), said) == (0, "")
    assert 2 <= len(server.messages) < PEOPLE
    assert "the fate of every delivery is known" in drip(project, "unknown")
    nothing_is_lost(project, server)
    assert len(server.messages) == PEOPLE


LEFT = b"\x1b[?1049l"
"""What a terminal is told when a full-screen program gives it back."""


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ((signal.SIGTERM,), 0),
        ((signal.SIGINT,), 0),
        ((signal.SIGTERM, signal.SIGINT), 130),
        ((signal.SIGINT, signal.SIGTERM), 130),
    ],
)
def test_a_dashboard_that_sends_gives_the_terminal_back_whatever_it_is_told(
    project: Path, server: SmtpServer, numbers: tuple[int, ...], code: int
) -> None:
    command = [sys.executable, "-m", "drip", "-C", str(project), "dashboard", "--run"]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    with Screen(ours, theirs) as screen:
        environment = {**os.environ, "TERM": "xterm-256color"}
        streams: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        with subprocess.Popen(command, env=environment, start_new_session=True, **streams) as process:
            try:
                wait_for(lambda: len(server.messages) >= 2)
                for number in numbers:
                    process.send_signal(number)
                assert process.wait(60) == code
            finally:
                process.kill()
        wait_for(lambda: not at_work(project))
        assert termios.tcgetattr(theirs)[3] & termios.ECHO
    assert LEFT in screen.shown
    assert b"Traceback" not in screen.shown
    assert len(server.messages) < PEOPLE
    nothing_is_lost(project, server)


class Screen(threading.Thread):
    """Reads what a terminal is shown, until nobody has it open."""

    def __init__(self, terminal: int, other_end: int) -> None:
        super().__init__(daemon=True)
        self._terminal = terminal
        self._other_end = other_end
        self.shown = b""

    def __enter__(self) -> Screen:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._other_end)
        self.join(60)
        os.close(self._terminal)

    def run(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while octets := os.read(self._terminal, 65_536):
                self.shown += octets


def at_work(folder: Path) -> list[bytes]:
    """The processes that were started for a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [words for words in found if os.fsencode(folder) in words.split(b"\0")]


def nothing_is_lost(folder: Path, server: SmtpServer) -> None:
    """Everybody has the message once, or nobody can say; at most the one in hand."""
    server.latency = 0
    drip(folder, "run", "--once")
    had = Counter(recipient for message in server.messages for recipient in message.recipients)
    unknown = set(re.findall(r"p\d+@empresa\.com", drip(folder, "unknown")))
    assert set(had.values()) == {1}
    assert len(unknown) <= 1
    assert len(had.keys() | unknown) == PEOPLE
