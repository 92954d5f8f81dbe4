"""`init --from-api`: another server's sequences and templates become files that give them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from click.testing import Result

from tests.api.site import SEQUENCES, Site, open_site
from tests.api.test_walk import served
from tests.cli.conftest import Cli
from tests.lab import a_sequence, a_step

TEMPLATES = "/v1/bulk/templates"
FIELDS = (
    *("name", "status", "delay_from", "timezone", "send_window", "stale_after_seconds", "resubscribe"),
    *("key", "offset_seconds", "subject", "html", "body_text", "from_email", "from_name", "reply_to", "template_id"),
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server with three sequences: plain, with everything, and empty."""
    (tmp_path / "server").mkdir()
    with open_site(tmp_path / "server") as site:
        site.sequence("Plain", steps=2)
        template = {
            "name": "Letter",
            "subject": "A letter",
            "html": "<p>Hi {{ name }}</p>",
            "body_text": "Hi {{ name }}",
        }
        letter = site.call("POST", TEMPLATES, template, 201)["id"]
        short = site.call("POST", TEMPLATES, {"name": "Short", "subject": "Short", "body_text": "Hi.\n"}, 201)["id"]
        full = site.sequence(
            "Full: with \"everything\" 'quoted'",
            steps=0,
            delay_from="start",
            timezone="Europe/Madrid",
            stale_after_seconds=0,
            send_window={"days": "mon-fri", "hours": "22:00-06:00"},
            resubscribe="after_completion",
        )
        for position, step in enumerate(
            (
                {"template_id": letter},
                {"template_id": letter, "subject": "Mine: {{ name }}"},
                {"template_id": short},
                {"subject": "It's 100 % «sure» # no", "html": "<p>\n\n  a: b\n</p>\n", "body_text": "---\n- text\n"},
                {"subject": "From", "body_text": "Hi", "from_email": "ana@miempresa.com", "from_name": 'Ana "A" Ño'},
            ),
            1,
        ):
            site.call(
                "POST", f"{full}/steps", {"position": position * 10, "offset_seconds": position * 90, **step}, 201
            )
        site.sequence("Empty", steps=0, active=False)
        yield site


def url_of(site: Site) -> str:
    return str(site.client.base_url).rstrip("/")


def fetch(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, key: str = "drip_key", code: int = 0) -> Result:
    monkeypatch.setenv("DRIP_API_KEY", key)
    return Cli(tmp_path)("init", "copy", "--from-api", url, code=code)


def _told(cli: Cli) -> dict[str, Any]:
    return {one["id"]: one for one in (cli.json("show", each["id"]) for each in cli.json("list"))}


def _content(whole: dict[str, Any]) -> Any:
    """What of a sequence and its steps must come back equal."""
    kept = {name: value for name, value in whole.items() if name in FIELDS}
    return kept, [{name: value for name, value in step.items() if name in FIELDS} for step in whole["steps"]]


def test_what_comes_is_applied_to_equal_sequences(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = fetch(tmp_path, url_of(site), monkeypatch, site.key).stdout
    for command in ("check", "plan", "apply"):
        assert f"\n  drip -C copy {command}" in said
    copy = Cli(tmp_path / "copy")
    assert [one["message"] for one in copy.json("check")["problems"] if "empty-" not in one["path"]] == []
    copy("apply", "--yes")
    there = {one["id"]: one for one in site.call("GET", SEQUENCES, status=200)}
    here = _told(copy)
    assert here.keys() == there.keys()
    for slug in there:
        theirs = _content(site.call("GET", f"{SEQUENCES}/{slug}", status=200))
        ours = _content(here[slug])
        for step in theirs[1]:
            if (step["template_id"] or "").startswith("short-"):
                # A template of text alone has no file: its words are in the step.
                step |= {"template_id": None, "subject": "Short", "body_text": "Hi.\n"}
        assert ours == theirs


def test_templates_come_with_both_parts_and_their_subject(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(tmp_path, url_of(site), monkeypatch, site.key)
    found = sorted(path.name for path in (tmp_path / "copy/sequences/templates").iterdir())
    made = [name for name in found if name.startswith("letter-")]
    assert [Path(name).suffix for name in made] == [".html", ".txt"]
    assert "<p>Hi {{ name }}</p>" in (tmp_path / "copy/sequences/templates" / made[0]).read_text()
    assert "bienvenida-fc9674.md" in found


def test_senders_are_those_of_the_steps_and_no_mail_can_leave(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(tmp_path, url_of(site), monkeypatch, site.key)
    config = yaml.safe_load((tmp_path / "copy/drip.yaml").read_text())
    assert (config["transport"], config["authorized_domains"]) == ("outbox", ["miempresa.com"])
    assert "ana@miempresa.com" in config["from"]


def test_nothing_is_overwritten_and_then_nothing_is_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(tmp_path, url_of(site), monkeypatch, site.key)
    gone = next((tmp_path / "copy/sequences").glob("plain-*.yaml"))
    gone.unlink()
    refused = fetch(tmp_path, url_of(site), monkeypatch, site.key, code=2)
    assert "exists already, and nothing is overwritten" in refused.stderr
    assert not gone.exists()


@pytest.mark.sqlite
def test_a_project_that_is_there_keeps_its_settings(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cli(tmp_path / "copy").write("drip.yaml", "from: me@example.com\n")
    assert "kept" in fetch(tmp_path, url_of(site), monkeypatch, site.key).stdout
    assert (tmp_path / "copy/drip.yaml").read_text() == "from: me@example.com\n"


def test_the_key_may_be_in_a_file_or_on_stdin(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIP_API_KEY", raising=False)
    cli = Cli(tmp_path)
    cli.write("key.txt", f"{site.key}\n")
    cli("init", "one", "--from-api", url_of(site), "--key-file", "key.txt")
    cli("init", "two", "--from-api", f"{url_of(site)}/v1/bulk/", "--key-file", "-", stdin=site.key)
    assert (tmp_path / "one/drip.yaml").is_file()
    assert (tmp_path / "two/drip.yaml").is_file()


def test_what_belongs_to_a_file_there_comes_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "server").mkdir()
    with open_site(tmp_path / "server") as site:
        site.lab.apply(a_sequence(a_step("one", body="**Hi**"), id="filed"))
        said = fetch(tmp_path, url_of(site), monkeypatch, site.key)
    assert "filed belongs to a file on that server" in said.stderr
    copied = yaml.safe_load((tmp_path / "copy/sequences/filed.yaml").read_text())
    assert copied["steps"][0]["body"] == "**Hi**"


@pytest.mark.slow
def test_a_running_drip_serve_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Cli(tmp_path / "there")
    Cli(tmp_path)("init", "there")
    there("apply", "--yes")
    key = there.json("keys", "create", "copy")["key"]
    with served(there.folder, "serve", "127.0.0.1:0") as (address, _):
        fetch(tmp_path, address, monkeypatch, key)
    here = Cli(tmp_path / "copy")
    here("apply", "--yes")
    assert [step["subject"] for step in here.json("show", "welcome")["steps"]] == [
        step["subject"] for step in there.json("show", "welcome")["steps"]
    ]
    assert (here.folder / "sequences/templates/first-project.md").is_file()


class Foreign(ThreadingHTTPServer):
    """A server that is something else: what it answers is set by tests, by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def has(self, sequence: dict[str, Any], *templates: dict[str, Any]) -> None:
        """Answer as a server with one sequence."""
        self.answers = {SEQUENCES: [sequence], TEMPLATES: list(templates), f"{SEQUENCES}/{sequence['id']}": sequence}


class _Answers(BaseHTTPRequestHandler):
    server: Foreign

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(self.path)
        answer = self.server.answers.get(path, 404)
        status, content, headers = answer if isinstance(answer, tuple) else (200, answer, {})
        if isinstance(answer, int):
            status, content = answer, {"detail": "no"}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    server = Foreign()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


STEP = {"key": "one", "position": 1, "offset_seconds": 0, "subject": "One", "body_text": "One."}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (404, 2, "does not speak drip's API (404"),
        (401, 2, "does not take the API key (401)"),
        (403, 2, "does not take the API key (403)"),
        ((302, b"", {"Location": "https://elsewhere.example/v1"}), 2, "sends on to https://elsewhere.example/v1"),
        ((200, b"<html>", {}), 2, "did not answer with JSON"),
        ((200, b"[" * 100_000, {}), 2, "did not answer with JSON"),
        ({"sequences": []}, 2, "did not answer with a list"),
        (["text"], 2, "sequence 1 is not an object"),
        ([{"name": "No id"}], 2, "sequence 1: id is not text"),
        (503, 3, "can't answer now (503)"),
        ((429, b"", {"Retry-After": "7"}), 3, "try again in 7 s"),
    ],
)
def test_another_kind_of_server_is_told(
    foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, code: int, words: str
) -> None:
    foreign.answers = {SEQUENCES: answer, TEMPLATES: []}
    assert words in fetch(tmp_path, foreign.url, monkeypatch, code=code).stderr
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ({"steps": None}, "sequence a: steps is not a list"),
        ({"status": "sending"}, "status is not draft or active or archived"),
        ({"steps": [{**STEP, "offset_seconds": "1d"}]}, "steps[1]: offset_seconds is not a whole number"),
        ({"steps": [{**STEP, "from_email": "nobody"}]}, "from_email"),
        ({"send_window": {"days": "moon"}}, "send_window"),
        ({"steps": [{**STEP, "template_id": "gone"}]}, "template 'gone' it does not have"),
    ],
)
def test_an_answer_that_can_not_be_read_says_where(
    foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sequence: dict[str, Any], words: str
) -> None:
    foreign.has({"id": "a", "name": "A", "steps": [], **sequence})
    assert words in fetch(tmp_path, foreign.url, monkeypatch, code=2).stderr
    assert not (tmp_path / "copy").exists()


def test_no_id_of_a_server_leads_out_of_the_folder(
    foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = {"id": "../../evil", "name": "E", "steps": [{**STEP, "key": "../x", "template_id": "../../t"}]}
    foreign.has(hostile, {"id": "../../t", "subject": "T", "html": "<p>T</p>"})
    foreign.answers[f"{SEQUENCES}/..%2F..%2Fevil"] = hostile
    fetch(tmp_path, foreign.url, monkeypatch)
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"copy/sequences/evil.yaml", "copy/sequences/templates/t.html"} < made
    assert all(name.startswith("copy/") for name in made)
    assert Cli(tmp_path / "copy").json("check")["problems"] == []


def test_a_server_without_pages_is_read_once(foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign.answers = {f"{SEQUENCES}/{number}": {"id": number, "steps": []} for number in range(150)}
    foreign.answers |= {SEQUENCES: [{"id": number} for number in range(150)], TEMPLATES: []}
    fetch(tmp_path, foreign.url, monkeypatch)
    assert len(list((tmp_path / "copy/sequences").glob("*.yaml"))) == 150
    assert sum(path.startswith(f"{SEQUENCES}?") for path in foreign.asked) == 2


def test_a_list_without_an_end_is_told(foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drip.cli.files.remote.MOST", 100)
    foreign.answers = {SEQUENCES: [{"id": number} for number in range(100)], TEMPLATES: []}
    assert "lists more than 100 objects" in fetch(tmp_path, foreign.url, monkeypatch, code=2).stderr


def test_nobody_there_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "can't be reached" in fetch(tmp_path, "http://127.0.0.1:2", monkeypatch, code=3).stderr


@pytest.mark.parametrize(
    "url", ["mail.example.com", "ftp://mail.example.com", "https://", "https://a:b@mail.example.com"]
)
def test_a_url_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "URL" in fetch(tmp_path, url, monkeypatch, code=2).stderr


def test_without_a_key_it_says_where_one_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIP_API_KEY", raising=False)
    cli = Cli(tmp_path)
    said = cli("init", "--from-api", "https://mail.example.com", code=2).stderr
    assert "DRIP_API_KEY is not set" in said
    assert "--key-file" in said
    assert "--key-file" in cli("init", "--from-api", "https://mail.example.com", "--key-file", "gone", code=2).stderr
    assert "--from-api" in cli("init", "--key-file", "gone", code=2).stderr
    assert (
        "one line of ASCII" in fetch(tmp_path, "https://mail.example.com", monkeypatch, key="two words", code=2).stderr
    )
