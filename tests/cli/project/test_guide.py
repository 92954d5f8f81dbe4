"""The manual: its index, its pages, its search, and the pages made from the code."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from drip.cli.main import drip
from drip.cli.project import manual
from drip.files.schema import sequence_schema
from drip.files.schema_config import config_schema
from tests.cli.conftest import commands

FOLDER = Path(manual.__file__).parents[2] / "guide"
TOPICS = [entry.topic for entry in manual.entries()]


def guide(*args: str, code: int = 0) -> tuple[str, str]:
    """What `drip guide` says, on stdout and stderr."""
    result = CliRunner().invoke(drip, ["guide", *args], prog_name="drip")
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_the_index_lists_every_page_once_and_no_other() -> None:
    written = {path.stem for path in FOLDER.glob("*.md")} - {"index"}
    assert len(TOPICS) == len(set(TOPICS))
    made = {"commands", "drip-yaml", "sequence-yaml"}
    assert written - set(TOPICS) == set(), "a page is listed in drip/guide/index.md, with a line on what it says"
    assert set(TOPICS) == written | made


@pytest.mark.parametrize("topic", TOPICS)
def test_every_page_has_a_title_and_a_line_in_the_index(topic: str) -> None:
    first = guide(topic)[0].splitlines()[0]
    assert re.fullmatch(r"# \S.+", first)
    entry = next(one for one in manual.entries() if one.topic == topic)
    assert entry.summary.endswith(".")
    assert len(entry.summary) <= 90
    assert entry.part


def test_without_a_topic_they_are_listed_under_their_parts() -> None:
    said, talk = guide()
    for entry in manual.entries():
        assert re.search(rf"^  {entry.topic} +{re.escape(entry.summary)}$", said, re.MULTILINE)
        assert entry.part in said.splitlines()
    assert "drip guide --search" in talk


def test_json_gives_the_topics_a_page_or_what_was_found() -> None:
    topics = json.loads(guide("--json")[0])
    assert [one["topic"] for one in topics] == TOPICS
    assert all(set(one) == {"topic", "part", "title", "summary"} for one in topics)
    one = json.loads(guide("deploy-from-ci", "--json")[0])
    assert one["markdown"].startswith(f"# {one['title']}\n")
    found = json.loads(guide("--search", "pre-commit", "--json")[0])
    assert {"topic": "deploy-from-ci", "heading": "Before anything is pushed"}.items() <= found[0].items()
    assert "pre-commit" in one["markdown"].splitlines()[found[0]["line"] - 1]


def test_in_a_pipe_a_page_is_markdown_without_what_only_tests_read() -> None:
    for topic in TOPICS:
        said = guide(topic)[0]
        assert "\x1b" not in said
        assert "<!--" not in said


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["deploy-form-ci"], "did you mean 'deploy-from-ci'?"),
        (["zzzzzz"], "`drip guide` lists the topics"),
        (["subscribe"], "`drip subscribe -h`"),
        (["send", "window"], 'drip guide --search "send window"'),
        (["--search", " "], 'drip guide --search "send window"'),
        (["--search", "zzzzzz"], "fewer or other words"),
    ],
)
def test_what_is_not_there_leads_on(args: list[str], hint: str) -> None:
    said, talk = guide(*args, code=2)
    assert said == ""
    assert hint in talk


def test_search_wants_all_words_wherever_they_stand_in_a_passage() -> None:
    said, _ = guide("--search", "OVERDUE skipped")
    assert "drip-yaml: drip.yaml\n  - `stale_after`" in said
    assert guide("--search", "overdue", "skipped")[0] == said


def _terminal(*args: str, **environment: str) -> str:
    """What drip writes to a terminal of 60 columns."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", "PAGER": "cat", **environment}
    variables.pop("NO_COLOR", None)
    program = subprocess.Popen(
        [sys.executable, "-m", "drip", *args], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=variables
    )
    os.close(theirs)
    said = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert program.stderr is not None
    program.stderr.close()
    assert program.wait(30) == 0
    return said.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says EIO when the other side is closed
        return b""


def test_on_a_terminal_a_page_is_laid_out_through_the_pager() -> None:
    said = _terminal("guide", "deploy-from-ci")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert said != plain
    assert "```sh" not in plain
    assert max(map(len, plain.splitlines())) <= 60
    assert "(END)" not in plain


def test_on_a_terminal_found_words_are_highlighted() -> None:
    assert "\x1b[33mpre-commit\x1b[0m" in _terminal("guide", "--search", "pre-commit")


def _keys(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from _keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _keys(value)


@pytest.mark.parametrize(("topic", "schema"), [("drip-yaml", config_schema()), ("sequence-yaml", sequence_schema())])
def test_the_reference_has_every_key_the_reader_knows(topic: str, schema: Any) -> None:
    listed = set(re.findall(r"^- `(?:[\w.\[\]]+\.)?(\w+)` \(.+\)(?:: .+)?$", guide(topic)[0], re.MULTILINE))
    assert listed == set(_keys(schema))


def test_the_reference_has_every_command_and_its_help() -> None:
    said = guide("commands")[0]
    for path in commands():
        assert f"### drip {' '.join(path)}\n" in said
    help_of_apply = CliRunner().invoke(drip, ["apply", "-h"], prog_name="drip").output
    section = said.partition("### drip apply\n")[2].partition("###")[0]
    assert section.replace("```text", "").replace("```", "").split() == help_of_apply.split()


def test_the_list_loads_neither_the_reader_nor_rich() -> None:
    look = "import sys; from drip.cli.main import drip\ntry: drip(['guide'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert {"rich", "yaml", "jinja2", "drip.files.schema"}.isdisjoint(done.stdout.splitlines()[-1].split())
