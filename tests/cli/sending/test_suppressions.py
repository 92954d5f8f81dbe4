"""`suppress`: list, add, remove, import, export."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli


def test_adding_cancels_and_is_idempotent(ada: Cli) -> None:
    said = ada("suppress", "add", "ADA@example.com", "--note", "by\nphone").stdout
    assert said == "ADA@example.com is suppressed; 1 subscription cancelled\n"
    assert ada("suppress", "add", "ada@example.com", "--reason", "bounce").stdout.startswith(
        "ada@example.com was already suppressed"
    )
    (entry,) = ada.json("suppress", "list")
    assert (entry["reason"], entry["code"]) == ("manual", "by phone")
    assert ada.json("subscriber", "welcome", "ada@example.com")["cancel_reason"] == "suppressed"


@pytest.mark.parametrize(("reason", "needs_yes"), [("manual", 0), ("bounce", 0), ("complaint", 1), ("unsubscribed", 1)])
def test_who_said_no_comes_back_only_with_yes(cli: Cli, reason: str, needs_yes: int) -> None:
    cli("suppress", "add", "ada@example.com", "--reason", reason)
    result = cli("suppress", "remove", "ada@example.com", code=needs_yes)
    if needs_yes:
        assert "they said no" in result.stderr
        assert "--yes" in result.stderr
        assert len(cli.json("suppress", "list")) == 1
        assert cli.json("suppress", "remove", "ada@example.com", "--yes")["removed"]["reason"] == reason
    assert cli.json("suppress", "list") == []
    assert cli.json("log")[-1]["event"] == "suppression.removed"


def test_removing_who_is_not_there_suggests(cli: Cli) -> None:
    cli("suppress", "add", "ada@example.com")
    assert "did you mean 'ada@example.com'?" in cli("suppress", "remove", "adda@example.com", code=2).stderr


def test_the_list_is_filtered_and_says_what_it_left_out(cli: Cli) -> None:
    cli("suppress", "add", "ada@example.com", "--reason", "complaint")
    cli("suppress", "add", "bob@example.org")
    assert [one["email"] for one in cli.json("suppress", "list", "--reason", "complaint")] == ["ada@example.com"]
    assert [one["email"] for one in cli.json("suppress", "list", "--search", "EXAMPLE.ORG")] == ["bob@example.org"]
    assert len(cli.json("suppress", "list", "--limit", "1")) == 1
    assert "1 more: --limit N" in cli("suppress", "list", "--limit", "1").stderr
    assert "more" not in cli("suppress", "list").stderr
    assert "ada@example.com  complaint" in cli("suppress", "list").stdout
    assert "no address of that kind" in cli("suppress", "list", "--reason", "bounce").stderr


def test_a_plain_list_is_imported(ada: Cli) -> None:
    report = ada.json("suppress", "import", "-", stdin="ada@example.com\nnobody\nbob@example.com\n", code=1)
    assert (report["added"], report["existing"]) == (2, 0)
    assert [row["line"] for row in report["refused"]] == [2]
    assert ada.json("subscriber", "welcome", "ada@example.com")["status"] == "cancelled"


def test_export_and_import_again(cli: Cli) -> None:
    cli("suppress", "add", "ada@example.com", "--reason", "complaint", "--note", "fbl, 2026")
    exported = cli("suppress", "export").stdout
    cli("suppress", "remove", "ada@example.com", "--yes")
    assert cli("suppress", "import", "-", stdin=exported).stdout == "added 1, existing 0, refused 0\n"
    (entry,) = cli.json("suppress", "list")
    assert (entry["reason"], entry["code"]) == ("complaint", "fbl, 2026")


def test_a_reason_that_is_none(cli: Cli) -> None:
    result = cli("suppress", "import", "-", stdin="email,reason\na@example.com,spam\n", code=1)
    assert "'spam' is no reason: write one of bounce, complaint" in result.stdout


def test_a_first_letter_may_be_wrong(cli: Cli) -> None:
    cli("suppress", "add", "ada@example.com")
    assert "did you mean 'ada@example.com'?" in cli("suppress", "remove", "da@example.com", code=2).stderr
