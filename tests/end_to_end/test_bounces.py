"""From the first mail to its bounce and what follows from it, through a real mail server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from drip.project import system_clock
from tests.cli.conftest import Cli
from tests.end_to_end.postfix import postfix
from tests.notify.receiver import SECRET, receiving
from tests.tui.room import Room

EMAIL = "ana@empresa.com"
SEQUENCE = """\
name: {name}
status: active
steps:
  - {{id: hello, delay: 0, subject: Hello, body: Hi.}}
  - {{id: tips, delay: 3d, subject: Tips, body: Three tips.}}
"""
CONFIG = """\
from: Ana de Mi Empresa <hola@miempresa.com>
base_url: https://mail.miempresa.com
transport: smtp
smtp:
  host: localhost
  port: {port}
  security: none
  envelope_from: bounces+{{token}}@miempresa.com
inbound:
  address: bounces@miempresa.com
  maildir: {maildir}
webhooks:
  - url: {url}
    secret: {secret}
    events: [sequence.cancelled]
"""
WORDS = 'unknown user: "ana@empresa.com"'


@pytest.mark.slow
def test_a_bounce_of_a_real_server_ends_everything_for_the_person(tmp_path: Path) -> None:
    with postfix() as server, receiving() as receiver:
        cli = Cli(tmp_path / "project")
        cli.write("drip.yaml", CONFIG.format(port=server.port, maildir=server.maildir, url=receiver.url, secret=SECRET))
        for name in ("welcome", "nurture"):
            cli.write(f"sequences/{name}.yaml", SEQUENCE.format(name=name))
        cli("apply")
        cli("subscribe", "welcome", EMAIL)
        cli("subscribe", "nurture", EMAIL)
        assert cli.json("run", "--once")["sent"] == 2
        server.wait_for(2)

        assert cli.json("bounces", "--dry-run")["hard"] == 2
        found = cli.json("bounces")
        assert (found["read"], found["hard"], found["suppressed"], found["cancelled"]) == (2, 2, 1, 2)
        assert {(one["email"], one["step_key"], one["code"]) for one in found["reports"]} == {(EMAIL, "hello", "5.1.1")}
        assert {one["sequence_id"] for one in found["reports"]} == {"welcome", "nurture"}
        assert cli.json("bounces")["read"] == 0

        suppressed = cli.json("suppress", "list")
        assert [(one["email"], one["reason"], one["code"]) for one in suppressed] == [(EMAIL, "bounce", "5.1.1")]
        for name in ("welcome", "nurture"):
            person = cli.json("subscriber", name, EMAIL)
            assert (person["status"], person["cancel_reason"], person["next_step"]) == ("cancelled", "bounced", None)
        assert WORDS in cli("log", "--email", EMAIL).stdout
        assert WORDS in cli("subscriber", "welcome", EMAIL).stdout
        assert "2 hard bounces" in cli("status").stdout
        assert asyncio.run(_dashboard_says(cli.folder, "code 5.1.1  unknown user:"))

        cli("run", "--once")
        told = [post.verified() for post in receiver.wait_for(2)]
        assert {(one["sequence_id"], one["contact_email"], one["reason"]) for one in told} == {
            ("welcome", EMAIL, "bounced"), ("nurture", EMAIL, "bounced"),
        }  # fmt: skip
        assert all(WORDS in one["detail"] for one in told)
        assert "status=bounced" in server.log.read_text()


@pytest.mark.slow
def test_a_pipe_of_a_real_server_keeps_what_drip_can_not_take_now(tmp_path: Path) -> None:
    cli, mounted = Cli(tmp_path / "project"), tmp_path / "mounted"
    with postfix(pipe_to=[sys.executable, "-m", "drip", "-C", str(mounted), "bounces", "-"]) as server:
        cli.write("drip.yaml", CONFIG.format(port=server.port, maildir="box", url="http://127.0.0.1:9/", secret=SECRET))
        cli.write("sequences/welcome.yaml", SEQUENCE.format(name="welcome"))
        cli("apply")
        cli("subscribe", "welcome", EMAIL)
        assert cli.json("run", "--once")["sent"] == 1
        server.wait_for_calls([75])
        assert cli.json("subscriber", "welcome", EMAIL)["status"] == "active"

        mounted.symlink_to(cli.folder)
        server.flush()
        server.wait_for_calls([75, 0])
        person = cli.json("subscriber", "welcome", EMAIL)
        assert (person["status"], person["cancel_reason"]) == ("cancelled", "bounced")
        assert [(one["email"], one["code"]) for one in cli.json("suppress", "list")] == [(EMAIL, "5.1.1")]
        log = server.log.read_text()
        assert ("status=deferred" in log, "status=sent (delivered via bounces service" in log) == (True, True)
        # The answer to the person's mailbox that is not there is the one bounce; none is made of the bounce.
        assert log.count("status=bounced") == 1


async def _dashboard_says(folder: Path, words: str) -> bool:
    """Whether the dashboard says so of Ana."""
    room = Room(folder)
    room.now = system_clock()
    async with room.dashboard(width=160) as driver:
        driver.app.show_person("welcome", EMAIL)
        return await driver.shows(words)
