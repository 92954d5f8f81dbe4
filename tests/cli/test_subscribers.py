"""`subscribers`, `subscriber`, `list`, `show`, `history`, `status`: what is shown, and its JSON."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from drip.cli.csv_cells import csv_cell
from tests.cli.conftest import WELCOME, Cli

SUBSCRIPTION = {
    "id", "sequence_id", "key_id", "email", "contact_email", "name", "started_at", "current_step", "next_step",
    "next_send_at", "status", "variables", "variables_json", "retry_count", "last_sent_at", "paused_at",
    "completed_at", "cancelled_at", "cancel_reason", "created_at", "updated_at",
}  # fmt: skip
SEQUENCE = {
    "id", "name", "status", "source", "key_id", "revision", "delay_from", "timezone", "send_window",
    "stale_after_seconds", "resubscribe", "created_at", "updated_at", "subscribers",
}  # fmt: skip
STEP = {
    "id", "sequence_id", "key", "position", "offset_seconds", "subject", "html", "body_text", "from_email",
    "from_name", "reply_to", "template_id", "created_at", "updated_at",
}  # fmt: skip


def test_the_objects_have_the_fields_of_the_api(ada: Cli) -> None:
    (sequence,) = ada.json("list")
    assert set(sequence) == SEQUENCE
    assert sequence["subscribers"] == {"active": 1, "paused": 0, "completed": 0, "cancelled": 0, "failed": 0}
    (subscription,) = ada.json("subscribers")
    assert set(subscription) == SUBSCRIPTION
    assert set(ada.json("subscribe", "welcome", "ada@example.com")["subscription"]) == SUBSCRIPTION
    shown = ada.json("show", "welcome")
    assert set(shown) == SEQUENCE | {"steps"}
    assert set(shown["steps"][0]) - {"counts"} == STEP
    assert [step["position"] for step in shown["steps"]] == [1, 2]
    for moment in (sequence["created_at"], subscription["started_at"], shown["steps"][0]["created_at"]):
        assert len(moment) == len("2026-03-27T09:30:00.000Z")
        assert moment.endswith("Z")


def test_a_sequence_with_all_its_settings(cli: Cli) -> None:
    settings = (
        "delay_from: start\ntimezone: Europe/Madrid\nsend_window: {days: mon-fri, hours: '09:00-18:00'}\n"
        "stale_after: 3d\nresubscribe: always\nfrom: Bob <bob@example.com>\n"
    )
    cli.write("sequences/full.yaml", settings + "steps:\n  - {id: a, delay: 1h, subject: x, html: <p>y</p>}\n")
    cli.write("sequences/never.yaml", "stale_after: null\nsend_window: {hours: '22:00-06:00'}\nsteps: []\n")
    cli("apply")
    full, never = cli.json("show", "full"), cli.json("show", "never")
    assert (full["delay_from"], full["timezone"], full["resubscribe"]) == ("start", "Europe/Madrid", "always")
    assert full["send_window"] == {"days": "mon-fri", "hours": "09:00-18:00"}
    assert never["send_window"] == {"days": "mon-sun", "hours": "22:00-06:00"}
    assert (full["stale_after_seconds"], never["stale_after_seconds"]) == (259_200, 0)
    assert (full["steps"][0]["offset_seconds"], full["steps"][0]["html"]) == (3600, "<p>y</p>")
    assert "window      mon-fri 09:00-18:00\n" in cli("show", "full").stdout


def test_show_counts_per_step(ada: Cli) -> None:
    ada("run", "--once")
    hello, tips = ada.json("show", "welcome")["steps"]
    assert (hello["counts"]["sent"], tips["counts"]["waiting"]) == (1, 1)
    rows = ada("show", "welcome").stdout.splitlines()
    assert rows[-2].split()[-4:] == ["1", "0", "0", "0"]
    assert rows[-1].split()[-4:] == ["0", "1", "0", "0"]


def test_show_a_revision(ada: Cli) -> None:
    ada.write("sequences/welcome.yaml", WELCOME.replace("Tips", "Hints"))
    ada("apply")
    assert "Tips" in ada("show", "welcome@1").stdout
    assert "Hints" in ada("show", "welcome@2").stdout
    then = ada.json("show", "welcome@1")
    assert (then["id"], then["revision"], then["steps"][1]["key"], then["steps"][1]["subject"]) == (
        *("welcome", 1, "tips", "Tips"),
    )
    assert ada.json("show", "welcome@2")["steps"] == ada.json("show", "welcome")["steps"]
    assert "it has revisions 1 to 2" in ada("show", "welcome@3", code=2).stderr
    assert [row["number"] for row in ada.json("history", "welcome")] == [2, 1]


def test_the_state_of_the_whole(ada: Cli) -> None:
    state = ada.json("status")
    assert (state["due_now"], state["sent_today"], state["last_run_at"]) == (1, 0, None)
    ada("run", "--once")
    said = ada("status").stdout
    assert "due now     0\n" in said
    assert "sent today  1\n" in said
    assert "last run" in said
    assert ada.json("status")["deferred"] == {}


def test_a_status_is_set_and_recorded(ada: Cli) -> None:
    assert ada("status", "welcome", "archived").stdout.startswith("welcome is archived: it holds the 1 person in it")
    assert ada.json("status", "welcome", "archived")["changed"] is False
    assert ada("status", "welcome").stdout.startswith("welcome is archived")
    assert ada.json("run", "--once")["sent"] == 0
    assert "(held)" in ada("list").stdout
    assert "status      welcome  archived" in ada("log").stdout


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


def test_nobody_and_nothing_yet_is_helpful(files: Cli) -> None:
    assert "run `drip apply`" in files("list").stderr
    assert "run `drip apply`" in files("status").stderr
    assert "`drip subscribe" in files("subscribers").stderr
    assert "nothing has happened yet" in files("log").stderr
    assert files.json("list") == files.json("subscribers") == files.json("log") == files.json("unknown") == []


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
