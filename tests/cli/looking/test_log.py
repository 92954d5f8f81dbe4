"""`log`: what happened, and what happens."""

from __future__ import annotations

import json
import signal
import subprocess

from tests.cli.conftest import Cli


def test_newest_last_with_who_and_what(ada: Cli) -> None:
    ada("run", "--once")
    rows = ada("log").stdout.splitlines()
    assert [row.split()[2] for row in rows] == ["applied", "subscribed", "sent"]
    assert "welcome/hello  ada@example.com" in rows[-1]
    events = ada.json("log")
    assert [event["event"] for event in events] == [
        "sequence.applied",
        "sequence.subscribed",
        "sequence.step.sent",
    ]
    assert set(events[0]) == {"id", "event", "ts", "sequence_id", "contact_email", "step_key", "data"}
    assert events[2]["id"].startswith("evt_")


def test_what_became_of_an_address_is_said_in_a_word_that_says_it(ada: Cli) -> None:
    ada("suppress", "add", "bob@example.com")
    ada("suppress", "remove", "bob@example.com")
    said = [row.split()[2] for row in ada("log", "--email", "bob@example.com").stdout.splitlines()]
    assert said == ["suppressed", "allowed"]


def test_the_log_is_filtered_by_sequence_person_and_time(ada: Cli) -> None:
    ada("subscribe", "welcome", "bob@example.com")
    assert len(ada.json("log", "--email", "BOB@example.com")) == 1
    assert len(ada.json("log", "--sequence", "welcome", "--limit", "2")) == 2
    assert len(ada.json("log", "--since", "1h")) == 3
    assert "nothing of that happened" in ada("log", "--email", "eve@example.com").stderr
    assert "did you mean" in ada("log", "--sequence", "welcom", code=2).stderr


def test_since_is_all_of_that_time(cli: Cli) -> None:
    cli("import", "welcome", "-", stdin="email\n" + "".join(f"p{number}@example.com\n" for number in range(150)))
    assert len(cli.json("log")) == 100
    assert len(cli.json("log", "--since", "1h")) == 151
    cli.sql("UPDATE event SET at = at - 7200000 WHERE id <= 10")
    assert len(cli.json("log", "--since", "1h")) == 141


def test_follow_goes_on_one_document_per_line(ada: Cli) -> None:
    program = ["drip", "-C", str(ada.folder), "log", "--follow", "--json"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline())["event"] for _ in range(2)]
        assert first == ["sequence.applied", "sequence.subscribed"]
        ada("pause", "welcome", "ada@example.com")
        assert json.loads(process.stdout.readline())["event"] == "subscription.paused"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_an_address_that_is_nobodys_gets_the_nearest(ada: Cli) -> None:
    result = ada("log", "--email", "ada@exmple.com")
    assert result.stdout == ""
    assert "did you mean 'ada@example.com'?" in result.stderr
    assert "did you mean" not in ada("log", "--email", "eve@example.com").stderr
    assert ada("log", "--email", "ada@exmple.com", "--json").stderr == ""
