"""`keys`, `webhooks`, and that `run` posts: the program itself against a server on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.core.webhooks import masked_secret
from tests.cli.conftest import CONFIG, Cli
from tests.notify.receiver import OTHER_SECRET, SECRET, Receiver, Reply, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def hooked(cli: Cli, receiver: Receiver) -> Cli:
    """A project whose drip.yaml names the receiver."""
    hook = f"webhooks:\n  - url: {receiver.url}\n    secret: [{SECRET}, {OTHER_SECRET}]\n"
    cli.write("drip.yaml", f"{CONFIG}project: shop\nwebhooks_allow_private: true\n{hook}")
    return cli


class TestKeys:
    def test_a_key_is_shown_once(self, cli: Cli) -> None:
        result = cli("keys", "create", "my app")
        key = next(line.split()[-1] for line in result.stdout.splitlines() if line.startswith("key"))
        assert key.startswith("drip_")
        assert "not shown again" in result.stderr
        for args in (["keys", "list"], ["keys", "list", "--json"], ["log"], ["log", "--json"]):
            shown = cli(*args)
            assert key not in shown.output
            assert key[11:] not in shown.output

    def test_the_key_itself_is_only_in_the_answer_that_makes_it(self, cli: Cli) -> None:
        made = cli.json("keys", "create", "app", "--webhook-url", "https://app.example.com/h")
        assert made["key"].startswith(made["prefix"])
        assert made["webhook_secret"].startswith("whsec_")
        (listed,) = cli.json("keys", "list")
        assert listed == {
            "id": made["id"],
            "name": "app",
            "prefix": made["prefix"],
            "created_at": made["created_at"],
            "last_used_at": None,
            "revoked_at": None,
            "webhook_url": "https://app.example.com/h",
            "secret_masked": masked_secret(made["webhook_secret"]),
        }

    def test_an_inner_url_makes_no_key_either(self, cli: Cli) -> None:
        result = cli("keys", "create", "app", "--webhook-url", "https://127.0.0.1/h", code=2)
        assert "webhooks_allow_private" in result.stderr
        assert cli.json("keys", "list") == []

    def test_a_key_is_revoked_by_its_name_or_id_and_once(self, cli: Cli) -> None:
        made = cli.json("keys", "create", "app")
        assert "is revoked" in cli("keys", "revoke", "app").stdout
        assert "before" in cli("keys", "revoke", made["id"]).stderr
        assert cli.json("keys", "list")[0]["revoked_at"] is not None
        assert cli.json("keys", "revoke", made["id"])["revoked"] is False
        assert "did you mean" in cli("keys", "revoke", "apo", code=2).stderr

    def test_without_a_key_the_way_to_one_is_said(self, cli: Cli) -> None:
        assert "drip keys create" in cli("keys", "list").stderr


class TestWebhooks:
    def test_without_an_endpoint_the_way_to_one_is_said(self, cli: Cli) -> None:
        assert "add `webhooks:`" in cli("webhooks", "list").stderr
        assert cli.json("webhooks", "list") == []
        assert "nothing was posted yet" in cli("webhooks", "deliveries").stderr
        assert "nothing is dead" in cli("webhooks", "replay", "--dead").stderr
        assert "add `webhooks:`" in cli("webhooks", "test", code=2).stderr
        assert "say what" in cli("webhooks", "replay", code=2).stderr

    def test_the_list_shows_where_from_and_no_secret(self, hooked: Cli, receiver: Receiver) -> None:
        made = hooked.json("keys", "create", "app", "--webhook-url", "https://app.example.com/h")
        hooked("subscribe", "welcome", "ada@example.com")
        assert hooked.json("status")["webhooks"]["waiting"] == 2
        assert "2 waiting" in hooked("status").stdout
        file, key = hooked.json("webhooks", "list")
        assert (file["url"], file["source"], file["key_id"], file["waiting"]) == (receiver.url, "file", None, 1)
        assert (key["url"], key["source"], key["key_id"], key["state"]) == (
            *("https://app.example.com/h", "key", made["id"], "active"),
        )
        assert file["secret_masked"] == masked_secret(SECRET)
        shown = hooked("webhooks", "list").stdout
        assert "drip.yaml" in shown
        assert made["id"] in shown
        for secret in (SECRET, OTHER_SECRET, made["webhook_secret"]):
            assert secret not in shown + json.dumps([file, key])

    def test_a_test_event_is_signed_and_its_answer_shown(self, hooked: Cli, receiver: Receiver) -> None:
        receiver.script = lambda received: Reply(202, body=b"thanks")
        assert "202 thanks" in hooked("webhooks", "test").stdout
        found = receiver.got[0].verified(OTHER_SECRET)
        assert (found["event"], found["app"], found["id"]) == ("webhook.test", "shop", receiver.got[0].id)
        assert hooked.json("webhooks", "deliveries") == []

    def test_a_test_that_fails_says_so(self, hooked: Cli, receiver: Receiver) -> None:
        receiver.script = lambda received: Reply(500, body=b"\x1b[2Jno")
        assert "500" in hooked("webhooks", "test", receiver.url, code=1).stdout
        assert hooked.json("webhooks", "test", code=1)[0]["status"] == 500
        hooked.write("drip.yaml", CONFIG + "webhooks:\n  - url: http://127.0.0.1:9/\n    secret: " + SECRET + "\n")
        assert "no answer" in hooked("webhooks", "test", code=3).stdout

    def test_run_once_posts_and_replay_posts_again(self, hooked: Cli, receiver: Receiver) -> None:
        hooked("subscribe", "welcome", "ada@example.com")
        assert hooked.json("run", "--once")["sent"] == 1
        assert receiver.events == ["sequence.subscribed", "sequence.step.sent"]
        mail = hooked.mails()[0]
        assert f"Message-ID: {receiver.got[1].verified()['message_id']}" in mail
        rows = hooked.json("webhooks", "deliveries", "--state", "delivered")
        assert [row["event"] for row in rows] == ["sequence.step.sent", "sequence.subscribed"]
        assert "step.sent" in hooked("webhooks", "deliveries").stdout
        assert f"{len(hooked.json('webhooks', 'deliveries')) - 1} more: --limit N" in (
            hooked("webhooks", "deliveries", "--limit", "1").stderr
        )
        assert "due again" in hooked("webhooks", "replay", str(rows[0]["id"]), rows[1]["event_id"]).stdout
        hooked("run", "--once")
        assert sorted(received.body for received in receiver.got[2:]) == sorted(
            received.body for received in receiver.got[:2]
        )

    def test_a_disabled_endpoint_is_used_again_when_a_test_is_answered(self, hooked: Cli, receiver: Receiver) -> None:
        receiver.script = lambda received: Reply(410)
        hooked("subscribe", "welcome", "ada@example.com")
        hooked("run", "--once")
        assert "disabled" in hooked("webhooks", "list").stdout
        assert "not in use" in hooked("webhooks", "replay", "1", code=1).stderr
        hooked("webhooks", "test", code=1)
        receiver.script = lambda received: Reply()
        assert "used again" in hooked("webhooks", "test").stderr
        assert hooked.json("webhooks", "list")[0]["state"] == "active"
        assert hooked.json("webhooks", "replay", "--dead")[-1]["event"] == "sequence.subscribed"

    def test_a_dead_endpoint_fails_no_run(self, cli: Cli) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        hook = f"webhooks:\n  - url: http://127.0.0.1:{port}/\n    secret: {SECRET}\n"
        cli.write("drip.yaml", CONFIG + hook)
        cli("subscribe", "welcome", "ada@example.com")
        assert cli.json("run", "--once")["sent"] == 1
        rows = cli.json("webhooks", "deliveries")
        # Nobody waited for the next try; another may have been begun before the first had failed.
        assert [row["state"] for row in rows] == ["waiting", "waiting"]
        assert {row["attempts"] for row in rows} in ({0, 1}, {1})

    def test_the_loop_posts_for_a_key_that_came_later(self, hooked: Cli, receiver: Receiver) -> None:
        with (
            receiving() as late,
            subprocess.Popen(
                ["drip", "-C", str(hooked.folder), "run", "--interval", "1s"],
                env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            ) as process,
        ):  # fmt: skip
            hooked("subscribe", "welcome", "ada@example.com")
            receiver.wait_for(2)
            made = hooked.json("keys", "create", "app", "--webhook-url", late.url)
            hooked("subscribe", "welcome", "bob@example.com")
            late.wait_for(2)
            found = [received.verified(made["webhook_secret"]) for received in late.got]
            assert [one["event"] for one in found] == ["sequence.subscribed", "sequence.step.sent"]
            assert {one["app"] for one in found} == {made["id"]}
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0


def loaded_by_a_run(folder: Path, *modules: str) -> str:
    """Which of the modules one pass has loaded."""
    script = (
        "import sys\nfrom drip.cli.main import drip\n"
        f"try: drip(['-C', {str(folder)!r}, 'run', '--once'])\nexcept SystemExit: pass\n"
        f"print([name for name in {modules!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_with_no_endpoint_nothing_of_webhooks_is_loaded(cli: Cli) -> None:
    assert loaded_by_a_run(cli.folder, "drip.notify", "httpcore", "standardwebhooks") == "[]"


def test_with_nothing_due_no_http_is_loaded(hooked: Cli) -> None:
    assert loaded_by_a_run(hooked.folder, "httpcore", "standardwebhooks") == "[]"
