"""The walk of the manual, word for word: curl against `drip run --http`, an outbox, and a receiver of webhooks."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from standardwebhooks import Webhook

CONFIG = """\
from: Ana de Mi Empresa <hola@miempresa.com>
authorized_domains: [miempresa.com]
base_url: https://mail.miempresa.com
transport: outbox
webhooks_allow_private: true
"""
FILED = """\
name: Filed
steps:
  - id: one
    delay: 0
    subject: Hola
    template: bienvenida-fc9674
"""
Curl = Callable[..., tuple[int, Any]]


class Receiver(http.server.ThreadingHTTPServer):
    """Takes what is posted; `posts` has (headers, body) of each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: Queue[tuple[dict[str, str], bytes]] = Queue()

    def next(self, secret: str) -> dict[str, Any]:
        """The next event, when the published verifier takes its signature."""
        headers, body = self.posts.get(timeout=120)
        event: dict[str, Any] = Webhook(secret).verify(body, headers)
        return event


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the two templates of the walk, applied."""
    templates = Path(__file__).parents[2] / "sequences" / "templates"
    (tmp_path / "sequences" / "templates").mkdir(parents=True)
    for name in ("bienvenida-fc9674.md", "followup-fc9675.md"):
        shutil.copy(templates / name, tmp_path / "sequences" / "templates" / name)
    (tmp_path / "drip.yaml").write_text(CONFIG)
    (tmp_path / "sequences" / "filed.yaml").write_text(FILED)
    drip(tmp_path, "apply", "--yes")
    return tmp_path


def drip(folder: Path, *words: str) -> str:
    """Run a command to its end."""
    command = [sys.executable, "-m", "drip", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A command that serves: its address and its process, ended by a signal and with success."""
    command = [sys.executable, "-m", "drip", "-C", str(folder), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"listening on (http://\S+)", line):
                break
        else:
            raise AssertionError("it did not listen")
        try:
            yield found[1], process
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0, process.stderr.read()
        finally:
            process.kill()


def curling(address: str, key: str) -> Curl:
    """One curl as people type it: the status and the JSON."""

    def curl(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        command = [
            "curl",
            "-s",
            "-X",
            method,
            "-H",
            f"Authorization: Bearer {key}",
            "-w",
            "\n%{http_code}",
            address + path,
        ]
        if body is not None:
            command += ["-d", json.dumps(body, ensure_ascii=False)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
        content, _, status = answer.rpartition("\n")
        return int(status), json.loads(content) if content else None

    return curl


def wait_for(look: Callable[[], Any]) -> Any:
    """What `look` gives, as soon as it gives something."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")


@pytest.mark.slow
def test_an_application_lives_with_it_from_key_to_webhook(project: Path, receiver: Receiver) -> None:
    hook = f"http://127.0.0.1:{receiver.server_port}/hook"
    made = json.loads(drip(project, "keys", "create", "app", "--webhook-url", hook, "--json"))
    key, secret = made["key"], made["webhook_secret"]
    with served(project, "run", "--http", "127.0.0.1:0", "--interval", "1s") as (address, _):
        curl = curling(address, key)

        status, sequence = curl("POST", "/v1/bulk/sequences", {"name": "Onboarding - Bienvenida"})
        assert (status, sequence["status"]) == (201, "draft")
        assert re.fullmatch("onboarding-bienvenida-[0-9a-f]{6}", sequence["id"])
        path = f"/v1/bulk/sequences/{sequence['id']}"

        first = {"position": 1, "offset_seconds": 0, "subject": "Bienvenido a {{name}}, aquí empieza todo"}
        first |= {"from_email": "hola@miempresa.com", "template_id": "bienvenida-fc9674"}
        assert curl("POST", f"{path}/steps", first)[0] == 201
        second = {"position": 2, "offset_seconds": 259200, "subject": "¿Cómo va todo?"}
        second |= {"from_email": "hola@miempresa.com", "template_id": "followup-fc9675"}
        assert curl("POST", f"{path}/steps", second)[0] == 201
        status, sequence = curl("PATCH", path, {"status": "active"})
        assert (status, sequence["status"]) == (200, "active")

        status, subscriber = curl("POST", f"{path}/subscribers", {"email": "ana@empresa.com"})
        assert (status, subscriber["status"]) == (201, "active")
        assert curl("POST", f"{path}/subscribers", {"email": "ana@empresa.com"})[0] == 200

        subscribed, sent = receiver.next(secret), receiver.next(secret)
        assert (subscribed["event"], sent["event"]) == ("sequence.subscribed", "sequence.step.sent")
        assert (sent["contact_email"], sent["position"], sent["app"]) == ("ana@empresa.com", 1, made["id"])
        file = wait_for(lambda: [*(project / "outbox" / "new").iterdir()])[0]
        message = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert message["Subject"] == "Bienvenido a , aquí empieza todo"
        assert message["Message-ID"] == sent["message_id"]
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

        one = f"{path}/subscribers/ana@empresa.com"
        assert curl("POST", f"{one}/pause")[1]["status"] == "paused"
        assert curl("DELETE", path)[1]["error"]["code"] == "sequence_has_subscribers"
        assert curl("POST", f"{one}/resume")[1]["status"] == "active"
        status, shown = curl("GET", one)
        assert (status, shown["current_step"], shown["next_step"]) == (200, 1, "step-2")
        assert curl("GET", f"{path}/subscribers") == (200, [shown])
        assert curl("DELETE", path)[0] == 409
        status, cancelled = curl("DELETE", one)
        assert (status, cancelled["status"], cancelled["cancel_reason"]) == (200, "cancelled", "manual")
        assert receiver.next(secret)["event"] == "sequence.cancelled"
        status, refused = curl("POST", f"{path}/subscribers", {"email": "ana@empresa.com"})
        assert (status, refused["error"]["code"]) == (409, "subscription_terminal")
        foreign = {
            "position": 3,
            "offset_seconds": 0,
            "subject": "x",
            "html": "<p>x</p>",
            "from_email": "a@foreign.com",
        }
        status, refused = curl("POST", f"{path}/steps", foreign)
        assert (status, refused["error"]["code"]) == (403, "domain_unauthorized")

        link = re.search(r"<https://mail\.miempresa\.com(/u/\S+)>", message["List-Unsubscribe"])
        assert link is not None
        click = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-d",
            "List-Unsubscribe=One-Click",
            address + link[1],
        ]
        assert subprocess.run(click, capture_output=True, text=True, check=True, timeout=120).stdout == "200"
        assert curl("GET", "/v1/suppressions")[1]["items"][0]["reason"] == "unsubscribed"

        assert curl("DELETE", path) == (204, None)
        assert curl("GET", path)[0] == 404
        health = subprocess.run(["curl", "-s", f"{address}/healthz"], capture_output=True, check=True, timeout=120)
        assert json.loads(health.stdout) == {"status": "ok", "database": True, "worker": True}


@pytest.mark.slow
def test_after_completion_it_is_409(project: Path) -> None:
    key = json.loads(drip(project, "keys", "create", "app", "--json"))["key"]
    with served(project, "run", "--http", "127.0.0.1:0", "--interval", "1s") as (address, _):
        curl = curling(address, key)
        assert curl("PATCH", "/v1/bulk/sequences/filed", {"status": "active"})[0] == 200
        path = "/v1/bulk/sequences/filed/subscribers"
        assert curl("POST", path, {"email": "ana@empresa.com"})[0] == 201
        wait_for(lambda: curl("GET", f"{path}/ana@empresa.com")[1]["status"] == "completed")
        assert curl("POST", path, {"email": "ana@empresa.com"})[0] == 409


@pytest.mark.slow
def test_serve_serves_and_sends_nothing(project: Path) -> None:
    key = json.loads(drip(project, "keys", "create", "app", "--json"))["key"]
    with served(project, "serve", "127.0.0.1:0") as (address, _):
        curl = curling(address, key)
        assert curl("GET", "/v1/bulk/sequences")[1][0]["id"] == "filed"
        drip(project, "keys", "revoke", "app", "--yes")
        assert curl("GET", "/v1/bulk/sequences")[0] == 401


def test_a_port_that_is_taken_is_said(project: Path) -> None:
    with Receiver() as taken:
        command = [sys.executable, "-m", "drip", "-C", str(project), "serve", f"127.0.0.1:{taken.server_port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "can't be listened on" in done.stderr) == (3, True)


@pytest.mark.parametrize("place", ["8025", "127.0.0.1:http", "127.0.0.1:70000", "nobody.invalid:8025"])
def test_a_place_that_is_none_is_said(project: Path, place: str) -> None:
    command = [sys.executable, "-m", "drip", "-C", str(project), "serve", place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


@pytest.mark.slow
def test_two_signals_end_it_at_once(project: Path) -> None:
    with served(project, "run", "--http", "127.0.0.1:0") as (address, process):
        assert subprocess.run(["curl", "-s", f"{address}/healthz"], capture_output=True, timeout=120).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
