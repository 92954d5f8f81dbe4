"""`drip bounces`: files, pipes and a Maildir, as a person or a mail server calls it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.inbound.post import CORPUS, fill

EMAIL = "ana@empresa.com"


@pytest.fixture
def sent(cli: Cli) -> Cli:
    """Ana has had her first message; bounces arrive in the Maildir `bounces`."""
    given = "smtp: {host: localhost, envelope_from: 'bounces+{token}@miempresa.com'}\ninbound: {maildir: bounces}\n"
    cli.write("drip.yaml", (cli.folder / "drip.yaml").read_text() + given)
    for name in ("new", "cur", "tmp"):
        (cli.folder / "bounces" / name).mkdir(parents=True)
    cli("subscribe", "welcome", EMAIL)
    cli("run", "--once")
    return cli


def sample(cli: Cli, name: str) -> bytes:
    """A message of the corpus about the message in the outbox."""
    found = re.search(r"^X-Drip-Delivery: (\S+)", cli.mails()[0], re.MULTILINE)
    leave = re.search(r"/u/(\S+?)>", cli.mails()[0])
    assert found
    assert leave
    return fill((CORPUS / f"{name}.eml").read_text(), token=found[1], leave=leave[1])


def suppressed(cli: Cli) -> list[str]:
    return [one["email"] for one in cli.json("suppress", "list")]


def test_a_file_with_one_message(sent: Cli) -> None:
    sent.write("b.eml", sample(sent, "postfix-user-unknown"))
    result = sent("-v", "bounces", "b.eml")
    assert result.stdout == "read 1: hard 1; 1 address suppressed, 1 subscription cancelled\n"
    assert result.stderr.startswith("hard  ana@empresa.com  welcome/hello  5.1.1  550 5.1.1 <ana@empresa.com>")
    assert sent("bounces", "b.eml").stdout == "read 1: duplicate 1\n"
    assert sent.json("subscriber", "welcome", EMAIL)["cancel_reason"] == "bounced"
    assert "bounced" in sent("log").stdout


def test_an_mbox_is_counted_by_kind(sent: Cli) -> None:
    names = ["postfix-delayed", "vacation-rfc3834", "newsletter", "bare-recipient", "arf-abuse", "arf-abuse"]
    box = b"".join(b"From x Tue Mar 10 09:00:00 2026\n" + sample(sent, name) + b"\n" for name in names)
    sent.write("box", box)
    found = sent.json("bounces", "box")
    reports = found.pop("reports")
    assert found == {
        "read": 6, "hard": 0, "soft": 1, "complaint": 1, "unsubscribe": 0, "unproven": 1, "duplicate": 1,
        "auto_reply": 1, "other": 1, "unreadable": 0, "suppressed": 1, "cancelled": 1, "dry_run": False,
    }  # fmt: skip
    assert [report["outcome"] for report in reports] == ["soft", "unproven", "complaint", "duplicate"]
    assert reports[2] == {
        "outcome": "complaint", "kind": "complaint", "proven": True, "email": EMAIL, "sequence_id": "welcome",
        "step_key": "hello", "code": "abuse", "text": "", "source": "mail", "suppressed": True, "cancelled": 1,
    }  # fmt: skip
    assert (sent.folder / "box").read_bytes() == box


def test_a_dry_run_changes_nothing(sent: Cli) -> None:
    raw = sample(sent, "postfix-user-unknown")
    sent.write("bounces/new/1", raw)
    for _ in range(2):
        found = sent.json("bounces", "--dry-run")
        assert (found["hard"], found["suppressed"], found["cancelled"], found["dry_run"]) == (1, 1, 1, True)
    assert suppressed(sent) == []
    assert (sent.folder / "bounces/new/1").read_bytes() == raw


def test_of_a_maildir_reports_are_put_away_and_all_else_stays(sent: Cli) -> None:
    for name in ("postfix-user-unknown", "bare-recipient", "newsletter", "vacation-rfc3834"):
        sent.write(f"bounces/new/{name}", sample(sent, name))
    assert sent("bounces").stdout.startswith("read 4: hard 1, unproven 1, auto-reply 1, other 1;")
    left = {path.name for path in (sent.folder / "bounces/new").iterdir()}
    assert left == {"newsletter", "vacation-rfc3834"}
    seen = {path.name for path in (sent.folder / "bounces/cur").iterdir()}
    assert seen == {"postfix-user-unknown:2,S", "bare-recipient:2,S"}
    assert sent("bounces").stdout == "read 2: auto-reply 1, other 1\n"


def test_an_opt_out_by_mail_is_taken_in(sent: Cli) -> None:
    sent.write("bounces/new/1", sample(sent, "unsubscribe-by-mail"))
    assert sent.json("bounces")["unsubscribe"] == 1
    assert sent.json("suppress", "list")[0]["reason"] == "unsubscribed"
    assert sent.json("subscriber", "welcome", EMAIL)["cancel_reason"] == "unsubscribed"


def test_an_opt_out_whose_token_is_broken_stays_to_be_seen(sent: Cli) -> None:
    sent.write("bounces/new/1", b"From: ana@empresa.com\nSubject: unsubscribe " + b"a" * 28 + b"\n\n")
    assert sent("bounces").stdout == "read 1: unproven 1\n"
    assert (sent.folder / "bounces/new/1").exists()


def test_a_bounce_is_taken_from_a_pipe(sent: Cli) -> None:
    raw = b"From MAILER-DAEMON Tue Mar 10 09:00:03 2026\n" + sample(sent, "postfix-user-unknown")
    assert sent("bounces", "-", stdin=raw).stdout.startswith("read 1: hard 1;")
    assert suppressed(sent) == [EMAIL]
    assert sent("bounces", "-", stdin=sample(sent, "newsletter")).stdout == "read 1: other 1\n"
    assert sent("bounces", "-", stdin=b"").stdout == "read 0\n"
    huge = b"Subject: x\n\n" + b"x" * (11 * 1024 * 1024)
    assert sent("bounces", "-", stdin=huge).stdout == "read 1: unreadable 1\n"


def test_whatever_is_wrong_a_pipe_asks_the_mail_server_to_try_again(sent: Cli) -> None:
    raw = sample(sent, "postfix-user-unknown")
    config = (sent.folder / "drip.yaml").read_text()
    for broken in ("from: nobody\n", config + "database: sqlite:///no/such/folder/drip.db\n"):
        sent.write("drip.yaml", broken)
        assert sent("bounces", "-", stdin=raw, code=75).stdout == ""
    sent.write("drip.yaml", config)
    assert sent("bounces", "-", stdin=raw).stdout.startswith("read 1: hard 1;")


def test_what_is_missing_is_said(cli: Cli) -> None:
    assert "inbound.maildir" in cli("bounces", code=2).stderr
    assert "no-such-file can't be read: no such file or directory" in cli("bounces", "no-such-file", code=2).stderr
    assert "is a folder" in cli("bounces", "sequences", code=2).stderr
    cli.write("drip.yaml", (cli.folder / "drip.yaml").read_text() + "inbound: {maildir: nowhere}\n")
    assert "is not a Maildir" in cli("bounces", code=3).stderr


def test_reading_bounces_loads_no_web_server(sent: Cli, tmp_path: Path) -> None:
    look = (
        "import sys; from drip.cli.main import main\ntry: main()\nfinally: print(sorted(sys.modules), file=sys.stderr)"
    )
    raw = sample(sent, "postfix-user-unknown")
    command = [sys.executable, "-c", look, "-C", str(sent.folder), "bounces", "-"]
    done = subprocess.run(command, input=raw, capture_output=True, check=True)
    assert not {"fastapi", "pydantic", "rich", "textual", "jinja2", "yagmail"} & set(eval(done.stderr.splitlines()[-1]))


def test_the_loop_reads_the_mailbox_and_status_says_how_it_went(sent: Cli) -> None:
    sent.write("bounces/new/1", sample(sent, "postfix-user-unknown"))
    command = [sys.executable, "-m", "drip", "-v", "-C", str(sent.folder), "run", "--interval", "1s"]
    for broken in (False, True):
        if broken:
            (sent.folder / "bounces" / "new").rename(sent.folder / "bounces" / "gone")
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            deadline = time.monotonic() + 120
            while "mailbox" not in (said := sent("status").stdout) or broken is ("can't be read" not in said):
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
            assert process.stderr is not None
            assert broken or "hard  ana@empresa.com  welcome/hello  5.1.1" in process.stderr.read()
    assert suppressed(sent) == [EMAIL]
    assert "came back" in said
    assert "1 hard bounce" in said
    state = sent.json("status")
    assert state["reports"] == {"hard": 1, "soft": 0, "complaint": 0, "unsubscribe": 0, "unproven": 0}
    assert "is not a Maildir" in state["inbox"]["error"]
