"""Output that can't be written: what was asked for is done all the same, and it is said in a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tests.cli.conftest import Cli

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")


def _run(cli: Cli, *args: str, full: str) -> subprocess.CompletedProcess[str]:
    with FULL.open("w") as device:
        streams: dict[str, int | IO[str]] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, full: device}
        command = [sys.executable, "-m", "drip", "-C", str(cli.folder), *args]
        return subprocess.run(command, **streams, text=True, timeout=60, check=False)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("command", ["list", "list --json", "subscribers --csv", "guide", "--help", "log"])
def test_data_that_finds_no_room_is_3_and_a_sentence(ada: Cli, command: str) -> None:
    result = _run(ada, *command.split(), full="stdout")
    assert result.returncode == 3
    assert result.stderr.startswith("drip: the output can't be written: no space left on device\n")
    assert len(result.stderr.splitlines()) == 2


def test_mail_goes_out_though_its_report_finds_no_room(ada: Cli) -> None:
    assert _run(ada, "run", "--once", full="stdout").returncode == 3
    assert len(ada.mails()) == 1
    assert ada.json("status")["sending"] == 0


def test_a_run_that_can_not_talk_does_its_work(ada: Cli) -> None:
    for number in range(5):
        ada("subscribe", "welcome", f"p{number}@example.com")
    result = _run(ada, "-v", "run", "--once", "--json", full="stderr")
    assert (result.returncode, len(ada.mails())) == (0, 6)
    assert '"sent": 6' in result.stdout


def test_a_reader_of_the_talk_who_goes_stops_no_mail(ada: Cli) -> None:
    for number in range(5):
        ada("subscribe", "welcome", f"p{number}@example.com")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "drip", "-C", str(ada.folder), "-v", "run", "--once"]
    code = subprocess.run(command, stderr=writing, stdout=subprocess.DEVNULL, timeout=60, check=False).returncode
    os.close(writing)
    assert (code, len(ada.mails())) == (0, 6)


def test_the_exit_code_is_right_though_the_complaint_finds_no_room(ada: Cli) -> None:
    assert _run(ada, "pause", "welcome", "bob@example.com", full="stderr").returncode == 2
    assert _run(ada, "frobnicate", full="stderr").returncode == 2


def test_the_loop_goes_on_though_its_lines_find_no_room(ada: Cli) -> None:
    command = [sys.executable, "-m", "drip", "-C", str(ada.folder), "run", "--interval", "1s", "--json"]
    with FULL.open("w") as device, subprocess.Popen(command, stdout=device, stderr=subprocess.PIPE, text=True) as loop:
        try:
            _until_mailed(ada, 1, loop)
            ada("subscribe", "welcome", "bob@example.com")
            _until_mailed(ada, 2, loop)
        finally:
            loop.send_signal(signal.SIGTERM)
            _, said = loop.communicate(timeout=120)
    assert "Traceback" not in said


def test_streams_that_are_closed_are_no_streams(ada: Cli) -> None:
    script = f'exec "{sys.executable}" -m drip -C "{ada.folder}" run --once <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script], timeout=60, check=False).returncode == 0
    assert len(ada.mails()) == 1


def _until_mailed(cli: Cli, count: int, loop: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(cli.mails()) < count:
        assert loop.poll() is None, "the loop has ended"
        assert time.monotonic() < deadline, "nothing is sent"
        time.sleep(0.02)


@pytest.mark.sqlite
def test_a_backup_that_finds_no_room_names_the_copy_and_leaves_nothing(ada: Cli) -> None:
    script = f'ulimit -f 100; exec "{sys.executable}" -m drip -C "{ada.folder}" db backup copy.db'
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 3
    assert result.stderr.startswith(f"drip: {ada.folder / 'copy.db'} was not made: the disk can't be")
    assert "drip.db)" not in result.stderr
    assert [path.name for path in ada.folder.iterdir() if "copy" in path.name] == []
