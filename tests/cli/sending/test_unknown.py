"""`unknown` and `resolve`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def doubtful(cli: Cli) -> Cli:
    """Two deliveries whose worker died between dot and answer."""
    for name in ("ada", "bob"):
        cli("subscribe", "welcome", f"{name}@example.com")
    cli("run", "--once")
    cli.sql("INSERT INTO worker (machine, pid, birth, started_at, lease_until) VALUES ('gone', 1, 'x', 0, 0)")
    cli.sql("UPDATE delivery SET state = 'sending', answer = NULL")
    cli.sql("DELETE FROM event WHERE type IN ('sequence.step.sent', 'sequence.completed')")
    cli.sql(
        "UPDATE subscription SET owner = (SELECT MAX(id) FROM worker), last_step_id = NULL,"
        " base_at = NULL, next_step_id = (SELECT id FROM step WHERE key = 'hello'), next_send_at = started_at"
    )
    return cli


def test_what_a_dead_worker_left_is_counted_and_held(doubtful: Cli) -> None:
    report = doubtful.json("run", "--once")
    assert (report["unknown"], report["sent"]) == (2, 0)
    assert doubtful.json("run", "--once")["unknown"] == 0
    found = doubtful.json("unknown")
    assert {one["email"] for one in found} == {"ada@example.com", "bob@example.com"}
    assert {one["state"] for one in found} == {"unknown"}
    assert doubtful.json("status")["unknown"] == 2
    assert "waits for `drip resolve`" in doubtful("subscribers").stdout
    assert doubtful("db", "check").stdout == "ok\n"


def test_settled_one_by_one(doubtful: Cli) -> None:
    doubtful("run", "--once")
    first, second = (one["id"] for one in doubtful.json("unknown"))
    assert "is settled: sent" in doubtful("resolve", str(first), "--sent").stdout
    assert "is settled: not sent" in doubtful("resolve", str(second), "--not-sent").stdout
    result = doubtful("resolve", str(first), str(second), "999", "--sent", code=2)
    assert f"delivery {first} is sent" in result.stderr
    assert "there is no delivery '999'" in result.stderr
    assert doubtful.json("run", "--once")["sent"] == 1
    assert doubtful("db", "check").stdout == "ok\n"


def test_what_follows_is_what_becomes_of_the_person(doubtful: Cli) -> None:
    doubtful("run", "--once")
    steps = {one["email"]: str(one["id"]) for one in doubtful.json("unknown")}
    doubtful("cancel", "welcome", "bob@example.com")
    said = doubtful("resolve", steps["bob@example.com"], "--not-sent").stdout
    assert "is settled: not sent; bob@example.com: cancelled" in said
    text = "name: W\nstatus: active\nsteps: [{id: other, delay: 0, subject: x, body: y}]\n"
    doubtful.write("sequences/welcome.yaml", text)
    doubtful("apply", "--yes")
    said = doubtful("resolve", steps["ada@example.com"], "--not-sent").stdout
    assert "is settled: not sent; ada@example.com: other, due now" in said


def test_settled_all_at_once(doubtful: Cli) -> None:
    doubtful("run", "--once")
    assert len(doubtful.json("resolve", "--all", "--sent")["resolved"]) == 2
    assert doubtful.json("unknown") == []
    assert "is known" in doubtful("resolve", "--all", "--sent").stdout


@pytest.mark.parametrize(
    "wrong", [["1"], ["--sent"], ["--all"], ["1", "--all", "--sent"], ["1", "--hold"], ["-1", "--sent"]]
)
def test_what_must_be_said(cli: Cli, wrong: list[str]) -> None:
    refused = cli("resolve", *wrong, code=2)
    assert refused.stderr.startswith("drip: ")
    assert refused.stdout == ""


def test_both_answers_at_once_are_none(doubtful: Cli) -> None:
    doubtful("run", "--once")
    first = str(doubtful.json("unknown")[0]["id"])
    for words in ((), ("--sent", "--not-sent")):
        refused = doubtful("resolve", first, *words, code=2)
        assert "say what became of it" in refused.stderr
    assert len(doubtful.json("unknown")) == 2
