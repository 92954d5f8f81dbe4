"""0 done, 1 failed in part or refused, 2 usage or files, 3 not reachable, 130 interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from drip.cli.main import drip, exit_code
from drip.errors import (
    DatabaseUnavailable,
    DripError,
    FilesInvalid,
    Invalid,
    NotFound,
    Refused,
    RenderFailed,
    Unavailable,
)
from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DripError("x"), 1),
        (Refused("c", "x"), 1),
        (RenderFailed("x"), 1),
        (Invalid("x"), 2),
        (NotFound("sequence", "x"), 2),
        (FilesInvalid([]), 2),
        (Unavailable("x"), 3),
        (DatabaseUnavailable("x"), 3),
    ],
)
def test_an_error_has_one_code(error: DripError, code: int) -> None:
    assert exit_code(error) == code


# Each line: what is typed, in a project with one applied sequence that ada@example.com is in.
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("list", 0),
        ("subscribe welcome ada@example.com", 0),
        ("subscribe welcome ada", 2),
        ("subscribe welcom bob@example.com", 2),
        ("subscribe welcome bob@example.com --at 2026-03-27", 2),
        ("subscribe welcome bob@example.com --at yesterday", 2),
        ("subscribe welcome bob@example.com --var novalue", 2),
        ("subscribe welcome bob@example.com --var 1x=y", 2),
        ("subscribe welcome bob@example.com --var k:=nojson", 2),
        ("subscribe welcome bob@example.com --var k:=NaN", 2),
        ("subscribe welcome bob@example.com --var k:=1e999", 2),
        ("subscribe welcome", 2),
        ("pause welcome bob@example.com", 2),
        ("pause welcome ada@example.com", 0),
        ("set welcome ada@example.com", 2),
        ("status welcome sleeping", 2),
        ("show welcome@7", 2),
        ("show welcome@one", 2),
        ("run --once", 0),
        ("run --once --limit 0", 2),
        ("run --interval soon", 2),
        ("run --interval 0", 2),
        ("log --since forever", 2),
        ("import welcome nowhere.csv", 2),
        ("preview welcome nostep", 2),
        ("preview welcome --html", 2),
        ("resolve 1", 2),
        ("resolve --sent", 2),
        ("resolve 99 --sent", 2),
        ("resolve x --sent", 2),
        ("resolve --restored", 2),
        ("resolve --restored --hold", 1),
        ("suppress remove nobody@example.com", 2),
        ("suppress add nobody", 2),
        ("subscribers --csv --json", 2),
        ("db backup drip.yaml", 2),
        ("db backup nowhere/x.db", 2),
        ("db", 2),
        ("frobnicate", 2),
        ("--frobnicate", 2),
    ],
)
def test_what_is_typed_has_its_code(ada: Cli, line: str, code: int) -> None:
    result = ada(*line.split(), code=code)
    assert "Traceback" not in result.output
    if code:
        assert result.stderr


def test_no_project_is_said_with_the_way_out(tmp_path: Path) -> None:
    result = Cli(tmp_path)("list", code=2)
    assert "there is no drip.yaml" in result.stderr
    assert "drip init" in result.stderr


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "there is no folder" in Cli(tmp_path / "nowhere")("list", code=2).stderr


def test_a_file_is_no_folder(empty: Cli) -> None:
    said = Cli(empty.folder / "drip.yaml")("list", code=2).stderr
    assert "is a file, not a folder" in said
    assert "drip init" not in said


def test_a_broken_drip_yaml_says_where(empty: Cli) -> None:
    empty.write("drip.yaml", "from: nobody\ntimezon: UTC\n")
    result = empty("list", code=2)
    assert "drip.yaml:1:7" in result.stderr
    assert "drip.yaml:2:1" in result.stderr


@pytest.mark.sqlite
def test_a_database_that_can_not_be_used_is_3(cli: Cli) -> None:
    for path in cli.folder.glob("drip.db*"):
        path.unlink()
    cli.write("drip.db", b"this is no database, " * 100)
    result = cli("list", code=3)
    assert "not a database" in result.stderr
    assert result.stdout == ""


def test_an_argument_that_is_no_text_is_usage(cli: Cli) -> None:
    done = subprocess.run(
        [b"drip", b"-C", os.fsencode(cli.folder), b"subscribe", b"welcome", b"a@example.com", b"--name", b"\xff"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"not UTF-8" in done.stderr


@pytest.mark.parametrize("raised", [KeyboardInterrupt, click.Abort])
def test_an_interrupt_is_130(cli: Cli, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException]) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr("drip.store.sequences.Sequences.all", interrupted)
    result = cli("list", code=130)
    assert "interrupted" in result.stderr


def test_a_bug_keeps_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("drip.store.sequences.Sequences.all", broken)
    assert isinstance(CliRunner().invoke(drip, ["-C", str(cli.folder), "list"]).exception, ZeroDivisionError)


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    program = [sys.executable, "-m", "drip", "-C", str(cli.folder), "schema"]
    for _ in range(3):
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode in (0, 128 + signal.SIGPIPE)
