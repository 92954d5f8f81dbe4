"""`plan` and `apply`."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import WELCOME, Cli

END = "  - {id: end, delay: 0, subject: E, body: e}\n"
LATER = WELCOME.replace("delay: 3d", "delay: 5d")


def _waiting_for_tips(cli: Cli) -> None:
    cli("run", "--once")


def test_a_new_sequence_in_words(files: Cli) -> None:
    assert files("plan").stdout == (
        "+ welcome   sequences/welcome.yaml\n"
        "    + hello\n"
        "    + tips\n"
        "0 sequences to change, 1 to create, 0 to archive. 0 messages would become due now.\n"
    )
    assert files("list").stdout == ""


def test_nothing_to_do(cli: Cli) -> None:
    assert cli("plan").stdout == "No changes.\n"
    assert cli("apply").stdout == "No changes.\n"
    assert cli.json("plan")["changes"] == 0


def test_an_edit_says_what_it_does_to_people(ada: Cli) -> None:
    _waiting_for_tips(ada)
    ada.write("sequences/welcome.yaml", LATER)
    assert ada("plan").stdout == (
        "~ welcome   sequences/welcome.yaml\n"
        "    ~ tips   delay 3d → 5d\n"
        "          1 person waits for it: 1 later by 2d\n"
        "1 sequence to change, 0 to create, 0 to archive. 0 messages would become due now.\n"
    )
    plan = ada.json("plan")
    assert (plan["change"], plan["create"], plan["archive"], plan["affected"], plan["due_now"]) == (1, 0, 0, 1, 0)
    (step,) = plan["sequences"][0]["steps"]
    assert step["changes"] == [{"field": "delay", "before": "3d", "now": "5d"}]
    assert (step["waiting"], step["later"]) == (1, 1)
    two_days = 2 * 24 * 3600
    assert step["later_by"] == {"least_seconds": two_days, "most_seconds": two_days}
    assert (step["shifts"], step["earlier_by"]) == ([{"seconds": two_days, "people": 1}], None)


def test_a_change_of_the_whole_sequence_says_what_it_does_to_people(ada: Cli) -> None:
    _waiting_for_tips(ada)
    ada.write("sequences/welcome.yaml", WELCOME.replace("steps:", "send_window: {hours: '00:00-00:01'}\nsteps:"))
    words = ada("plan").stdout
    assert "          1 person waits at the other steps: 1 later by " in words
    (sequence,) = ada.json("plan")["sequences"]
    assert (sequence["steps"], sequence["others"]["later"]) == ([], 1)


def test_a_removed_and_an_added_step(ada: Cli) -> None:
    _waiting_for_tips(ada)
    ada.write("sequences/welcome.yaml", WELCOME.partition("  - id: tips")[0] + END)
    words = ada("plan").stdout
    assert "    + end (after hello)\n          1 person will get it\n" in words
    assert "    - tips\n          1 person waits for it: 1 goes on to end; 1 of them would get it now\n" in words
    assert words.endswith("1 message would become due now.\n")


def test_a_renamed_step_is_said(ada: Cli) -> None:
    ada.write("sequences/welcome.yaml", WELCOME.replace("id: tips", "id: hints"))
    assert "it looks renamed to hints" in ada("plan").stdout


def test_a_renamed_step_is_asked_about_also_when_everybody_is_past_it(ada: Cli) -> None:
    _waiting_for_tips(ada)
    ada.write("sequences/welcome.yaml", WELCOME.replace("id: hello", "id: hi"))
    assert "looks renamed" in ada("apply", code=1).stderr
    assert ada.json("plan")["changes"] == 1
    ada("apply", "--yes")


def test_who_completes_by_a_removal_is_said(ada: Cli) -> None:
    _waiting_for_tips(ada)
    ada.write("sequences/welcome.yaml", WELCOME.partition("  - id: tips")[0])
    assert "    - tips\n          1 person waits for it: 1 completes\n" in ada("plan").stdout
    (step,) = ada.json("plan")["sequences"][0]["steps"]
    assert (step["completes"], step["go_on_to"]) == (1, {})
    ada("apply", "--yes")
    assert ada.json("subscribers")[0]["status"] == "completed"


def test_a_missing_file_and_prune(ada: Cli) -> None:
    (ada.folder / "sequences/welcome.yaml").unlink()
    words = ada("plan").stdout
    assert words.startswith("? welcome   sequences/welcome.yaml\n      its file is gone; 1 person in it.")
    assert words.endswith("No changes.\n")
    assert "1 to archive" in ada("plan", "--prune").stdout
    assert "1 person is affected" in ada("apply", "--prune", code=1).stderr
    ada("apply", "--prune", "--yes")
    assert ada.json("list")[0]["status"] == "archived"


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_a_file_that_stops_a_sequence_asks_when_people_are_in_it(ada: Cli, status: str) -> None:
    ada.write("sequences/welcome.yaml", WELCOME.replace("status: active", f"status: {status}"))
    assert f"status active → {status}, 1 person in it" in ada("plan").stdout
    assert ada.json("plan")["affected"] == 1
    assert "1 person is affected" in ada("apply", code=1).stderr
    assert ada.json("list")[0]["status"] == "active"
    ada("apply", "--yes")
    assert ada.json("list")[0]["status"] == status


def test_prune_deletes_what_nobody_was_in(cli: Cli) -> None:
    (cli.folder / "sequences/welcome.yaml").unlink()
    assert "1 to delete" in cli("apply", "--prune").stdout
    assert cli.json("list") == []


def test_drift_is_said_and_left(cli: Cli) -> None:
    cli("status", "welcome", "archived")
    assert "drift: it is archived in the database" in cli("plan").stdout
    cli("apply")
    assert cli.json("list")[0]["status"] == "archived"
    assert cli.json("plan")["sequences"][0]["drift"] == "archived"


def test_the_detailed_exit_code(files: Cli) -> None:
    files("plan", "--detailed-exitcode", code=2)
    files("apply")
    files("plan", "--detailed-exitcode", code=0)
    files.write("sequences/welcome.yaml", "steps: nothing\n")
    assert "sequences/welcome.yaml:1" in files("plan", "--detailed-exitcode", code=1).stderr
    files("plan", code=2)


def test_files_with_errors_change_nothing(cli: Cli) -> None:
    cli.write("sequences/welcome.yaml", LATER)
    cli.write("sequences/bad.yaml", "steps:\n  - {id: A, delay: 1, subject: x}\n")
    result = cli("apply", "--yes", code=2)
    assert "sequences/bad.yaml:2:10" in result.stderr
    assert "sequences/bad.yaml:2:20" in result.stderr
    assert cli.json("show", "welcome")["steps"][1]["offset_seconds"] == 3 * 86400


def test_without_a_terminal_people_need_yes(ada: Cli) -> None:
    _waiting_for_tips(ada)
    ada.write("sequences/welcome.yaml", LATER)
    result = ada("apply", code=1)
    assert "~ tips   delay 3d → 5d" in result.stdout
    assert "1 person is affected" in result.stderr
    assert "`drip apply --yes` does it" in result.stderr
    assert ada.json("show", "welcome")["revision"] == 1
    refused = ada.json("apply", code=1)
    assert (refused["applied"], refused["affected"]) == (False, 1)
    assert ada.json("apply", "--yes")["applied"] is True
    assert ada.json("show", "welcome")["revision"] == 2


def test_a_sequence_that_shrinks_to_nothing_needs_yes(ada: Cli) -> None:
    ada.write("sequences/welcome.yaml", "status: active\nsteps: []\n")
    assert "'welcome' would have no steps left" in ada("apply", code=1).stderr
    ada("apply", "--yes")
    assert ada.json("subscribers")[0]["status"] == "active"


@pytest.mark.parametrize(
    ("answer", "code", "revision"), [(b"y\n", 0, 2), (b"n\n", 1, 1), (b"\n", 1, 1), (b"\x03", 130, 1)]
)
def test_on_a_terminal_it_asks(ada: Cli, answer: bytes, code: int, revision: int) -> None:
    _waiting_for_tips(ada)
    ada.write("sequences/welcome.yaml", LATER)
    output, returned = _on_a_terminal(["drip", "-C", str(ada.folder), "apply"], answer)
    assert b"1 person is affected. Apply? [y/N]" in output
    assert returned == code
    assert ada.json("show", "welcome")["revision"] == revision


def _on_a_terminal(program: list[str], answer: bytes) -> tuple[bytes, int]:
    master, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        program, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True,
        preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(terminal)
    output = b""
    while b"[y/N]" not in output:
        output += os.read(master, 10_000)
    os.write(master, answer)
    while process.poll() is None:
        if select.select([master], [], [], 0.5)[0]:
            with suppress(OSError):  # Linux says so when the other side is closed
                output += os.read(master, 10_000)
        elif answer == b"\x03":
            # Between the question and the reading of its answer readline loses one: people press it again.
            os.write(master, answer)
    code = process.returncode
    os.close(master)
    return output, code


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_the_commit_is_remembered(files: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    git: Any = ["git", "-C", str(files.folder), "-c", "user.name=A", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    files.write("unrelated.txt", "not a file of sequences")
    files("apply")
    files.write("sequences/welcome.yaml", LATER)
    files("apply")
    newest, oldest = files.json("history", "welcome")
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert (oldest["commit"], oldest["dirty"]) == (commit, False)
    assert (newest["commit"], newest["dirty"]) == (commit, True)
    assert f"{commit[:10]}*" in files("history", "welcome").stdout


def test_outside_of_git_nothing_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.json("history", "welcome")[0]["commit"] is None
    monkeypatch.setenv("PATH", "")
    cli.write("sequences/welcome.yaml", LATER)
    assert cli("apply").stderr == ""


def test_a_status_in_the_file_is_applied(files: Cli) -> None:
    files.write("sequences/welcome.yaml", WELCOME.replace("active", "draft"))
    files("apply")
    files.write("sequences/welcome.yaml", WELCOME)
    assert "status draft → active" in files("apply").stdout
    assert files.json("list")[0]["status"] == "active"
