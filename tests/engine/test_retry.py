"""What failed is tried again when somebody says so."""

from __future__ import annotations

from typing import Any

import pytest

from drip.core.delivery import OutcomeKind
from drip.engine import people
from drip.errors import NotFound
from tests.engine.ada import ADA, S, answer_once, retry, say
from tests.lab import DAY, START, Lab, a_sequence, a_step


def failed(lab: Lab, *more: Any) -> None:
    """One person whose first step failed for good."""
    answer_once(lab, OutcomeKind.REFUSED, *more)
    assert lab.person(ADA).status is S.FAILED


def test_a_retry_begins_anew_with_the_step_that_failed(lab: Lab) -> None:
    failed(lab, a_step("two", "1d"))
    lab.move("3h")
    assert retry(lab) == [1]
    person = lab.person(ADA)
    assert (person.status, person.next_step, person.next_send_at) == (S.ACTIVE, "one", lab.now)
    assert person.retry_count == 0
    assert retry(lab) == []
    lab.tick()
    assert lab.steps_sent() == ["one"]
    assert lab.person(ADA).next_send_at == lab.now + DAY
    assert "subscription.retried" in lab.events()


def test_a_retry_that_fails_again_has_failed_again(lab: Lab) -> None:
    failed(lab)
    retry(lab)
    say(lab, OutcomeKind.REFUSED)
    assert lab.tick().counts == {"failed": 1}
    assert lab.person(ADA).status is S.FAILED


def test_a_retry_after_the_failed_step_was_removed_goes_on_with_the_next_when_that_is_due(lab: Lab) -> None:
    failed(lab, a_step("two", "5d"))
    lab.apply(a_sequence(a_step("two", "5d")))
    assert lab.person(ADA).status is S.FAILED
    lab.move("1d")
    retry(lab)
    assert (lab.person(ADA).next_step, lab.person(ADA).next_send_at) == ("two", START + 5 * DAY)
    assert lab.tick().counts == {}


def test_a_retry_in_a_sequence_that_has_no_steps_left_is_held(lab: Lab) -> None:
    failed(lab, a_step("two"))
    lab.apply(a_sequence(a_step("zero")))
    assert lab.person(ADA).next_step == "zero"
    lab.apply(a_sequence())
    retry(lab)
    assert lab.person(ADA).status is S.ACTIVE
    assert lab.person(ADA).hold == "no_steps"


def test_a_failed_person_whose_last_step_was_removed_completes_on_retry(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("zero"), a_step("one")))
    lab.subscribe(ADA)
    lab.tick(limit=1)
    say(lab, OutcomeKind.REFUSED)
    lab.tick()
    lab.apply(a_sequence(a_step("zero")))
    assert lab.person(ADA).status is S.FAILED
    retry(lab)
    assert lab.person(ADA).status is S.COMPLETED
    assert lab.events()[-1] == "sequence.completed"


def test_a_retry_can_be_for_one_person_one_sequence_or_all(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")), a_sequence(a_step("one"), id="other"))
    for slug in ("welcome", "other"):
        for email in (ADA, "bob@example.com"):
            lab.subscribe(email, slug)
    say(lab, OutcomeKind.REFUSED)
    lab.tick()
    assert len(people.retry(lab.store, lab.settings, lab.now, slug="other", email=ADA)) == 1
    assert len(people.retry(lab.store, lab.settings, lab.now, slug="other")) == 1
    assert len(people.retry(lab.store, lab.settings, lab.now)) == 2
    with pytest.raises(NotFound):
        people.retry(lab.store, lab.settings, lab.now, slug="nowhere")
    with pytest.raises(NotFound):
        people.retry(lab.store, lab.settings, lab.now, email="nobody@example.com")
