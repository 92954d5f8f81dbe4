"""A project on disk, and drip called in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from drip.cli.main import COMMANDS, drip
from drip.project import Project, open_project
from tests.databases import ON_POSTGRES, url_at

CONFIG = (
    "from: Ada <ada@example.com>\nbase_url: https://mail.example.com\n"
    "postal_address: 1 Example Street\ntimezone: Europe/Madrid\n"
)
WELCOME = """\
name: Welcome
status: active
steps:
  - id: hello
    delay: 0
    subject: "Hello {{ name }}"
    body: Hi {{ name }}, welcome.
  - id: tips
    delay: 3d
    subject: Tips
    body: Three tips.
"""


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command: `("keys",)`, `("keys", "create")`."""
    context = click.Context(drip)
    for name in COMMANDS:
        yield (name,)
        command = drip.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, sub) for sub in command.commands)


class Cli:
    """drip, called in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *args: str, stdin: str | bytes | None = None, code: int = 0) -> Result:
        """Call it; the exit code must be `code`. A bug's traceback is raised."""
        result = CliRunner().invoke(drip, ["-C", str(self.folder), *args], input=stdin, prog_name="drip")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, (args, result.exit_code, result.output)
        return result

    def json(self, *args: str, code: int = 0, stdin: str | bytes | None = None) -> Any:
        """Call it with --json; what is on stdout, read."""
        return json.loads(self(*args, "--json", code=code, stdin=stdin).stdout)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content.encode() if isinstance(content, str) else content
        if ON_POSTGRES and name == "drip.yaml" and b"database:" not in text:
            text += f"\ndatabase: {url_at(self.folder / 'drip.db')}\n".encode()
        path.write_bytes(text)
        return path

    @property
    def project(self) -> Project:
        """The project itself."""
        return open_project(self.folder)

    def sql(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Do something to the database that no command would."""
        with self.project.opened() as store, store.transaction():
            return store.database.rows(statement, *params)

    def mails(self) -> list[str]:
        """What is in the outbox, oldest first."""
        new = self.folder / "outbox" / "new"
        return [path.read_text("utf-8") for path in sorted(new.iterdir())] if new.exists() else []


@pytest.fixture
def empty(tmp_path: Path) -> Cli:
    """A folder with a drip.yaml and nothing else."""
    cli = Cli(tmp_path / "project")
    cli.write("drip.yaml", CONFIG)
    (cli.folder / "sequences").mkdir()
    return cli


@pytest.fixture
def files(empty: Cli) -> Cli:
    """A project with one sequence file; nothing is applied."""
    empty.write("sequences/welcome.yaml", WELCOME)
    return empty


@pytest.fixture(scope="session")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `drip apply` leaves in the folder of a project with one sequence; tests get copies."""
    made = Cli(tmp_path_factory.mktemp("applied") / "project")
    made.write("drip.yaml", CONFIG)
    made.write("sequences/welcome.yaml", WELCOME)
    made("apply")
    return made.folder


@pytest.fixture
def cli(files: Cli, request: pytest.FixtureRequest) -> Cli:
    """A project with one sequence, applied."""
    if ON_POSTGRES:
        files("apply")
    else:
        shutil.copytree(request.getfixturevalue("applied"), files.folder, dirs_exist_ok=True)
    return files


@pytest.fixture
def ada(cli: Cli) -> Cli:
    """The same, with ada@example.com in it."""
    cli("subscribe", "welcome", "ada@example.com", "--name", "Ada")
    return cli
