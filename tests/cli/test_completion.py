"""Shell completion: a script for each shell that asks drip itself, which answers with commands, sequences and steps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from drip.cli.main import drip
from tests.cli.conftest import Cli


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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(empty: Cli, shell: str) -> None:
    script = empty("completion", shell).stdout
    assert f"_DRIP_COMPLETE={shell}_complete" in script
    if program := shutil.which(shell):
        checked = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_another_shell_is_refused_with_those_there_are(empty: Cli) -> None:
    assert "'bash', 'zsh', 'fish'" in empty("completion", "tcsh", code=2).stderr


@pytest.mark.parametrize(
    ("words", "offered"),
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
def test_names_are_offered(cli: Cli, words: str, offered: list[str]) -> None:
    assert complete(words, cli.folder) == offered


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
