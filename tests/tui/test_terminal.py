"""In a real terminal: tmux, the program as it is installed, an editor, a worker beside it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.project import system_clock
from tests.tui.room import Room

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux; CI installs it"),
]
DRIP = f"{shlex.quote(sys.executable)} -m drip"


class Terminal:
    """A pane of a tmux server of its own."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self._socket = socket
        ours = ("TMUX", "NO_COLOR", "COLUMNS", "LINES")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= {"EDITOR": "sed -i s/Words/Better/", "LANG": "C.UTF-8", "PS1": "prompt> "}
        self._tmux(
            *("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "120", "-y", "40", "-c", str(folder)),
            *("env", "-u", "BASH_ENV", "sh"),
            environment=environment,
        )

    def _tmux(self, *words: str, environment: dict[str, str] | None = None) -> str:
        command = ["tmux", "-S", str(self._socket), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    def type(self, text: str) -> None:
        """Text and Enter."""
        self._tmux("send-keys", "-t", "t", "-l", text)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Keys by tmux's names."""
        self._tmux("send-keys", "-t", "t", *keys)

    def resize(self, width: int, height: int) -> None:
        """Another size."""
        self._tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    @property
    def text(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "t")

    def shows(self, words: str, patience: float = 120.0) -> str:
        """Wait until the screen has these words; the screen."""
        deadline = time.monotonic() + patience
        while words not in (text := self.text):
            assert time.monotonic() < deadline, f"no {words!r} in\n{text}"
            time.sleep(0.1)
        return text

    def close(self) -> None:
        """End the server and all in it."""
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], check=False, capture_output=True, timeout=120)


@pytest.fixture
def terminal(room: Room, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(room.folder, tmp_path / "tmux")
    yield terminal
    terminal.close()


def test_a_day_in_a_real_terminal(room: Room, terminal: Terminal) -> None:
    room.now = system_clock()
    room.subscribe("ada@example.com", name="Ada")
    terminal.type(f"{DRIP} dashboard; echo left with $?")
    screen = terminal.shows("● active  welcome")
    assert all(len(line) <= 120 for line in screen.splitlines())
    terminal.shows("? Help")

    terminal.press("Enter")
    terminal.shows("hello: right after the start")
    terminal.shows("Subject: Hello Grace")
    terminal.press("/")
    terminal.press("a", "d", "a")
    terminal.shows("1 match")
    terminal.press("Enter")
    terminal.shows("⏎ Open")
    terminal.press("Enter")
    terminal.shows("what is to come")

    # A worker beside it: what it does appears by itself.
    worker = [sys.executable, "-m", "drip", "-C", str(room.folder), "run", "--once"]
    subprocess.run(worker, check=True, capture_output=True, timeout=60)
    terminal.shows("✓ sent")

    terminal.press("c")
    terminal.shows("Cancel ada@example.com?")
    terminal.press("Escape")
    terminal.shows("what was")
    assert room.status("ada@example.com") == "active"
    terminal.press("c")
    terminal.shows("Cancel ada@example.com?")
    terminal.press("y")
    terminal.shows("× cancelled")
    assert room.status("ada@example.com") == "cancelled"

    # The editor gets the terminal, and gives it back; the plan follows the file.
    terminal.press("3")
    terminal.shows("the database is what the files say")
    terminal.press("e")
    terminal.shows("~ changed")
    assert "Better" in (room.folder / "sequences" / "nurture.yaml").read_text()

    terminal.resize(80, 24)
    terminal.press("1")
    screen = terminal.shows("Help")
    assert all(len(line) <= 80 for line in screen.splitlines())
    terminal.press("q")
    screen = terminal.shows("left with 0")
    assert "╭" not in screen  # the terminal is as it was


def test_the_worker_inside_sends_and_is_asked_about_at_the_end(room: Room, terminal: Terminal) -> None:
    room.now = system_clock()
    room.subscribe("ada@example.com", name="Ada")
    terminal.type(f"{DRIP} dashboard --run; echo left with $?")
    terminal.shows("✓ sent")
    terminal.shows("● 1 at work")
    terminal.press("q")
    terminal.shows("Stop sending and quit?")
    terminal.press("y")
    terminal.shows("left with 0")
    assert room.sql("SELECT COUNT(*) FROM worker WHERE ended_at IS NULL") == [(0,)]


def test_a_bug_is_shown_and_is_no_success(room: Room, terminal: Terminal) -> None:
    broken = "from drip.tui.screens.home import HomeScreen; HomeScreen.load = lambda self: self.broken"
    program = f"{broken}; from drip.cli.main import main; main()"
    terminal.type(f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} dashboard; echo left with $?")
    assert "has no attribute 'broken'" in terminal.shows("left with 1")
