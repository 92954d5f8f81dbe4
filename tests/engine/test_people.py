"""What is done to one person: pause, resume, cancel, set. See `test_retry` and `test_resolve`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.sequence import DelayFrom, SendWindow, SequenceStatus
from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.engine import people
from drip.errors import NotFound, Refused
from tests.engine.ada import ADA, S, cancel, pause, resume, retry, say, set_variables
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, utc

NINE_TO_FIVE = SendWindow(frozenset(range(5)), time(9), time(17))

# the sequence's fields, the step's, paused after, for -> due, all from Monday 09:00
PAUSES = [
    # two of three days had passed; the last one goes on
    ({}, {"delay": "3d"}, "2d", "5h", START + 3 * DAY + 5 * HOUR),
    ({}, {"delay": "3d"}, "0", "10d", START + 13 * DAY),
    ({"delay_from": DelayFrom.START}, {"delay": "3d"}, "1d", "2d", START + 5 * DAY),
    # a pause after it was due: still overdue by as much
    ({}, {"delay": "1h"}, "2h", "1d", START + DAY + HOUR),
    # 09:00 + 1d + 5h of pause is 14:00 on Tuesday, so the next 09:30 is Wednesday's
    ({}, {"delay": "1d", "at": time(9, 30)}, "1h", "5h", START + 2 * DAY + timedelta(minutes=30)),
    # 14:00 and nine hours of pause is 23:00 on Monday: Tuesday at nine
    ({"send_window": NINE_TO_FIVE}, {"delay": "5h"}, "1h", "9h", START + DAY),
]


@pytest.mark.parametrize(("fields", "step", "after", "length", "due"), PAUSES)
def test_on_resume_the_rest_of_the_wait_goes_on(
    lab: Lab, fields: dict[str, Any], step: dict[str, Any], after: str, length: str, due: datetime
) -> None:
    lab.apply(a_sequence(a_step("one", **step), status=SequenceStatus.DRAFT, **fields))
    lab.subscribe(ADA)
    lab.move(after)
    assert pause(lab)
    assert (lab.person(ADA).status, lab.person(ADA).paused_at) == (S.PAUSED, lab.now)
    lab.move(length)
    assert lab.tick().counts == {}
    assert resume(lab)
    person = lab.person(ADA)
    assert (person.status, person.paused_at, person.next_send_at) == (S.ACTIVE, None, due)


def test_every_later_step_is_moved_by_a_pause_too_when_delays_count_from_the_start(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "4d"), a_step("three", "6d"), delay_from=DelayFrom.START))
    lab.subscribe(ADA)
    lab.tick()
    pause(lab)
    lab.move("1d")
    resume(lab)
    assert lab.person(ADA).next_send_at == START + 5 * DAY
    lab.move("4d")
    lab.tick()
    assert lab.person(ADA).next_send_at == START + 7 * DAY
    assert lab.person(ADA).started_at == START


def test_two_pauses_add_up(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", "3d")))
    lab.subscribe(ADA)
    for _ in range(2):
        lab.move("1d")
        pause(lab)
        lab.move("1h")
        resume(lab)
    assert lab.person(ADA).next_send_at == START + 3 * DAY + 2 * HOUR


def test_pausing_or_resuming_twice_changes_nothing(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", "3d")))
    lab.subscribe(ADA)
    assert pause(lab)
    lab.move("1d")
    assert not pause(lab)
    assert lab.person(ADA).paused_at == START
    assert resume(lab)
    due = lab.person(ADA).next_send_at
    lab.move("1d")
    assert not resume(lab)
    assert lab.person(ADA).next_send_at == due == START + 4 * DAY
    assert lab.events()[2:] == ["subscription.paused", "subscription.resumed"]


def test_a_retry_that_was_put_off_goes_on_where_it_stood(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe(ADA)
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.DEFERRED, 451, None, "later")
    lab.tick()
    due = lab.person(ADA).next_send_at
    assert due is not None
    pause(lab)
    lab.move("2h")
    resume(lab)
    assert (lab.person(ADA).next_send_at, lab.person(ADA).retry_count) == (due + 2 * HOUR, 1)


def test_a_step_that_waited_for_its_window_is_in_a_window_after_a_pause(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", send_window=NINE_TO_FIVE)))
    lab.subscribe(ADA, started_at=START - HOUR)
    lab.now = utc("2026-03-02T20:00")  # it was due at nine; a late worker defers it to the morning
    lab.tick()
    assert lab.person(ADA).next_send_at == START + DAY
    pause(lab)
    lab.move("3h")
    resume(lab)
    # it started at eight and stood still for three hours; the window is looked at again before sending
    assert lab.person(ADA).next_send_at == START + 2 * HOUR
    lab.tick()
    assert lab.person(ADA).next_send_at == START + DAY


def test_a_person_who_waits_for_a_decision_waits_for_it_after_a_pause_too(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two")))
    lab.subscribe(ADA)
    say(lab, OutcomeKind.UNKNOWN)
    lab.tick()
    pause(lab)
    lab.move("1d")
    resume(lab)
    assert (lab.person(ADA).hold, lab.person(ADA).next_send_at) == ("unknown", None)


def test_a_cancellation_is_final_and_may_be_asked_for_twice(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", "1d")))
    lab.subscribe(ADA)
    assert cancel(lab)
    lab.move("2d")
    assert not cancel(lab)
    person = lab.person(ADA)
    assert (person.status, person.cancel_reason, person.cancelled_at) == (S.CANCELLED, CancelReason.MANUAL, START)
    assert (person.next_step, person.next_send_at) == (None, None)
    assert lab.events().count("sequence.cancelled") == 1
    assert lab.tick().counts == {}
    lab.apply(a_sequence(a_step("zero"), a_step("one")))
    assert lab.tick().counts == {}


@pytest.mark.parametrize("final", [S.COMPLETED, S.CANCELLED])
@pytest.mark.parametrize("action", [pause, resume])
def test_nothing_moves_what_is_final(lab: Lab, action: Callable[[Lab], bool], final: SubscriptionStatus) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe(ADA)
    if final is S.COMPLETED:
        lab.tick()
    else:
        cancel(lab)
    with pytest.raises(Refused) as refused:
        action(lab)
    assert refused.value.code == "subscription_terminal"
    assert lab.person(ADA).status is final
    assert retry(lab) == []


def test_what_is_completed_can_not_be_cancelled_and_what_failed_can(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")), a_sequence(a_step("one"), id="other"))
    lab.subscribe(ADA)
    lab.tick()
    with pytest.raises(Refused):
        cancel(lab)
    lab.subscribe(ADA, "other")
    say(lab, OutcomeKind.REFUSED)
    lab.tick()
    assert lab.person(ADA, "other").status is S.FAILED
    with pytest.raises(Refused) as refused:
        people.pause(lab.store, "other", ADA, lab.now)
    assert refused.value.hint == "`drip retry` makes it active again"
    assert people.cancel(lab.store, "other", ADA, lab.now)


def test_variables_are_merged_and_none_removes_one(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", "1d")))
    lab.subscribe(ADA, variables={"plan": "free", "team": 3})
    assert set_variables(lab, plan="pro", team=None, new=[1]) == {"plan": "pro", "new": [1]}
    assert lab.person(ADA).variables == {"plan": "pro", "new": [1]}
    assert lab.person(ADA).next_send_at == START + DAY
    # what they were is kept with it: a message sent before can be rendered again
    was = {"new": None, "plan": "free", "team": 3}
    assert lab.store.events.entries(limit=10)[-1].data == {"variables": ["new", "plan", "team"], "was": was}


def test_another_zone_moves_what_a_person_waits_for(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", "1d", at=time(9))))
    lab.subscribe(ADA)
    assert lab.person(ADA).next_send_at == START + DAY
    set_variables(lab, timezone="America/New_York")
    assert lab.person(ADA).next_send_at == START + DAY + 5 * HOUR
    set_variables(lab, timezone="nowhere")
    assert lab.person(ADA).next_send_at == START + DAY


def test_another_zone_moves_one_who_waits_for_a_window_but_no_retry(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", send_window=NINE_TO_FIVE)))
    lab.subscribe(ADA, started_at=START - DAY)
    lab.now = utc("2026-03-02T20:00")
    lab.tick()
    assert lab.person(ADA).next_send_at == START + DAY
    set_variables(lab, timezone="America/New_York")  # 15:00 there: open, and long due
    assert (due := lab.person(ADA).next_send_at) is not None
    assert due <= lab.now
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.DEFERRED, 451, None, "later")
    lab.tick()
    due = lab.person(ADA).next_send_at
    set_variables(lab, timezone="Asia/Tokyo")
    assert lab.person(ADA).next_send_at == due


def test_a_person_who_is_not_there_is_said_with_the_nearest(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")), a_sequence(a_step("one"), id="other"))
    lab.subscribe("ada.lovelace@example.com")
    with pytest.raises(NotFound) as near:
        people.find_subscription(lab.store, "welcome", "ada.lovelase@example.com")
    assert near.value.hint == "did you mean 'ada.lovelace@example.com'?"
    with pytest.raises(NotFound):
        people.find_subscription(lab.store, "other", "ada.lovelace@example.com")
    with pytest.raises(NotFound) as sequence:
        people.find_subscription(lab.store, "othr", "ada.lovelace@example.com")
    assert sequence.value.hint == "did you mean 'other'?"
    assert (
        people.find_subscription(lab.store, "welcome", " ADA.Lovelace@EXAMPLE.com").email == "ada.lovelace@example.com"
    )


def test_a_person_who_is_edited_while_claimed_is_judged_anew(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", at=time(9))))
    lab.subscribe(ADA)
    once = iter([lambda: set_variables(lab, timezone="America/New_York")])

    def change() -> None:
        with lab.store.connected():
            next(once, lambda: None)()

    lab.transport.before_mark = change
    lab.tick()
    assert lab.transport.sent == []
    assert lab.person(ADA).next_send_at == START + 5 * HOUR
