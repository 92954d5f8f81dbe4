"""What is done to one person: pause, resume, cancel, retry, set, resolve."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.sequence import DelayFrom, SendWindow, SequenceStatus
from drip.core.subscription import CancelReason, SubscriptionStatus, SuppressionReason
from drip.engine import people
from drip.engine.suppress import suppress
from drip.errors import NotFound, Refused
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, accept, utc

ADA = "ada@example.com"
S = SubscriptionStatus


def pause(lab: Lab) -> bool:
    return people.pause(lab.store, "welcome", ADA, lab.now)


def resume(lab: Lab) -> bool:
    return people.resume(lab.store, lab.settings, "welcome", ADA, lab.now)


def cancel(lab: Lab) -> bool:
    return people.cancel(lab.store, "welcome", ADA, lab.now)


def retry(lab: Lab) -> list[int]:
    return people.retry(lab.store, lab.settings, lab.now, slug="welcome", email=ADA)


def set_variables(lab: Lab, **changes: Any) -> dict[str, Any]:
    return people.set_variables(lab.store, lab.settings, "welcome", ADA, changes, lab.now)


def say(lab: Lab, kind: OutcomeKind) -> None:
    lab.transport.script = lambda envelope, content: Outcome(kind, 550, None, "no")


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


def failed(lab: Lab, *more: Any) -> None:
    """One person whose first step failed for good."""
    lab.apply(a_sequence(a_step("one"), *more))
    lab.subscribe(ADA)
    say(lab, OutcomeKind.REFUSED)
    lab.tick()
    lab.transport.script = accept
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


def unknown(lab: Lab, *more: Any) -> int:
    """One person whose first delivery is unknown; its id."""
    lab.apply(a_sequence(a_step("one"), *more))
    lab.subscribe(ADA)
    say(lab, OutcomeKind.UNKNOWN)
    lab.tick()
    lab.transport.script = accept
    return lab.store.deliveries.unknown()[0].id


def resolve(lab: Lab, delivery_id: int, *, sent: bool) -> None:
    people.resolve(lab.store, lab.settings, delivery_id, sent=sent, now=lab.now)


# what happens before it is settled -> as sent: status, next step; as not sent: status, next step, delivery
FATES: list[tuple[Callable[[Lab], Any], tuple[Any, Any], tuple[Any, Any, str]]] = [
    (lambda lab: None, (S.ACTIVE, "two"), (S.ACTIVE, "one", "deferred")),
    (pause, (S.PAUSED, "two"), (S.PAUSED, "one", "deferred")),
    (cancel, (S.CANCELLED, None), (S.CANCELLED, None, "failed")),
    (lambda lab: lab.apply(a_sequence(a_step("two", "1d"))), (S.ACTIVE, "two"), (S.ACTIVE, "two", "")),
    (lambda lab: lab.apply(a_sequence()), (S.ACTIVE, None), (S.ACTIVE, None, "")),
    (
        lambda lab: lab.store.sequences.set_status(1, SequenceStatus.ARCHIVED, lab.now),
        (S.ACTIVE, "two"),
        (S.ACTIVE, "one", "deferred"),
    ),
]


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize(("before", "if_sent", "if_not"), FATES)
def test_an_unknown_delivery_is_settled_whatever_became_of_the_person(
    lab: Lab, before: Callable[[Lab], Any], if_sent: tuple[Any, Any], if_not: tuple[Any, Any, str], sent: bool
) -> None:
    delivery_id = unknown(lab, a_step("two", "1d"))
    lab.move("2h")
    before(lab)
    resolve(lab, delivery_id, sent=sent)
    person = lab.person(ADA)
    states = "".join(delivery.state for delivery in lab.store.deliveries.of_subscription(person.id))
    assert (person.status, person.next_step) == (if_sent if sent else if_not[:2])
    assert states == ("sent" if sent else if_not[2])
    assert lab.store.deliveries.unknown() == []
    assert lab.events().count("step.resolved") == 1


def test_settled_as_sent_counts_from_when_it_was_handed_over(lab: Lab) -> None:
    delivery_id = unknown(lab, a_step("two", "1d"))
    lab.move("5h")
    resolve(lab, delivery_id, sent=True)
    person = lab.person(ADA)
    assert (person.next_send_at, person.last_sent_at, person.current_step) == (START + DAY, START, 1)


def test_a_fate_that_is_known_is_not_settled_again(lab: Lab) -> None:
    delivery_id = unknown(lab)
    resolve(lab, delivery_id, sent=True)
    assert lab.person(ADA).status is S.COMPLETED
    for sent in (True, False):
        with pytest.raises(Refused):
            resolve(lab, delivery_id, sent=sent)
    with pytest.raises(NotFound) as nothing:
        resolve(lab, 999, sent=True)
    assert nothing.value.hint == "`drip unknown` lists those to settle"


def test_an_address_that_was_suppressed_gets_nothing_when_it_is_settled_as_not_sent(lab: Lab) -> None:
    delivery_id = unknown(lab)
    suppress(lab.store, ADA, SuppressionReason.UNSUBSCRIBED, lab.now)
    resolve(lab, delivery_id, sent=False)
    assert lab.tick().counts == {}
    assert lab.steps_sent() == []


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
