from __future__ import annotations

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def crowd(cli: Cli) -> Cli:
    """Ten people: all have the first step; two of them left, one bounced, one complained, the rest waits."""
    for index in range(10):
        cli("subscribe", "welcome", f"p{index}@example.com")
    cli("run", "--once")
    for index, reason in enumerate(("unsubscribed", "unsubscribed", "bounced", "complained"), 1):
        cli.sql(
            "UPDATE subscription SET status = 'cancelled', cancel_reason = ?, next_step_id = NULL,"
            " next_send_at = NULL WHERE id = ?",
            *(reason, index),
        )
    return cli


def test_the_funnel_in_numbers(crowd: Cli) -> None:
    found = crowd.json("stats", "welcome")
    assert found["steps"] == [
        {"step": "hello", "sent": 10, "failed": 0, "skipped": 0, "waiting": 0, "left": 4},
        {"step": "tips", "sent": 0, "failed": 0, "skipped": 0, "waiting": 6, "left": 0},
    ]
    assert (found["subscribed"], found["sent"], found["left_before"]) == (10, 10, 0)
    assert found["bounces"] == {"count": 1, "rate": 0.1}
    assert found["complaints"] == {"count": 1, "rate": 0.1}
    assert found["opt_outs"] == {"count": 2, "rate": 0.2}
    assert [warning.partition(",")[0] for warning in found["warnings"]] == ["10.0% bounces", "10.00% complaints"]


def test_the_funnel_drawn(crowd: Cli) -> None:
    said = crowd("stats").stdout.splitlines()
    assert said[0] == "welcome   10 people: 6 active, 4 cancelled"
    assert said[1] == "  hello      10  " + "█" * 30 + "  4 left after it"
    assert said[2] == "  tips        0  " + " " * 30 + "  6 waiting"
    assert said[3] == "  completed   0"
    assert said[4] == "  bounces 10.0%, complaints 10.00%, opt-outs 20.0%, of 10 messages"
    assert said[5].startswith("  warning: 10.0% bounces, more than 2%")


def test_who_was_refused_at_once_is_one_of_those_who_were_written_to(crowd: Cli) -> None:
    crowd.sql(
        "UPDATE delivery SET state = 'failed', reason = 'no_mailbox' WHERE subscription_id = 3"
    )  # the one that bounced
    found = crowd.json("stats", "welcome")
    assert (found["sent"], found["bounces"]) == (9, {"count": 1, "rate": 0.1})


def test_nothing_is_warned_of_below_the_thresholds(crowd: Cli) -> None:
    crowd.sql("UPDATE subscription SET cancel_reason = 'manual' WHERE status = 'cancelled'")
    assert crowd.json("stats")[0]["warnings"] == []


def test_removed_steps_that_were_sent_are_not_forgotten(crowd: Cli) -> None:
    text = (crowd.folder / "sequences/welcome.yaml").read_text().replace("id: hello", "id: hi")
    crowd.write("sequences/welcome.yaml", text)
    crowd("apply", "--yes")
    assert [step["step"] for step in crowd.json("stats", "welcome")["steps"]] == ["hi", "tips", "hello"]


def test_who_left_before_anything(ada: Cli) -> None:
    ada("cancel", "welcome", "ada@example.com")
    assert "  1 left before the first step" in ada("stats", "welcome").stdout


def test_no_sequence_is_there(empty: Cli) -> None:
    assert "run `drip apply`" in empty("stats").stderr
    assert empty.json("stats") == []


def test_a_sequence_that_sent_nothing_has_no_rate_of_bounces(ada: Cli) -> None:
    ada.sql(
        "UPDATE subscription SET status = 'cancelled', cancel_reason = 'bounced', next_step_id = NULL,"
        " next_send_at = NULL"
    )
    found = ada.json("stats", "welcome")
    assert (found["bounces"], found["warnings"]) == ({"count": 1, "rate": 0.0}, [])


def test_who_was_started_again_counts_as_often_as_they_began(ada: Cli) -> None:
    text = (ada.folder / "sequences/welcome.yaml").read_text()
    ada.write("sequences/welcome.yaml", text.replace("status: active", "status: active\nresubscribe: always"))
    ada.write("sequences/other.yaml", text)
    ada("apply", "--yes")
    ada("run", "--once")
    for ended in ("'completed', completed_at = 1", "'cancelled', cancel_reason = 'manual', cancelled_at = 1"):
        ada.sql(
            f"UPDATE subscription SET status = {ended}, next_step_id = NULL, next_send_at = NULL WHERE replaced = 0"
        )
        ada("subscribe", "welcome", "ada@example.com")
    found = ada.json("stats", "welcome")
    assert (found["subscribed"], found["sent"]) == (3, 1)
    assert {status: count for status, count in found["subscribers"].items() if count} == {
        "active": 1,
        "completed": 1,
        "cancelled": 1,
    }
    assert [(step["step"], step["waiting"], step["left"]) for step in found["steps"]] == [
        ("hello", 1, 0),
        ("tips", 0, 0),
    ]
    assert found["left_before"] == 1  # the second time
    other, welcome = ada.json("stats")
    assert (other["subscribed"], other["sent"], welcome) == (0, 0, found)
    assert ada.json("stats", "other") == other
