"""`db prune`: what is old and told elsewhere goes; what keeps people from being mailed twice, or at all, stays."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli

AGE = 100 * 86_400_000
OLD = (
    f"UPDATE event SET at = at - {AGE}",
    f"UPDATE delivery SET at = at - {AGE}",
    f"UPDATE subscription SET created_at = created_at - {AGE}, completed_at = completed_at - {AGE}",
)


def events(cli: Cli) -> list[str]:
    return [kind for (kind,) in cli.sql("SELECT type FROM event ORDER BY id")]


@pytest.fixture
def aged(ada: Cli) -> Cli:
    """Ada has had her first mail, changed, and is suppressed, a hundred days ago; Bob came today."""
    ada("run", "--once")
    ada("set", "welcome", "ada@example.com", "plan=pro")
    ada("suppress", "add", "eve@example.com")
    ada.sql("INSERT INTO day (day, used) VALUES ('2020-01-01', 3), ('2020-01-02', 4)")
    for statement in OLD:
        ada.sql(statement)
    ada("subscribe", "welcome", "bob@example.com")
    return ada


def test_old_events_go_and_nothing_else(aged: Cli) -> None:
    before = aged.sql("SELECT * FROM delivery"), aged.sql("SELECT * FROM suppression")
    assert "sequence.step.sent" in events(aged)
    report = aged.json("db", "prune", "--older-than", "90d", "--yes")
    assert {kind: count for kind, count in report.items() if kind != "before"} == {
        "events": 2,
        "webhook_deliveries": 0,
        "days": 1,
        "dry_run": False,
    }
    left = events(aged)
    assert "sequence.step.sent" not in left
    assert {"subscription.changed", "suppression.added", "sequence.applied"} <= set(left)
    assert left.count("sequence.subscribed") == 1
    assert (aged.sql("SELECT * FROM delivery"), aged.sql("SELECT * FROM suppression")) == before
    assert aged.sql("SELECT day FROM day ORDER BY day")[0] == ("2020-01-01",)
    aged("db", "check")


def test_a_second_time_there_is_nothing(aged: Cli) -> None:
    aged("db", "prune", "--older-than", "90d", "--yes")
    assert "forgotten: 0 events" in aged("db", "prune", "--older-than", "90d").stdout


def test_nobody_is_mailed_twice_after_it(aged: Cli) -> None:
    aged("db", "prune", "--older-than", "1d", "--yes")
    aged("run", "--once")
    assert len([mail for mail in aged.mails() if "To: Ada <ada@example.com>" in mail]) == 1


def test_a_dry_run_only_counts(aged: Cli) -> None:
    before = events(aged)
    assert aged("db", "prune", "--older-than", "90d", "--dry-run").stdout.startswith("would forget: 2 events")
    assert events(aged) == before


def test_it_asks_and_no_is_no(aged: Cli) -> None:
    before = events(aged)
    assert "Forget 2 events" in aged("db", "prune", "--older-than", "90d", stdin="n\n", code=1).stderr
    assert events(aged) == before


def test_what_is_still_to_be_posted_stays(aged: Cli) -> None:
    (number,) = aged.sql("SELECT MIN(id) FROM event WHERE type = 'sequence.step.sent'")[0]
    aged.sql("INSERT INTO webhook_endpoint (url, created_at) VALUES ('https://app.example.com/', 0)")
    endpoint = aged.sql("SELECT MAX(id) FROM webhook_endpoint")[0][0]
    aged.sql(
        "INSERT INTO webhook_delivery (event_id, endpoint_id, public_id, body, next_attempt_at)"
        " VALUES (?, ?, 'e', ?, 1)",
        *(number, endpoint, b"{}"),
    )
    assert aged.json("db", "prune", "--older-than", "90d", "--yes")["events"] == 1
    assert "sequence.step.sent" in events(aged)
    aged.sql("UPDATE webhook_delivery SET state = 'delivered', next_attempt_at = NULL")
    report = aged.json("db", "prune", "--older-than", "90d", "--yes")
    assert (report["events"], report["webhook_deliveries"]) == (1, 1)


def test_what_is_young_is_not_forgotten(ada: Cli) -> None:
    assert "less than a day" in ada("db", "prune", "--older-than", "1h", "--yes", code=2).stderr


def test_no_answer_is_no(aged: Cli) -> None:
    before = events(aged)
    assert "--yes" in aged("db", "prune", "--older-than", "90d", stdin="", code=1).stderr
    assert events(aged) == before
