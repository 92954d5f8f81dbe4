"""`why`: one message, and everything about it."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Cli

PERSONAL = """\
name: Welcome
status: active
variables: {plan: {default: free}}
steps:
  - {id: hello, delay: 0, subject: "Hello {{ name }}", body: "You are on {{ plan }}."}
  - {id: tips, delay: 3d, when: plan == 'pro', subject: Tips, body: Three tips.}
"""


@pytest.fixture
def sent(empty: Cli) -> Cli:
    """Ada has got the first step of revision 1."""
    empty.write("sequences/welcome.yaml", PERSONAL)
    empty("apply")
    empty("subscribe", "welcome", "ada@example.com", "--name", "Ada")
    empty("run", "--once")
    return empty


def message_id(cli: Cli) -> str:
    found = re.search(r"^Message-ID: (<.+>)\r?$", cli.mails()[0], re.MULTILINE)
    assert found is not None
    return found[1]


def test_who_what_when_and_the_words(sent: Cli) -> None:
    said = sent("why", "1").stdout
    assert re.search(r"^to +Ada <ada@example.com>$", said, re.MULTILINE)
    assert re.search(r"^step +hello \(1 of 2\)$", said, re.MULTILINE)
    assert re.search(r"^revision +1, .* from file", said, re.MULTILINE)
    assert re.search(r"^the server said +written to new/", said, re.MULTILINE)
    assert "the message as it was sent (its hash is the same)" in said
    assert "Subject:  Hello Ada" in said
    assert "You are on free." in said


@pytest.mark.parametrize("form", ["{}", "<{}@example.com>", "{}@example.com", "  <{}@elsewhere.example>"])
def test_a_message_is_found_by_what_its_headers_say(sent: Cli, form: str) -> None:
    token = message_id(sent).strip("<>").partition("@")[0]
    found = sent.json("why", form.format(token))
    assert (found["id"], found["token"], found["message_id"]) == (1, token, message_id(sent))
    assert (found["made_from"]["revision"], found["state"]) == (1, "sent")
    assert found["attempts_made"][0]["event"] == "sequence.step.sent"


def test_variables_are_those_of_that_moment(sent: Cli) -> None:
    sent("set", "welcome", "ada@example.com", "plan=pro")
    sent("set", "welcome", "ada@example.com", "plan=gold", "colour=red")
    found = sent.json("why", "1")
    assert found["same_as_sent"] is True
    assert "You are on free." in found["message"]["text"]


def test_the_revision_is_that_of_that_moment(sent: Cli) -> None:
    sent.write("sequences/welcome.yaml", PERSONAL.replace("You are on", "You have"))
    sent("apply", "--yes")
    found = sent.json("why", "1")
    assert found["same_as_sent"] is True
    assert "You are on free." in found["message"]["text"]


def test_a_step_that_is_gone_is_still_explained(sent: Cli) -> None:
    sent.write("sequences/welcome.yaml", PERSONAL.replace("id: hello", "id: hallo"))
    sent("apply", "--yes")
    assert sent.json("why", "1")["message"]["subject"] == "Hello Ada"


def test_a_contact_is_as_it_was_at_that_moment(sent: Cli) -> None:
    sent("contacts", "set", "ada@example.com", "plan=pro")
    sent("contacts", "set", "ada@example.com", "name=Grace", "plan=gold")
    found = sent.json("why", "1")
    assert found["same_as_sent"] is True
    assert (found["message"]["subject"], found["name"]) == ("Hello Ada", "Grace")
    assert "You are on free." in found["message"]["text"]
    assert "of contact  name, plan" in sent("log").stdout


def test_a_new_name_given_with_another_subscription_is_followed_back(sent: Cli) -> None:
    sent.write("sequences/other.yaml", PERSONAL)
    sent("apply", "--yes")
    sent("subscribe", "other", "ada@example.com", "--name", "Grace")
    assert sent.json("contacts", "show", "ada@example.com")["name"] == "Grace"
    assert sent.json("why", "1")["same_as_sent"] is True


def test_what_was_changed_behind_the_log_is_said_plainly(sent: Cli) -> None:
    sent.sql("UPDATE contact SET name = 'Grace'")
    assert "not as it was sent: its hash differs" in sent("why", "1").stdout
    assert sent.json("why", "1")["same_as_sent"] is False


def test_a_skipped_step_has_a_reason_and_no_message(sent: Cli) -> None:
    sent("run", "--once", "--now", "2035-01-01T00:00:00Z")
    found = sent.json("why", "2")
    assert (found["state"], found["reason"], found["message"]) == ("skipped", "stale", None)
    assert "skipped (stale)" in sent("why", "2").stdout


@pytest.mark.parametrize("wrong", ["99", "x", "<a@b>", "9" * 30, "preview"])
def test_what_is_not_a_message_of_ours(sent: Cli, wrong: str) -> None:
    assert "there is no" in sent("why", wrong, code=2).stderr


def test_an_erased_person_is_not_explained(sent: Cli) -> None:
    name = message_id(sent)
    sent.sql("DELETE FROM delivery")
    assert "erased" in sent("why", name, code=2).stderr


def test_what_can_not_be_rendered_says_why_in_a_paragraph_of_its_own(empty: Cli) -> None:
    steps = "steps:\n  - {id: a, delay: 0, subject: x, body: '{{ 1 / zero }}'}\nstatus: active\n"
    empty.write("sequences/broken.yaml", steps)
    empty("apply")
    empty("subscribe", "broken", "ada@example.com", "--var", "zero:=0")
    empty("run", "--once", code=1)
    said = empty("why", "1").stdout
    assert "\n\nit can't be rendered: step 'a'" in said
    assert "\\n" not in said
