"""`run`: one pass, the loop, its signals, and the dry run that leaves no trace."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, WELCOME, Cli

KEYS = ["sent", "deferred", "failed", "skipped", "cancelled", "unknown", "completed", "remaining_due", "next_due_at",
        "duration_seconds"]  # fmt: skip
SMTP = CONFIG + "transport: smtp\nsmtp: {host: 127.0.0.1, port: 2, security: none, timeout: 2s}\n"


def _trace(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    } | {str(path): "folder" for path in folder.rglob("*") if path.is_dir()}


def test_one_pass_in_a_line(ada: Cli) -> None:
    said = ada("run", "--once").stdout
    assert said.startswith("sent 1; next due ")
    # Three days on the wall are an hour less or more where the clocks are changed between.
    assert said.endswith((" (in 2d 22h)\n", " (in 2d 23h)\n", " (in 3d)\n", " (in 3d 1h)\n"))
    assert ada("run", "--once").stdout.startswith("nothing was due; next due ")
    assert len(ada.mails()) == 1
    assert "Subject: Hello Ada" in ada.mails()[0]


def test_one_pass_as_json_is_exactly_that(ada: Cli) -> None:
    report = ada.json("run", "--once")
    assert list(report) == KEYS
    assert (report["sent"], report["remaining_due"], report["completed"]) == (1, 0, 0)
    assert report["next_due_at"].endswith("Z")
    assert isinstance(report["duration_seconds"], float)


def test_a_run_says_when_nobody_waits(cli: Cli) -> None:
    assert cli("run", "--once").stdout == "nothing was due; nobody waits\n"
    assert cli.json("run", "--once")["next_due_at"] is None


def test_verbose_says_each_outcome_on_stderr(ada: Cli) -> None:
    result = ada("-v", "run", "--once", "--json")
    assert "sent      hello  ada@example.com" in result.stderr
    assert json.loads(result.stdout)["sent"] == 1


def test_now_moves_the_clock_with_the_outbox(ada: Cli) -> None:
    ada("run", "--once")
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4 * 86400))
    assert ada.json("run", "--once", "--now", later)["completed"] == 1


def test_now_is_refused_with_smtp(ada: Cli) -> None:
    ada.write("drip.yaml", SMTP)
    assert "--now moves the clock" in ada("run", "--once", "--now", "2030-01-01T00:00:00Z", code=2).stderr
    assert ada.json("run", "--dry-run", "--now", "2030-01-01T00:00:00Z")["skip"] == 1


def test_a_limit_leaves_the_rest_due(ada: Cli) -> None:
    ada("subscribe", "welcome", "bob@example.com")
    report = ada.json("run", "--once", "--limit", "1")
    assert (report["sent"], report["remaining_due"]) == (1, 1)
    assert ada("run", "--once", "--limit", "1").stdout.startswith("sent 1; next due")


def test_a_failed_delivery_is_1(cli: Cli) -> None:
    cli.write("sequences/broken.yaml", "status: active\nsteps:\n  - {id: a, delay: 0, subject: x, body: '{{ 1/z }}'}\n")
    cli("apply")
    cli("subscribe", "broken", "ada@example.com", "--var", "z:=0")
    assert cli("run", "--once", code=1).stdout.startswith("failed 1; ")


def test_a_server_that_does_not_answer_is_3_and_names_the_setting(ada: Cli) -> None:
    ada.write("drip.yaml", SMTP)
    result = ada("run", "--once", code=3)
    assert "127.0.0.1:2 can't be used now: can't connect" in result.stderr
    assert "smtp.host" in result.stderr
    assert result.stdout == "nothing was sent; 1 still due\n"
    assert ada.json("run", "--once", code=3)["remaining_due"] == 1


def test_an_outbox_that_can_not_be_written_is_3_and_names_the_setting(ada: Cli) -> None:
    ada.write("outbox", "a file where the folder should be")
    result = ada("run", "--once", code=3)
    assert "the outbox" in result.stderr
    assert "`outbox` in drip.yaml" in result.stderr


def test_a_dry_run_says_what_would_be(ada: Cli) -> None:
    ada("subscribe", "welcome", "bob@example.com", "--name", "B\x1bob")
    result = ada("run", "--dry-run")
    assert "send   welcome   hello  ada@example.com  Hello Ada" in result.stdout
    assert result.stdout.endswith("\n2 to send\n")
    report = ada.json("run", "--dry-run", "--limit", "1")
    assert (report["send"], report["remaining_due"]) == (1, 1)
    assert set(report["would"][0]) == {"action", "sequence_id", "step", "email", "subject", "reason", "due_at"}


def test_a_dry_run_knows_the_reasons(ada: Cli) -> None:
    conditions = WELCOME.replace("  - id: hello\n", "  - id: hello\n    when: plan == 'pro'\n")
    ada.write("sequences/welcome.yaml", conditions)
    ada("apply", "--yes")
    assert "skip" in ada("run", "--dry-run").stdout
    assert ada.json("run", "--dry-run")["would"][0]["reason"] == "when"
    assert ada.json("run", "--dry-run", "--now", "2090-01-01T00:00:00Z")["would"][0]["reason"] == "stale"


@pytest.mark.parametrize("arguments", [[], ["--once"], ["--json"], ["--now", "2090-01-01T00:00:00Z"]])
def test_a_dry_run_leaves_no_trace(ada: Cli, arguments: list[str]) -> None:
    before = _trace(ada.folder)
    ada("run", "--dry-run", *arguments)
    assert _trace(ada.folder) == before


def test_a_dry_run_beside_a_worker_changes_nothing_it_can_see(ada: Cli) -> None:
    with ada.project.opened() as store, store.transaction():
        store.database.run("UPDATE contact SET name = 'Not yet'")
        assert "Hello Ada" in ada("run", "--dry-run").stdout


@pytest.mark.sqlite
def test_a_dry_run_without_a_database_makes_none(files: Cli) -> None:
    before = _trace(files.folder)
    result = files("run", "--dry-run")
    assert "there is no database yet" in result.stderr
    assert result.stdout == "nothing would be sent\n"
    assert _trace(files.folder) == before


@pytest.mark.sqlite
def test_a_dry_run_does_not_migrate(ada: Cli) -> None:
    with closing(sqlite3.connect(ada.folder / "drip.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    before = _trace(ada.folder)
    result = ada("run", "--dry-run", code=3)
    assert "the database has schema 1" in result.stderr
    assert result.stdout == ""
    assert _trace(ada.folder) == before


@pytest.mark.sqlite
def test_a_dry_run_does_not_say_of_a_database_it_can_not_read_that_nobody_waits(files: Cli) -> None:
    files.write("drip.db", b"no database " * 1000)
    result = files("run", "--dry-run", "--json", code=3)
    assert "the file is not a database" in result.stderr
    assert result.stdout == ""


@pytest.mark.sqlite
def test_an_empty_file_is_a_database_without_anybody(files: Cli) -> None:
    files.write("drip.db", "")
    assert files("run", "--dry-run").stdout == "nothing would be sent\n"


@pytest.mark.sqlite
def test_a_database_that_was_cut_short_is_not_taken_for_one_in_which_nobody_waits(ada: Cli) -> None:
    ada("run", "--once")
    file = ada.folder / "drip.db"
    os.truncate(file, file.stat().st_size - 1)
    assert "cut short" in ada("run", "--once", code=3).stderr


def _loop(cli: Cli, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        ["drip", "-C", str(cli.folder), "run", "--interval", "1s", *options],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_the_loop_politely(ada: Cli, number: signal.Signals) -> None:
    with _loop(ada, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["sent"] == 1
        process.send_signal(number)
        assert process.wait(120) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert ada.json("status")["workers"] == 0


def test_a_limit_holds_for_each_pass_of_the_loop(ada: Cli) -> None:
    ada("subscribe", "welcome", "bob@example.com")
    with _loop(ada, "--json", "--limit", "1") as process:
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["sent"] for _ in range(2)] == [1, 1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


def test_trouble_is_said_once_not_every_pass(ada: Cli) -> None:
    ada.write("outbox", "in the way")
    with _loop(ada) as process:
        assert process.stderr is not None
        assert "the outbox" in process.stderr.readline()
        assert "look at `outbox`" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("stop", "work", "end"),
    [
        ("print('asked', flush=True)", "time.sleep(60)", "pass"),
        ("over.set()", "over.wait()", "print('asked', flush=True)"),
    ],
    ids=["in the middle of work", "when the work is done"],
)
def test_a_second_signal_stops_at_once(stop: str, work: str, end: str) -> None:
    program = (
        "import threading, time\nfrom drip.cli.stopping import stopped_by_signals\n"
        f"over = threading.Event()\nclass Work:\n    def stop(self): {stop}\n"
        f"with stopped_by_signals(Work()):\n    print('ready', flush=True)\n    {work}\n{end}\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130


def test_v_is_understood_after_the_command_too(ada: Cli) -> None:
    assert "ada@example.com" in ada("run", "--once", "-v").stderr
