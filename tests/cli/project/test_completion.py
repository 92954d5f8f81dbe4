"""What a shell is offered after Tab, in a project that is well and in ones that are not; and the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from drip.cli.main import COMMANDS, drip
from tests.cli.conftest import Cli

SHELLS = ("bash", "zsh", "fish")


def offered(*words: str) -> list[str]:
    """What is offered for the last word."""
    return [
        item.value
        for item in BashComplete(drip, {}, "drip", "_DRIP_COMPLETE").get_completions(list(words[:-1]), words[-1])
    ]


def complete(words: str, folder: Path) -> list[str]:
    """What bash is offered for the last word."""
    count = len(words.split(" ")) - 1
    environ = {**os.environ, "_DRIP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    program = "import sys; sys.argv = ['drip']; from drip.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_and_their_options_are_offered() -> None:
    assert offered("") == list(COMMANDS)
    assert offered("subsc") == ["subscribe", "subscribers", "subscriber"]
    assert "--once" in offered("run", "--")
    assert offered("db", "b") == ["backup"]
    assert offered("status", "welcome", "a") == ["active", "archived"]
    assert "first-mail" in offered("guide", "")


@pytest.mark.sqlite
def test_sequences_of_files_and_of_the_database_are_offered(cli: Cli) -> None:
    here = ("-C", str(cli.folder))
    cli.write("sequences/draft-of-mine.yaml", "this: [is broken")
    cli.write("sequences/notes.txt", "")
    cli.sql("UPDATE sequence SET slug = 'made-elsewhere' WHERE slug = 'welcome'")
    for command in ("pause", "show"):
        assert offered(*here, command, "") == ["draft-of-mine", "made-elsewhere", "welcome"]
    assert offered(*here, "no-such-command", "x") == []
    assert offered(*here, "test", "welcome", "ma") == ["made-elsewhere"]
    assert offered(*here, "log", "--sequence", "W") == ["welcome"]


def test_steps_are_those_of_the_sequence_named_before(cli: Cli) -> None:
    here = ("-C", str(cli.folder))
    assert offered(*here, "preview", "welcome", "") == ["hello", "tips"]
    assert offered(*here, "send-test", "welcome", "t") == ["tips"]
    assert offered(*here, "preview", "nobody", "") == []
    cli.write("sequences/flow.yaml", "steps:\n- {id: one, delay: 0}\n- {delay: 1d, id: 'two'}\n- id: three\n")
    assert offered(*here, "preview", "flow", "") == ["one", "two", "three"]


@pytest.mark.sqlite
def test_addresses_are_those_of_the_sequence_named_before(ada: Cli) -> None:
    here = ("-C", str(ada.folder))
    ada("contacts", "set", "ada@example.com", "plan=pro")
    ada("suppress", "add", "grace@example.com")
    assert offered(*here, "pause", "welcome", "A") == ["ada@example.com"]
    assert offered(*here, "pause", "other", "a") == []
    assert offered(*here, "log", "--email", "ada") == ["ada@example.com"]
    assert offered(*here, "preview", "welcome", "hello", "--as", "a") == ["ada@example.com"]


@pytest.mark.parametrize(
    "config",
    [
        "",
        "database: postgresql://u@h/d\n",
        "database: ${NOT_SET}\n",
        "sequences: [\n",
        "\0\0\0",
        "database: sqlite:///..\n",
    ],
)
def test_a_broken_project_offers_less_and_says_nothing(empty: Cli, config: str) -> None:
    empty.write("drip.yaml", config)
    empty.write("drip.db", b"this is no database" * 100)
    here = ("-C", str(empty.folder))
    assert offered(*here, "pause", "") == []
    assert offered(*here, "pause", "welcome", "a") == []
    assert offered("-C", "/nowhere", "preview", "welcome", "") == []


def test_the_settings_say_where_to_look(empty: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "mine")
    empty.write(
        "drip.yaml", "from: a@example.com\nsequences: ${WHERE:-theirs}\ndatabase: 'sqlite:///data/x.db'  # here\n"
    )
    empty.write("mine/one.yaml", "")
    (empty.folder / "data").mkdir()
    assert offered("-C", str(empty.folder), "pause", "") == ["one"]
    assert offered("--config", str(empty.folder / "drip.yaml"), "pause", "") == ["one"]
    assert list((empty.folder / "data").iterdir()) == []


@pytest.mark.sqlite
def test_the_database_is_only_read(ada: Cli) -> None:
    before = (ada.folder / "drip.db").read_bytes()
    offered("-C", str(ada.folder), "pause", "welcome", "")
    assert (ada.folder / "drip.db").read_bytes() == before


def test_files_and_folders_are_left_to_the_shell() -> None:
    def kinds(*words: str) -> list[str]:
        complete = BashComplete(drip, {}, "drip", "_DRIP_COMPLETE")
        return [item.type for item in complete.get_completions(list(words[:-1]), words[-1])]

    assert kinds("-C", "") == kinds("init", "") == kinds("export", "welcome", "--templates", "") == ["dir"]
    assert kinds("--config", "") == kinds("import", "welcome", "") == kinds("db", "backup", "") == ["file"]


@pytest.mark.sqlite
def test_nothing_heavy_is_loaded(ada: Cli) -> None:
    words = {"_DRIP_COMPLETE": "bash_complete", "COMP_WORDS": "drip pause welcome a", "COMP_CWORD": "3"}
    program = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv = ["drip"]
from drip.cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ada.folder,
        env={**os.environ, **words},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "plain,ada@example.com\n"
    heavy = {"peewee", "yaml", "jinja2", "rich", "pydantic", "fastapi", "textual", "drip.project", "drip.store.store"}
    assert heavy.isdisjoint(done.stderr.split())


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_for_the_shell_that_is_asked_for(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    asked = runner.invoke(drip, ["completion", shell], prog_name="drip")
    assert (asked.exit_code, f"{shell}_complete" in asked.stdout) == (0, True)
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert runner.invoke(drip, ["completion"], prog_name="drip").stdout == asked.stdout


def test_an_unknown_shell_is_told_which_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    for words in (["completion"], ["completion", "tcsh"]):
        done = CliRunner().invoke(drip, words, prog_name="drip")
        assert done.exit_code == 2
        assert all(shell in done.stderr for shell in SHELLS)


def test_another_shell_is_refused_with_those_there_are(empty: Cli) -> None:
    assert "'bash', 'zsh', 'fish'" in empty("completion", "tcsh", code=2).stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("drip subscriber", ["subscribers", "subscriber"]),
        ("drip pause wel", ["welcome"]),
        ("drip show ", ["welcome"]),
        ("drip preview welcome ", ["hello", "tips"]),
        ("drip preview welcome t", ["tips"]),
        ("drip log --sequence w", ["welcome"]),
        ("drip completion z", ["zsh"]),
    ],
)
def test_names_are_offered(cli: Cli, words: str, expected: list[str]) -> None:
    assert complete(words, cli.folder) == expected


def test_what_is_only_in_files_is_offered_too_and_no_database_is_made(files: Cli) -> None:
    assert complete("drip simulate w", files.folder) == ["welcome"]
    assert complete("drip preview welcome h", files.folder) == ["hello"]
    assert not (files.folder / "drip.db").exists()


def test_where_there_is_no_project_nothing_is_offered_and_nothing_said(tmp_path: Path) -> None:
    assert complete("drip show ", tmp_path) == []


def test_a_call_without_a_command_gets_the_help(empty: Cli) -> None:
    assert empty("keys", code=2).stderr.startswith("Usage: drip keys ")
    done = CliRunner().invoke(drip, [], prog_name="drip")
    assert (done.exit_code, done.stderr.startswith("Usage: drip ")) == (2, True)


BEGIN = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(drip completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -D -u; eval "$(drip completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "drip completion fish | source"),
}


class Typing:
    """A shell in a terminal, with somebody at it."""

    def __init__(self, shell: str, folder: Path) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(folder), "TERM": "xterm", "LANG": "C.UTF-8", "PS1": "$ "}
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:  # pragma: no cover
            os.chdir(folder)
            os.execvpe(BEGIN[shell][0][0], BEGIN[shell][0], environment)
        self.screen = ""

    def type(self, text: str, wanted: str) -> None:
        """Type, and wait until something stands on the screen after it."""
        before = len(self.screen)
        os.write(self._terminal, text.encode())
        deadline = time.monotonic() + 60
        while wanted not in self.screen[before:].replace("\r", ""):
            assert time.monotonic() < deadline, self.screen
            if select.select([self._terminal], [], [], 0.2)[0]:
                read = os.read(self._terminal, 65_536)
                self.screen += read.decode("utf-8", "replace")
                if b"\x1b[c" in read or b"\x1b[0c" in read:  # fish asks what the terminal is
                    os.write(self._terminal, b"\x1b[?6c")

    def leave(self) -> None:
        """End the shell."""
        os.close(self._terminal)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_in_the_shell_itself(shell: str, ada: Cli) -> None:
    assert shutil.which(shell), f"{shell} is needed: .ci/run installs it"
    typing = Typing(shell, ada.folder)
    try:
        typing.type(f"{BEGIN[shell][1]}; echo rea''dy\r", "ready")
        typing.type("drip subscribers --j\t", "drip subscribers --json")
        typing.type("\x15drip pau\t", "drip pause")
        typing.type("wel\t", "welcome")
        typing.type("ada\t", "ada@example.com")
        typing.type("\r", "paused")
    finally:
        typing.leave()
    assert ada.json("subscriber", "welcome", "ada@example.com")["status"] == "paused"
