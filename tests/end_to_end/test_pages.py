"""Everything in README and the manual is tried: commands are run, YAML is read by drip, examples do what they say."""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from drip.cli.main import drip
from drip.files.starter import write_starter
from drip.notify.sign import signed_headers
from tests.end_to_end.pages import PAGES, SECRET, Block, begins_empty, blocks, commands, kind_of, play
from tests.end_to_end.test_readme import shell
from tests.postgres_server import PostgresServer

ALL = [block for page in PAGES for block in blocks(page)]
QUICK = ("first-mail", "README")
"""Pages that are run each time; the others take long."""

BASE = "from: Ada <ada@example.com>\nbase_url: https://mail.example.com\npostal_address: 1 Example Street\n"
STEP = "steps:\n  - {id: one, delay: 0, subject: One, body: One.}\n"


def of(*languages: str) -> list[Block]:
    """The blocks in these languages."""
    return [block for block in ALL if block.language in languages]


def ids(block: Block) -> str:
    return block.id


def test_every_block_says_what_it_is() -> None:
    known = {"sh", "yaml", "python", "json", "text", "ini", "dockerfile", "markdown", "html"}
    assert [block.id for block in ALL if block.language not in known] == []
    words = ("write", "module", "exit", "environment", "not drip's", "not run")
    unknown = [
        block.id
        for block in ALL
        if block.say and block.say != "in the background" and all(block.said(word) is None for word in words)
    ]
    assert unknown == []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page in QUICK else pytest.mark.slow)
        for page in PAGES
        if any(block.language in ("sh", "python") for block in blocks(page))
    ],
)
def test_what_a_page_tells_to_type_works(page: str, tmp_path: Path) -> None:
    code, said = play(page, tmp_path, Path(sys.executable).parent)
    assert code == 0, said


@pytest.mark.parametrize("block", of("yaml"), ids=ids)
def test_yaml_is_read_without_a_problem(block: Block, tmp_path: Path) -> None:
    document = yaml.safe_load(block.text)
    if block.said("not drip's") is not None:
        assert kind_of(document) == "unknown"
        return
    kind = kind_of(document)
    assert kind != "unknown", "a key that is not drip's; is it another program's file?"
    files = {"drip.yaml": BASE, "sequences/page.yaml": f"name: Page\n{STEP}"}
    if kind == "config":
        files["drip.yaml"] = ("" if "from" in document else BASE) + block.text
    elif kind == "steps":
        files["sequences/page.yaml"] = "name: Page\nsteps:\n" + block.text
    else:
        files["sequences/page.yaml"] = ("" if "steps" in document else STEP) + block.text
    for other in blocks(block.page):
        path = other.said("write")
        if path is not None and path.startswith("sequences/templates/"):
            files[path] = other.text
    _check(tmp_path, files)


def _check(folder: Path, files: dict[str, str]) -> None:
    """`drip check` finds no error, and no warning but those that a part of a file must have."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    for name in re.findall(r"^ *(?:oauth2_file|ca_file): (\S+)", files.get("drip.yaml", ""), re.MULTILINE):
        (folder / name).touch()  # the page tells before how it is made
    wanted = {name for text in files.values() for name in re.findall(r"\$\{(\w+)\}", text)}
    environment = {**os.environ, **{name: SECRET if "WEBHOOK" in name else "secret" * 4 for name in wanted}}
    done = subprocess.run(
        [sys.executable, "-m", "drip", "check", "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    problems = json.loads(done.stdout)["problems"]
    assert [problem for problem in problems if problem["where"] not in ("base_url", "postal_address")] == []


@pytest.mark.parametrize("block", of("sh", "text", "ini", "dockerfile"), ids=ids)
def test_drip_has_the_commands_and_options_of_every_block(block: Block) -> None:
    for arguments in commands(block.text):
        _parse(drip, arguments, "drip")
    if block.language == "sh":
        subprocess.run(["bash", "-n", "-c", block.text], check=True, timeout=120)
    if block.language == "ini":
        unit = configparser.RawConfigParser(strict=False)
        unit.read_string(block.text)
        assert unit.sections()


def test_commands_are_found_wherever_they_stand() -> None:
    text = (
        "x=$(drip keys create a --json)\nExecStart=/usr/bin/drip run --once\ncd a && drip check # all\npip install drip"
    )
    assert commands(text) == [["keys", "create", "a", "--json"], ["run", "--once"], ["check"]]
    with pytest.raises(click.UsageError):
        _parse(drip, ["run", "--onse"], "drip")


def _parse(command: click.Command, arguments: list[str], name: str, parent: click.Context | None = None) -> None:
    """Let click read a command line, without running it. What a page leaves open is written in capitals."""
    if isinstance(command, click.Group):
        context = command.make_context(name, list(arguments), parent, resilient_parsing=False)
        below, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        _parse(found, rest, below or "", context)
    elif not any(word in ("-h", "--help") for word in arguments):
        command.make_context(name, list(arguments), parent)


@pytest.mark.parametrize("block", of("json"), ids=ids)
def test_json_is_json(block: Block) -> None:
    assert isinstance(json.loads(block.text), (dict, list))


def _module(name: str, tmp_path: Path) -> Any:
    block = next(block for block in blocks("api") if block.said("module") == name)
    path = tmp_path / name
    path.write_text(block.text)
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["hooks.py", "by_hand.py"])
def test_the_examples_tell_a_true_event_from_a_forged_one(name: str, tmp_path: Path) -> None:
    module = _module(name, tmp_path)
    body = json.dumps({"event": "sequence.completed", "contact_email": "añá@example.com"}).encode()
    headers = signed_headers([SECRET, module.SECRET], "evt_1", body, datetime.now(UTC))
    assert module.event_of(headers, body)["event"] == "sequence.completed"
    old = signed_headers([module.SECRET], "evt_1", body, datetime(2026, 1, 1, tzinfo=UTC))
    wrong_key = signed_headers(["whsec_" + base64.b64encode(b"x" * 32).decode()], "evt_1", body, datetime.now(UTC))
    for forged_headers, forged_body in (
        (headers, body.replace(b"completed", b"cancelled")),
        ({**headers, "webhook-id": "evt_2"}, body),
        (old, body),
        (wrong_key, body),
    ):
        with pytest.raises((ValueError, getattr(module, "WebhookVerificationError", ValueError))):
            module.event_of(forged_headers, forged_body)


@pytest.mark.slow
def test_what_the_page_on_postgresql_tells_to_type_works(tmp_path: Path) -> None:
    found = blocks("postgresql")
    settings = next(block.text for block in found if block.language == "yaml")
    script_of_it = next(block.text for block in found if block.language == "sh" and "apply" in block.text)
    write_starter(tmp_path)
    server = PostgresServer()
    try:
        settings = re.sub(r"postgresql://.*", lambda _: server.url(), settings)
        (tmp_path / "drip.yaml").write_text(settings)
        done = shell(script_of_it, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        # the copy is the same, and is SQLite
        (tmp_path / "drip.yaml").write_text(BASE + "database: sqlite:///copy.db\n")
        assert json.loads(shell("drip list --json", tmp_path).stdout)[0]["subscribers"]["active"] == 1
    finally:
        server.remove()


def test_a_page_begins_in_a_project_unless_it_says_otherwise() -> None:
    assert begins_empty("first-mail")
    assert not begins_empty("schedules")
