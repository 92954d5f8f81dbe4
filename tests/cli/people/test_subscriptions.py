"""`subscribe`, `pause`, `resume`, `cancel`, `set`, `retry`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli


def test_subscribe_says_what_comes_next(cli: Cli) -> None:
    result = cli("subscribe", "welcome", "ada@example.com")
    assert result.stdout == "ada@example.com is subscribed to welcome: hello, due now\n"


def test_subscribe_again_changes_nothing(ada: Cli) -> None:
    said = ada("subscribe", "welcome", "ADA@Example.com", "--name", "Other").stdout
    assert said.startswith("ada@example.com was already in welcome")
    again = ada.json("subscribe", "welcome", "ada@example.com")
    assert again["created"] is False
    assert again["subscription"]["name"] == "Ada"


def test_subscribe_with_everything(cli: Cli) -> None:
    options = ["--name", "Ada", "--var", "plan=pro", "--var", "seats:=5", "--var", "gone:=null", "--var", "eq=a=b"]
    found = cli.json("subscribe", "welcome", "ada@example.com", *options, "--at", "2026-03-27T09:30:00+01:00")
    assert found["created"] is True
    subscription = found["subscription"]
    assert subscription["variables"] == {"plan": "pro", "seats": 5, "eq": "a=b"}
    assert subscription["started_at"] == "2026-03-27T08:30:00.000Z"
    assert (subscription["status"], subscription["next_step"]) == ("active", "hello")


def test_subscribe_to_an_unknown_sequence_suggests(cli: Cli) -> None:
    assert "did you mean 'welcome'?" in cli("subscribe", "welcom", "a@example.com", code=2).stderr


def test_subscribe_before_anything_is_applied(files: Cli) -> None:
    assert "run `drip apply`" in files("subscribe", "welcome", "a@example.com", code=2).stderr


def test_who_may_not_is_told_why(ada: Cli) -> None:
    ada("cancel", "welcome", "ada@example.com")
    result = ada("subscribe", "welcome", "ada@example.com", code=1)
    assert "has ended 'welcome' (cancelled, manual)" in result.stderr
    ada("suppress", "add", "bob@example.com")
    assert "is suppressed (manual)" in ada("subscribe", "welcome", "bob@example.com", code=1).stderr
    ada("status", "welcome", "archived")
    assert "archived" in ada("subscribe", "welcome", "eve@example.com", code=1).stderr


@pytest.mark.parametrize(
    "email",
    ["ada", "ada@", "@example.com", "a b@example.com", "ada@example.com\nBcc: x@example.com", "ada@[127.0.0.1]", ""],
)
def test_addresses_typed_wrong_are_usage(cli: Cli, email: str) -> None:
    result = cli("subscribe", "welcome", email, code=2)
    assert "is not an email address" in result.stderr
    assert cli.json("subscribers") == []


def test_a_name_with_control_characters_is_cleaned(cli: Cli) -> None:
    found = cli.json("subscribe", "welcome", "ada@example.com", "--name", "A\x1b[31mda\n")
    assert found["subscription"]["name"] == "A [31mda"


def test_a_draft_holds_its_people_and_says_so(cli: Cli) -> None:
    cli("status", "welcome", "draft")
    assert "held: the sequence is a draft" in cli("subscribe", "welcome", "ada@example.com").stdout


def test_pause_resume_cancel(ada: Cli) -> None:
    assert "is paused in welcome" in ada("pause", "welcome", "ada@example.com").stdout
    assert ada.json("pause", "welcome", "ada@example.com")["changed"] is False
    assert ada.json("run", "--once")["sent"] == 0
    assert "goes on in welcome" in ada("resume", "welcome", "ada@example.com").stdout
    assert "was not paused" in ada("resume", "welcome", "ada@example.com").stdout
    found = ada.json("cancel", "welcome", "ada@example.com")
    assert (found["changed"], found["subscription"]["cancel_reason"]) == (True, "manual")
    assert "was already cancelled" in ada("cancel", "welcome", "ada@example.com").stdout
    assert "can't be paused" in ada("pause", "welcome", "ada@example.com", code=1).stderr


def test_a_person_who_is_not_there_gets_the_nearest(ada: Cli) -> None:
    for wrong in ("ada@exmple.com", "da@example.com", "sda@example.com", "ADA@EXMPLE.COM"):
        assert "did you mean 'ada@example.com'?" in ada("pause", "welcome", wrong, code=2).stderr


def test_nobody_is_suggested_who_is_not_in_the_sequence(ada: Cli) -> None:
    ada.write("sequences/other.yaml", "name: O\nstatus: active\nsteps: [{id: a, delay: 0, subject: x, body: y}]\n")
    ada("apply")
    ada("subscribe", "other", "bob@example.com")
    said = ada("pause", "other", "ada@exmple.com", code=2).stderr
    assert "did you mean 'ada" not in said
    assert "`drip subscribers SEQ` lists who is in a sequence" in said


def test_set_changes_adds_and_removes(ada: Cli) -> None:
    said = ada("set", "welcome", "ada@example.com", "plan=pro", "seats:=5", "empty=").stdout
    assert said == "empty = \nplan = pro\nseats = 5\n"
    found = ada.json("set", "welcome", "ada@example.com", "plan:=null", 'tags:=["a"]')
    assert found["variables"] == {"empty": "", "seats": 5, "tags": ["a"]}


@pytest.mark.parametrize(
    "wrong",
    ["plan", "=x", "a b=c", "k:=", "k:=[", "k:=Infinity", "k:=-1e999", "k:=99999999999999999999", 'k:="\\ud800"',
     'k:="\\u0000"', "k:=" + "[" * 30 + "]" * 30, "k:=" + "[" * 100_000],
)  # fmt: skip
def test_variables_that_can_not_be_kept(ada: Cli, wrong: str) -> None:
    assert "Traceback" not in ada("set", "welcome", "ada@example.com", wrong, code=2).stderr
    assert ada.json("subscriber", "welcome", "ada@example.com")["variables"] == {}


def test_retry_makes_failed_ones_active(cli: Cli) -> None:
    # No template can divide by a number that is not there.
    body = "steps:\n  - {id: a, delay: 0, subject: x, body: '{{ 1 / zero }}'}\nstatus: active\n"
    cli.write("sequences/broken.yaml", body)
    cli("apply")
    cli("subscribe", "broken", "ada@example.com", "--var", "zero:=0")
    assert cli.json("run", "--once", code=1)["failed"] == 1
    assert "failed at a; `drip retry`" in cli("subscriber", "broken", "ada@example.com").stdout
    cli("set", "broken", "ada@example.com", "zero:=1")
    assert cli("retry", "broken").stdout == "1 subscription is active again\n"
    assert cli.json("run", "--once")["sent"] == 1
    assert cli("retry").stdout == "nothing has failed\n"
    assert cli.json("retry", "ada@example.com") == {"retried": []}
    assert cli("retry", "brken", code=2).stderr.count("did you mean 'broken'?") == 1


@pytest.mark.parametrize(
    ("before", "call", "way_on"),
    [
        (["cancel", "welcome", "ada@example.com"], "resume", "`drip subscriber SEQ EMAIL` shows what was"),
        (["cancel", "welcome", "ada@example.com"], "subscribe", "`resubscribe: always`"),
        (["suppress", "add", "ada@example.com"], "subscribe", "`drip suppress remove EMAIL` allows it again"),
        (["status", "welcome", "archived"], "subscribe", "`drip status SEQ active` opens it again"),
    ],
)
def test_what_the_state_of_things_forbids_leads_on(ada: Cli, before: list[str], call: str, way_on: str) -> None:
    ada(*before)
    assert way_on in ada(call, "welcome", "ada@example.com", code=1).stderr
