"""`init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_init_makes_a_project_that_works(tmp_path: Path) -> None:
    said = Cli(tmp_path)("init", "letters").stdout
    project = Cli(tmp_path / "letters")
    for command in ("drip -C letters preview welcome", "drip -C letters apply", "drip -C letters subscribe welcome"):
        assert command in said
    project("check")
    project("apply")
    project("subscribe", "welcome", "you@example.com")
    assert project.json("list")[0]["subscribers"]["active"] == 1
    for name in (".gitignore", "sequences/schema.json", "sequences/templates/first-project.md"):
        assert (project.folder / name).is_file()


def test_init_here_names_no_folder(tmp_path: Path) -> None:
    assert "\n  drip apply\n" in Cli(tmp_path)("init").stdout


@pytest.mark.sqlite
def test_init_never_overwrites(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.write("drip.yaml", "from: me@example.com\n")
    assert f"kept  {tmp_path}/drip.yaml" in cli("init").stdout
    assert (tmp_path / "drip.yaml").read_text() == "from: me@example.com\n"
    assert "made" not in cli("init").stdout


def test_init_says_in_json_what_it_made(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.write("drip.yaml", "from: me@example.com\n")
    told = cli.json("init")
    assert (told["kept"], told["sequences"]) == ([f"{tmp_path}/drip.yaml"], ["welcome"])
    assert f"{tmp_path}/sequences/welcome.yaml" in told["made"]


def test_init_asks_nothing_and_says_why_not(tmp_path: Path) -> None:
    Cli(tmp_path).write("file", "")
    assert "file is a file, not a folder" in Cli(tmp_path)("init", "file", code=2).stderr
    assert "can't be written" in Cli(tmp_path)("init", "file/inside", code=2).stderr
