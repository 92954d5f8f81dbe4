"""What waits for a limit is shown with its time, and a limit holds over processes that run at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import CONFIG, Cli

PER_DAY = 40


@pytest.fixture
def crowd(cli: Cli) -> Cli:
    """Many who are due, and few who may be mailed on one day."""
    cli.write("drip.yaml", f"{CONFIG}limits: {{per_day: {PER_DAY}}}\n")
    people = cli.write("people.csv", "email\n" + "".join(f"p{number}@example.com\n" for number in range(100)))
    cli("import", "welcome", str(people))
    return cli


def test_what_waits_for_the_day_is_shown_with_its_time(crowd: Cli) -> None:
    assert "the limits have room again" in crowd("run", "--once").stdout
    assert "the limits have room again" in crowd("status").stdout
    assert "60 messages due now: the limits have room again" in crowd("agenda").stdout
    limited = crowd.json("status")["limited"]
    assert limited["due"] == 60
    assert crowd.json("agenda")["limited"] == limited
    # midnight in Madrid
    assert limited["until"].endswith(("T23:00:00Z", "T22:00:00Z", "T23:00:00.000Z", "T22:00:00.000Z"))


def test_a_dry_run_keeps_to_the_day(crowd: Cli) -> None:
    would = crowd.json("run", "--dry-run")
    assert (would["send"], would["defer"], would["remaining_due"]) == (PER_DAY, 60, 0)
    assert would["would"][-1]["reason"].startswith("limit until ")
    assert crowd.json("run", "--once")["sent"] == would["send"]
    assert crowd.json("run", "--dry-run")["send"] == 0


def test_nobody_waits_where_there_is_room(cli: Cli) -> None:
    assert cli.json("status")["limited"] is None
    assert cli.json("agenda")["limited"] is None


def test_a_day_is_exact_over_processes_that_run_at_once(crowd: Cli) -> None:
    command = [sys.executable, "-m", "drip", "-C", str(crowd.folder), "run", "--once", "--json"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    sent = [json.loads(run.communicate(timeout=60)[0])["sent"] for run in runs]
    assert sum(sent) == PER_DAY == len(crowd.mails())
