"""Help, versions and names: of every command, without importing it."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from drip import __version__
from drip.cli.main import COMMANDS, HEADINGS, drip
from tests.cli.conftest import Cli, commands


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_says_what_it_does_and_how(path: tuple[str, ...], option: str) -> None:
    result = CliRunner().invoke(drip, [*path, option], prog_name="drip")
    assert result.exit_code == 0
    _, example = result.output.split("Example:\n")
    assert f"drip {' '.join(path)}" in example
    before_options = result.output.partition("Example:")[0].split("\n\n")
    assert len(before_options) >= 3, "a usage line, one line, a paragraph"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_the_first_line_of_the_help(name: str) -> None:
    command = drip.get_command(click.Context(drip), name)
    assert command is not None
    assert (command.help or "").partition("\n")[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_shown_has_json(name: str) -> None:
    without = {"dashboard", "schema", "suppress", "contacts", "keys", "webhooks", "serve", "db", "completion"}
    command = drip.get_command(click.Context(drip), name)
    assert command is not None
    assert name in without or any("--json" in param.opts for param in command.params)


def test_the_help_lists_all_under_headings() -> None:
    output = CliRunner().invoke(drip, ["-h"]).output
    for heading, under_it in HEADINGS.items():
        section = output.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert [row.split()[0] for row in section.splitlines()] == list(under_it)


@pytest.mark.parametrize(("wrong", "right"), [("lst", "list"), ("suscribe", "subscribe"), ("aply", "apply")])
def test_an_unknown_command_suggests_the_nearest(empty: Cli, wrong: str, right: str) -> None:
    result = empty(wrong, code=2)
    assert result.stdout == ""
    assert f"did you mean `drip {right}`?" in result.stderr


def test_a_command_like_nothing_is_sent_to_the_list(empty: Cli) -> None:
    assert "`drip -h` lists them" in empty("zzzzzzz", code=2).stderr


def test_an_unknown_option_suggests_the_nearest(cli: Cli) -> None:
    result = cli("list", "--jsn", code=2)
    assert "--json" in result.stderr
    assert "`drip list -h`" in result.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("list -C elsewhere", "-C goes before the command: `drip -C DIR list`"),
        ("keys list --config=x", "--config goes before the command: `drip --config FILE keys list`"),
        ("list -v", "-v goes before the command: `drip -v list`"),
        ("--json list", "--json goes after the command"),
        ("suppress --json list", "--json goes after the command"),
    ],
)
def test_an_option_in_the_wrong_place_is_told_its_own(cli: Cli, line: str, said: str) -> None:
    assert said in cli(*line.split(), code=2).stderr


def test_python_m_drip_is_the_same() -> None:
    for program in (["drip"], [sys.executable, "-m", "drip"]):
        done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (f"drip {__version__}\n", "")
        done = subprocess.run([*program, "--help"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("Usage: drip ")


def _arguments(path: tuple[str, ...]) -> list[click.Argument]:
    command: click.Command | None = drip
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(drip), name)
    assert command is not None
    return [param for param in command.params if isinstance(param, click.Argument)]


LEAVES = [path for path in commands() if not any(other[: len(path)] == path and other != path for other in commands())]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_a_call_that_is_wrong_is_answered_with_how_it_is_right(empty: Cli, path: tuple[str, ...]) -> None:
    wrong = [["--hlep"], ["--no-such-option-at-all"]]
    arguments = _arguments(path)
    if any(argument.required for argument in arguments):
        wrong.append([])
    if all(argument.nargs == 1 for argument in arguments):
        wrong.append(["1"] * (len(arguments) + 1))
    for words in wrong:
        said = empty(*path, *words, code=2)
        assert said.stdout == ""
        first, second = said.stderr.splitlines()
        assert first.startswith("drip: ")
        assert f"`drip {' '.join(path)} -h` says how it is used" in second
        if words == ["--hlep"]:
            assert "--help" in first
        if "is missing" in first or "too many" in first:
            assert all(argument.make_metavar(click.Context(drip)).strip("[]") in second for argument in arguments)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["pause", "welcome", "nobody@example.org"], "`drip subscribers SEQ` lists who is in a sequence"),
        (["suppress", "remove", "nobody@example.org"], "`drip suppress list` lists them"),
        (["webhooks", "test"], "add `webhooks:` to drip.yaml"),
        (["db", "chek"], "there is no command 'chek': did you mean 'check'?"),
        (["show"], "drip: SEQ[@REVISION] is missing"),
        (["send-test", "welcome", "hello"], "drip: --to is missing"),
        (["send-test", "welcome", "hello", "--to", "ada"], "drip: --to: 'ada' is not an email address: an email"),
        (["send-test", "welcome", "hello", "--to"], "drip: --to wants a value"),
        (["pause", "welcome", "ada@example.com", "now", "please"], "drip: too many words: now please"),
        (["run", "--limit", "many"], "drip: --limit: 'many' is not a whole number from 1 up"),
        (["run", "--workers", "99"], "drip: --workers: '99' is not a whole number from 1 to 64"),
        (["status", "welcome", "actve"], "'actve' is not one of 'draft', 'active', 'archived'"),
        (["why", "abc"], "give its Message-ID, or a delivery's number"),
        (["export", "welcome", "--templates", "drip.yaml"], "drip.yaml is a file, not a folder"),
        (["init", "drip.yaml"], "drip.yaml is a file, not a folder"),
        (["suppress", "import", "/dev/null"], "an address a line is enough"),
        (["-C", "nowhere", "list"], "`drip init nowhere` makes a project there"),
    ],
)
def test_what_does_not_exist_leads_on(cli: Cli, words: list[str], hint: str) -> None:
    said = cli(*words, code=2).stderr
    assert hint in said
    assert "''" not in said
