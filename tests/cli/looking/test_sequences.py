"""`list`, `show`, `history`, `status`: what is shown, and its JSON."""

from __future__ import annotations

from tests.cli.conftest import WELCOME, Cli

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
    shown = ada.json("show", "welcome")
    assert set(shown) == SEQUENCE | {"steps"}
    assert set(shown["steps"][0]) - {"counts"} == STEP
    assert [step["position"] for step in shown["steps"]] == [1, 2]
    for moment in (sequence["created_at"], shown["steps"][0]["created_at"]):
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


def test_nobody_and_nothing_yet_is_helpful(files: Cli) -> None:
    assert "run `drip apply`" in files("list").stderr
    assert "run `drip apply`" in files("status").stderr
    assert "`drip subscribe" in files("subscribers").stderr
    assert "nothing has happened yet" in files("log").stderr
    assert files.json("list") == files.json("subscribers") == files.json("log") == files.json("unknown") == []


def test_a_sequence_of_the_api_names_no_file(cli: Cli) -> None:
    cli.sql("UPDATE sequence SET source = 'api', path = NULL")
    said = cli("show", "welcome").stdout
    assert "source      api" in said
    assert "file" not in said


def test_a_name_in_capitals_gets_the_nearest(cli: Cli) -> None:
    assert "did you mean 'welcome'?" in cli("show", "WELCOME", code=2).stderr
    assert "did you mean `drip show`?" in cli("SHOW", "welcome", code=2).stderr


def test_where_none_is_near_the_list_is_named(cli: Cli) -> None:
    for number in range(9):
        text = "name: O\nsteps: [{id: a, delay: 0, subject: x, body: y}]\n"
        cli.write(f"sequences/other-{number}.yaml", text)
    cli("apply")
    assert "`drip list` lists them" in cli("show", "xyz", code=2).stderr
