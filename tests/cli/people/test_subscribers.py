"""`subscribers`, `subscriber`: what is shown, and its JSON."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from drip.cli.people.csv_cells import csv_cell
from tests.cli.conftest import WELCOME, Cli

SUBSCRIPTION = {
    "id", "sequence_id", "key_id", "email", "contact_email", "name", "started_at", "current_step", "next_step",
    "next_send_at", "status", "variables", "variables_json", "retry_count", "last_sent_at", "paused_at",
    "completed_at", "cancelled_at", "cancel_reason", "created_at", "updated_at",
}  # fmt: skip


def test_the_objects_have_the_fields_of_the_api(ada: Cli) -> None:
    (subscription,) = ada.json("subscribers")
    assert set(subscription) == SUBSCRIPTION
    assert set(ada.json("subscribe", "welcome", "ada@example.com")["subscription"]) == SUBSCRIPTION
    assert len(subscription["started_at"]) == len("2026-03-27T09:30:00.000Z")
    assert subscription["started_at"].endswith("Z")


@pytest.mark.parametrize("window", ["", 'send_window: {hours: "22:00-06:00"}\n'])
def test_what_is_overdue_comes_after_the_step_before_it(cli: Cli, window: str) -> None:
    cli.write("sequences/welcome.yaml", WELCOME.replace("steps:", f"delay_from: start\n{window}steps:"))
    cli("apply")
    cli("subscribe", "welcome", "ada@example.com", "--at", "2026-01-02T12:00:00Z")
    times = [item["at"] for item in cli.json("subscriber", "welcome", "ada@example.com")["upcoming"]]
    assert times == sorted(times)
    assert times[1] > "2026-06"


def test_filters_and_limits(ada: Cli) -> None:
    ada("subscribe", "welcome", "bob@example.com", "--name", "Bob Æther")
    ada("pause", "welcome", "bob@example.com")
    emails = [[row["email"] for row in ada.json("subscribers", *options)] for options in (
        [], ["welcome"], ["--status", "paused"], ["--search", "BOB"], ["--search", "Æther"], ["--limit", "1"],
        ["--status", "failed"],
    )]  # fmt: skip
    bob, both = ["bob@example.com"], ["bob@example.com", "ada@example.com"]
    assert emails == [both, both, bob, bob, bob, bob, []]
    assert "1 more: --limit N" in ada("subscribers", "--limit", "1").stderr
    assert ada("subscribers", "--search", "zoe").stderr == "there is nobody like that\n"


def test_pages_of_people(cli: Cli) -> None:
    people = "email\n" + "".join(f"p{number}@example.com\n" for number in range(2100))
    cli("import", "welcome", "-", stdin=people)
    found = cli.json("subscribers")
    assert len({row["id"] for row in found}) == 2100
    assert len(cli.json("subscribers", "--limit", "1500")) == 1500
    assert len(cli("subscribers", "--csv").stdout.splitlines()) == 2101


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_is_never_a_formula(start: str) -> None:
    assert csv_cell(f"{start}1+1") == f"'{start}1+1"


def test_csv_is_csv(cli: Cli) -> None:
    cli("subscribe", "welcome", "ada@example.com", "--name", '=HYPERLINK("x"), Ada', "--var", 'q=a"b')
    (row,) = csv.DictReader(io.StringIO(cli("subscribers", "--csv").stdout))
    assert row["name"] == '\'=HYPERLINK("x"), Ada'
    assert row["variables_json"] == '{"q": "a\\"b"}'


def test_one_person_past_and_future(cli: Cli) -> None:
    steps = WELCOME + "  - {id: late, delay: 1d, at: '10:00', when: plan == 'pro', subject: L, body: l}\n"
    cli.write("sequences/welcome.yaml", steps)
    cli("apply")
    cli("subscribe", "welcome", "ada@example.com", "--name", "Ada", "--var", "timezone=America/New_York")
    cli("run", "--once")
    found = cli.json("subscriber", "welcome", "ada@example.com")
    assert set(found) == SUBSCRIPTION | {"timeline", "upcoming"}
    assert [item["event"] for item in found["timeline"]] == ["sequence.subscribed", "sequence.step.sent"]
    assert (found["timeline"][1]["step"], found["timeline"][1]["revision"]) == ("hello", 2)
    assert [item["step"] for item in found["upcoming"]] == ["tips", "late"]
    assert found["upcoming"][0]["at"] == found["next_send_at"]
    said = cli("subscriber", "welcome", "ada@example.com").stdout
    assert "to come (America/New_York)" in said
    # 10:00 in New York, where she lives.
    assert [row.split()[2] for row in said.splitlines() if "late" in row] == ["10:00"]
    assert "if plan == 'pro'" in said


def test_paused_people_have_no_times(ada: Cli) -> None:
    ada("pause", "welcome", "ada@example.com")
    upcoming: list[dict[str, Any]] = ada.json("subscriber", "welcome", "ada@example.com")["upcoming"]
    assert [(item["step"], item["at"]) for item in upcoming] == [("hello", None), ("tips", None)]
    assert "paused" in ada("subscriber", "welcome", "ada@example.com").stdout


def test_who_ended_has_nothing_to_come(ada: Cli) -> None:
    ada("cancel", "welcome", "ada@example.com")
    assert ada.json("subscriber", "welcome", "ada@example.com")["upcoming"] == []
    assert "cancelled" in ada("subscriber", "welcome", "ada@example.com").stdout


def test_the_timeline_has_the_numbers_that_why_takes(ada: Cli) -> None:
    ada("run", "--once")
    subscribed, sent = ada.json("subscriber", "welcome", "ada@example.com")["timeline"]
    assert "delivery" not in subscribed
    assert ada.json("why", str(sent["delivery"]))["step"] == "hello"
    assert f"delivery {sent['delivery']}" in ada("subscriber", "welcome", "ada@example.com").stdout


def test_who_failed_at_a_step_that_was_removed_did_not_fail_at_the_next(cli: Cli) -> None:
    steps = "name: W\nstatus: active\nsteps:\n"
    bad = "  - {id: bad, delay: 0, subject: x, body: '{{ 1 / zero }}'}\n"
    good = "  - {id: good, delay: 1d, subject: x, body: y}\n"
    cli.write("sequences/broken.yaml", steps + bad + good)
    cli("apply")
    cli("subscribe", "broken", "ada@example.com", "--var", "zero:=0")
    cli("run", "--once", code=1)
    assert "failed at bad; `drip retry`" in cli("subscriber", "broken", "ada@example.com").stdout
    cli.write("sequences/broken.yaml", steps + good)
    cli("apply", "--yes")
    assert (
        "failed at a step that is gone, before good; `drip retry`"
        in cli("subscriber", "broken", "ada@example.com").stdout
    )


def test_who_waits_in_a_sequence_without_steps_is_before_none(cli: Cli) -> None:
    bad = "  - {id: bad, delay: 0, subject: x, body: '{{ 1 / zero }}'}\n"
    cli.write("sequences/broken.yaml", "name: W\nstatus: active\nsteps:\n" + bad)
    cli("apply")
    for name in ("ada", "bob"):
        cli("subscribe", "broken", f"{name}@example.com", "--var", "zero:=0")
    cli("pause", "broken", "bob@example.com")
    cli("run", "--once", code=1)
    cli.write("sequences/broken.yaml", "name: W\nstatus: active\nsteps: []\n")
    cli("apply", "--yes")
    paused, failed = (cli("subscriber", "broken", f"{name}@example.com").stdout for name in ("bob", "ada"))
    assert "None" not in paused + failed
    assert "paused since" in paused
    assert "failed at a step that is gone; `drip retry`" in failed
    assert cli("preview", "broken", "--html").stderr.endswith("'broken' has no steps\n")
    assert cli.json("preview", "broken") == []
