"""`db`: migrate, check, backup; each invariant catches what breaks it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing

import pytest

from drip.store.invariants import RULES, violations
from drip.store.migrate import SCHEMA_VERSION
from tests.cli.conftest import WELCOME, Cli

# What no command does -> the rule that must catch it. Ada waits for `tips`, `hello` was sent to her.
BREAKS = [
    ("UPDATE subscription SET next_step_id = NULL, next_send_at = NULL", "live people wait for a step"),
    ("UPDATE step SET position = NULL WHERE key = 'tips'", "the step waited for is one of the sequence's"),
    ("UPDATE subscription SET next_send_at = NULL", "who waits for a step has a time"),
    ("UPDATE subscription SET next_step_id = last_step_id", "the step waited for has not been handled"),
    ("INSERT INTO suppression VALUES ('ada@example.com', 'a', 'manual', NULL, NULL, 0)", "no suppressed address"),
    ("UPDATE delivery SET state = 'sending'", "what is being sent has an owner"),
    ("UPDATE subscription SET owner = 99", "an owner is a worker that has not ended"),
    ("UPDATE delivery SET state = 'deferred', reason = 'window'", "a deferred delivery is of the step waited for"),
    (
        "INSERT INTO delivery (subscription_id, step_id, state, reason, at) SELECT id, next_step_id, 'unknown',"
        " 'no_answer', 0 FROM subscription",
        "who waits for an unknown delivery has no time",
    ),
    ("UPDATE subscription SET status = 'paused'", "each state has its moment"),
    ("UPDATE subscription SET status = 'failed', next_send_at = NULL", "who failed has a delivery that failed"),
    ("UPDATE sequence SET revision = 9", "a sequence has its newest revision"),
    ("UPDATE step SET position = 7 WHERE key = 'tips'", "the steps of a file are at 1, 2, 3"),
]


@pytest.mark.parametrize(("statement", "rule"), BREAKS, ids=[rule for _, rule in BREAKS])
def test_check_finds_what_breaks_a_rule(ada: Cli, statement: str, rule: str) -> None:
    ada("run", "--once")
    assert ada("db", "check").stdout == "ok\n"
    ada.sql(statement)
    assert rule in ada("db", "check", code=1).stdout
    assert any(one["rule"].startswith(rule) for one in ada.json("db", "check", code=1)["violations"])


def test_what_ended_has_no_deferred_delivery(ada: Cli) -> None:
    ada("run", "--once")
    ada("cancel", "welcome", "ada@example.com")
    ada.sql("UPDATE delivery SET state = 'deferred', reason = 'window'")
    assert "only live people have deferred deliveries" in ada("db", "check", code=1).stdout


@pytest.mark.sqlite
def test_references_are_checked(ada: Cli) -> None:
    with closing(sqlite3.connect(ada.folder / "drip.db")) as connection:
        connection.execute("DELETE FROM contact")
        connection.commit()
    assert "references lead somewhere: subscription" in ada("db", "check", code=1).stdout


def test_every_rule_can_be_asked(cli: Cli) -> None:
    with cli.project.opened() as store:
        assert violations(store.database) == []
        for query in RULES.values():
            store.database.rows(f"EXPLAIN {query}")


def test_every_command_leaves_it_well(ada: Cli) -> None:
    for line in (
        "run --once", "pause welcome ada@example.com", "resume welcome ada@example.com",
        "subscribe welcome bob@example.com", "cancel welcome bob@example.com", "suppress add eve@example.com",
        "status welcome draft", "status welcome active",
    ):  # fmt: skip
        ada(*line.split())
        assert ada("db", "check").stdout == "ok\n", line
    for content in (WELCOME.replace("id: tips", "id: hints"), "steps: []\n", WELCOME):
        ada.write("sequences/welcome.yaml", content)
        ada("apply", "--yes")
        assert ada("db", "check").stdout == "ok\n", content


def test_a_backup_is_whole_private_and_new(ada: Cli) -> None:
    ada("db", "backup", "copy.db")
    copy = ada.folder / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT email FROM contact").fetchall() == [("ada@example.com",)]
    assert "is not overwritten" in ada("db", "backup", "copy.db", code=2).stderr
    assert not list(ada.folder.glob(".copy*"))


@pytest.mark.sqlite
def test_migrate_makes_one(files: Cli) -> None:
    assert "the newest" in files("db", "migrate").stdout
    assert (files.folder / "drip.db").exists()


@pytest.mark.sqlite
def test_a_newer_database_is_left_alone(cli: Cli) -> None:
    with closing(sqlite3.connect(cli.folder / "drip.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    assert "update this one" in cli("list", code=3).stderr


@pytest.mark.sqlite
def test_migrate_and_backup_speak_json(ada: Cli) -> None:
    assert ada.json("db", "migrate") == {"schema": SCHEMA_VERSION, "backup": None}
    copy = ada.folder / "copy.db"
    assert ada.json("db", "backup", "copy.db") == {"path": str(copy), "octets": copy.stat().st_size}
