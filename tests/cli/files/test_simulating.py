"""`simulate` and `test`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import CONFIG, Cli

ONBOARDING = """\
name: Onboarding
status: active
timezone: Europe/Madrid
send_window: {days: mon-fri, hours: "09:00-18:00"}
variables:
  name: {default: "", example: Ada}
  plan: {required: true, example: free}
steps:
  - {id: welcome, delay: 0, subject: "Bienvenido a bordo, {{ name }}", body: Hola}
  - {id: how-is-it-going, delay: 3d, subject: ¿Cómo va todo?, body: Hola}
  - {id: upgrade, delay: 1w 3d, at: "10:00", when: plan == 'free', send_window: null, subject: Tu plan, body: Hola}
"""
TESTS = """\
tests:
  - name: a free user gets all three
    subscribe: {at: 2026-03-27T09:30+01:00, variables: {name: Ada, plan: free}}
    expect:
      - {step: welcome, on: 2026-03-27}
      - {step: how-is-it-going, after: 3d, subject: ¿Cómo va todo?}
      - {step: upgrade}
      - completed
"""
AT = "2026-03-27T09:30+01:00"


@pytest.fixture
def onboarding(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path)
    cli.write("drip.yaml", CONFIG)
    cli.write("sequences/onboarding.yaml", ONBOARDING + TESTS)
    return cli


def test_the_calendar_is_as_the_manual_shows_it(onboarding: Cli) -> None:
    assert onboarding("simulate", "onboarding", "--at", AT).stdout == (
        "onboarding for a subscriber of Fri 2026-03-27 09:30 (Europe/Madrid)\n"
        "Fri 27 Mar 09:30   welcome           Bienvenido a bordo, Ada\n"
        "Mon 30 Mar 09:30   how-is-it-going   ¿Cómo va todo?"
        "            2026-03-30 falls in the window; clocks changed on the 29th\n"
        "Thu 09 Apr 10:00   upgrade           Tu plan                   moved to 10:00\n"
    )


def test_the_rows_as_json(onboarding: Cli) -> None:
    rows = onboarding.json("simulate", "onboarding", "--at", AT, "--var", "plan=pro")
    assert [(row["step"], row["at"], row["outcome"], row["reason"]) for row in rows] == [
        ("welcome", "2026-03-27T08:30:00.000Z", "sent", None),
        ("how-is-it-going", "2026-03-30T07:30:00.000Z", "sent", None),
        ("upgrade", "2026-04-09T08:00:00.000Z", "skipped", "when"),
    ]
    assert rows[1]["local_at"] == "2026-03-30T09:30:00+02:00"
    assert rows[2]["completed"]


def test_a_zone_a_horizon_and_refusals(onboarding: Cli) -> None:
    said = onboarding(
        *("simulate", "onboarding", "--at", "2026-03-27T15:00Z"),
        *("--timezone", "America/New_York", "--until", "5d", "--refusals", "1"),
    ).stdout.splitlines()
    assert said[0].endswith("Fri 2026-03-27 11:00 (America/New_York)")
    assert "(deferred: 4.7.1 try again later, until Fri 27 Mar 11:01)" in said[1]
    assert said[-1] == "… upgrade would follow on Fri 10 Apr 10:00 2026"


def test_simulating_needs_no_database_and_makes_none(onboarding: Cli) -> None:
    onboarding("simulate", "onboarding")
    onboarding("simulate", "other", code=2)
    onboarding("test")
    assert not (onboarding.folder / "drip.db").exists()


def test_what_was_applied_is_simulated_where_the_file_is_gone(onboarding: Cli) -> None:
    onboarding("apply", "--yes")
    (onboarding.folder / "sequences/onboarding.yaml").unlink()
    assert "welcome" in onboarding("simulate", "onboarding").stdout


def test_a_draft_is_simulated_as_if_it_were_active(onboarding: Cli) -> None:
    onboarding.write("sequences/onboarding.yaml", ONBOARDING.replace("status: active", "status: draft"))
    assert "draft, as if it were active" in onboarding("simulate", "onboarding").stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["onboardin"], "did you mean 'onboarding'"),
        (["onboarding", "--timezone", "Mars/Base"], "no time zone 'Mars/Base'"),
        (["onboarding", "--at", "2026-03-27"], "has no offset"),
        (["onboarding", "--until", "3"], "has no unit"),
        (["onboarding", "--at", "9999-12-30T00:00Z"], "out of range"),
    ],
)
def test_what_can_not_be_simulated(onboarding: Cli, args: list[str], words: str) -> None:
    assert words in onboarding("simulate", *args, code=2).stderr


def test_a_required_variable_is_missed(onboarding: Cli) -> None:
    onboarding.write("sequences/onboarding.yaml", ONBOARDING.replace(", example: free", ""))
    assert "lacks the variable plan" in onboarding("simulate", "onboarding", code=1).stderr


def test_an_example_can_be_taken_away(onboarding: Cli) -> None:
    assert "lacks the variable plan" in onboarding("simulate", "onboarding", "--var", "plan:=null", code=1).stderr


def test_tests_that_pass(onboarding: Cli) -> None:
    result = onboarding("test")
    assert result.stdout == "ok    onboarding: a free user gets all three\n"
    assert result.stderr == "1 test: all passed\n"


def test_a_difference_is_shown_side_by_side(onboarding: Cli) -> None:
    onboarding.write("sequences/onboarding.yaml", ONBOARDING.replace("delay: 3d", "delay: 4d") + TESTS)
    result = onboarding("test", "onboarding", code=1)
    assert result.stdout == (
        "FAIL  onboarding: a free user gets all three   sequences/onboarding.yaml:13\n"
        "        expected                                      got\n"
        "        welcome  on Fri 2026-03-27                    welcome  on Fri 2026-03-27  at 09:30\n"
        "      ≠ how-is-it-going  after 3d  '¿Cómo va todo?'   "
        "how-is-it-going  on Tue 2026-03-31  at 09:30  after 4d  '¿Cómo va todo?'\n"
        "        upgrade                                       upgrade  on Fri 2026-04-10  at 10:00\n"
        "        completed                                     completed\n"
    )
    assert result.stderr == "1 test: 1 failed, 0 passed\n"


@pytest.mark.parametrize(
    ("expect", "plan", "passes"),
    [
        ("[{step: welcome}, {step: how-is-it-going}, completed]", "free", False),  # one more is sent
        ("[{step: welcome}, {step: how-is-it-going}, completed]", "pro", True),  # the third is skipped
        ("[{step: welcome}, {step: how-is-it-going}, {step: upgrade}]", "pro", False),
        ("[{step: welcome}, {step: how-is-it-going}, {step: upgrade, skipped: true}]", "pro", True),
        ("[{step: welcome}, {step: how-is-it-going}, {step: upgrade, skipped: when}]", "pro", True),
        ("[{step: welcome}, {step: how-is-it-going}, {step: upgrade, skipped: stale}]", "pro", False),
        ("[{step: how-is-it-going}, {step: welcome}, {step: upgrade}]", "free", False),  # not in that order
        ("[{step: welcome}, active]", "free", True),  # looked at after the first step
        ("[active]", "free", True),
        ("[{step: welcome}, cancelled]", "free", False),
        ("[{step: welcome, at: '09:30'}, active]", "free", True),
        ("[{step: welcome, at: '09:31'}, active]", "free", False),
        ("[{step: welcome, subject: 'Bienvenido a bordo,'}, active]", "free", True),
    ],
)
def test_an_expectation_holds_or_fails(onboarding: Cli, expect: str, plan: str, passes: bool) -> None:
    tests = f"tests:\n  - name: t\n    subscribe: {{at: {AT}, variables: {{plan: {plan}}}}}\n    expect: {expect}\n"
    onboarding.write("sequences/onboarding.yaml", ONBOARDING + tests)
    result = onboarding.json("test", code=0 if passes else 1)
    assert (result["passed"], result["failed"]) == ((1, 0) if passes else (0, 1))


def test_who_may_not_subscribe_fails_the_test(onboarding: Cli) -> None:
    onboarding.write("sequences/onboarding.yaml", ONBOARDING + TESTS.replace(", plan: free", ""))
    assert "refused: ada@example.com lacks the variable plan" in onboarding("test", code=1).stdout


def test_the_junit_report(onboarding: Cli) -> None:
    onboarding.write("sequences/onboarding.yaml", ONBOARDING.replace("delay: 3d", "delay: 4d") + TESTS)
    onboarding("test", "--junit", "report.xml", code=1)
    root = ElementTree.parse(onboarding.folder / "report.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "1", "1")
    case = root.find("testsuite/testcase")
    assert case is not None
    assert (case.get("classname"), case.get("name")) == ("onboarding", "a free user gets all three")
    failure = case.find("failure")
    assert failure is not None
    assert "expected how-is-it-going  after 3d" in (failure.get("message") or "")
    assert "≠" in (failure.text or "")


def test_no_tests_and_no_such_sequence(onboarding: Cli) -> None:
    onboarding.write("sequences/onboarding.yaml", ONBOARDING)
    assert "no tests" in onboarding("test").stderr
    assert "did you mean 'onboarding'" in onboarding("test", "onbording", code=2).stderr
    assert "can't be written" in onboarding("test", "--junit", "no/such/folder.xml", code=2).stderr


def test_files_with_errors_are_not_tested(onboarding: Cli) -> None:
    onboarding.write("sequences/other.yaml", "name: Other\nsteps: 3\n")
    assert "sequences/other.yaml:2" in onboarding("test", code=2).stderr


def test_a_zone_that_does_not_exist_gets_the_nearest(cli: Cli) -> None:
    for wrong in ("Europe/Madird", "europe/madrid", "Europe Madrid"):
        assert "did you mean 'Europe/Madrid'?" in cli("simulate", "welcome", "--timezone", wrong, code=2).stderr


@pytest.mark.parametrize("command", ["simulate", "preview"])
def test_what_is_shown_in_place_of_a_file_with_errors_is_said(cli: Cli, command: str) -> None:
    assert cli(command, "welcome").stderr == ""
    cli.write("sequences/welcome.yaml", "name: W\nsteps: [{id: a, delay: 3x, subject: x, body: y}]\n")
    result = cli(command, "welcome")
    assert result.stdout
    assert result.stderr.startswith("sequences/welcome.yaml has errors, this is as it was applied")
