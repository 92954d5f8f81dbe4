"""Who may be added to a sequence, and what they get first."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest

from drip.core.events import EventType
from drip.core.sequence import DelayFrom, Resubscribe, SendWindow, SequenceStatus, Variable
from drip.core.subscription import CancelReason, SubscriptionStatus, SuppressionReason
from drip.engine.records import Event
from drip.engine.subscribe import Answer, Request, subscribe_many
from drip.engine.suppress import suppress, unsuppress
from drip.errors import NotFound, Refused
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, utc

ADA = "ada@example.com"
NEVER, AFTER, ALWAYS = Resubscribe.NEVER, Resubscribe.AFTER_COMPLETION, Resubscribe.ALWAYS
S, C = SubscriptionStatus, CancelReason


def put(lab: Lab, status: SubscriptionStatus, reason: CancelReason | None) -> None:
    """Bring the one subscription into a state."""
    lab.store.database.run(
        "UPDATE subscription SET status = ?, cancel_reason = ?, next_step_id = NULL, next_send_at = NULL,"
        " completed_at = ?, cancelled_at = ?",
        *(status.value, reason and reason.value, 1, 1),
    )
    ended = EventType.COMPLETED if status is SubscriptionStatus.COMPLETED else EventType.CANCELLED
    lab.store.events.append([Event(ended, lab.now, 1, 1)])


# state, reason -> who may start again under which rule
MAY_START_AGAIN = [
    (S.COMPLETED, None, {AFTER, ALWAYS}),
    (S.CANCELLED, C.MANUAL, {ALWAYS}),
    (S.CANCELLED, C.STOPPED, {ALWAYS}),
    (S.CANCELLED, C.UNSUBSCRIBED, set()),
    (S.CANCELLED, C.BOUNCED, set()),
    (S.CANCELLED, C.COMPLAINED, set()),
    (S.CANCELLED, C.SUPPRESSED, set()),
]


@pytest.mark.parametrize("rule", Resubscribe)
@pytest.mark.parametrize(("status", "reason", "rules"), MAY_START_AGAIN)
def test_what_ended_may_start_again_only_as_the_sequence_says(
    lab: Lab, status: SubscriptionStatus, reason: CancelReason | None, rules: set[Resubscribe], rule: Resubscribe
) -> None:
    lab.apply(a_sequence(a_step("one"), resubscribe=rule))
    lab.subscribe(ADA, variables={"plan": "old"})
    put(lab, status, reason)
    lab.move("1d")
    if rule in rules:
        answered = lab.subscribe(ADA, variables={"plan": "new"})
        person = lab.person(ADA)
        assert (answered.answer, answered.subscription_id) == (Answer.CREATED, person.id)
        assert (person.id, person.status, person.variables) == (2, S.ACTIVE, {"plan": "new"})
        assert (person.current_step, person.started_at, person.next_send_at) == (0, lab.now, lab.now)
    else:
        with pytest.raises(Refused) as refused:
            lab.subscribe(ADA)
        assert refused.value.code == "subscription_terminal"
        assert lab.person(ADA).status is status


@pytest.mark.parametrize("rule", Resubscribe)
@pytest.mark.parametrize("status", [S.ACTIVE, S.PAUSED, S.FAILED])
def test_who_is_in_a_sequence_stays_as_they_are(lab: Lab, status: SubscriptionStatus, rule: Resubscribe) -> None:
    lab.apply(a_sequence(a_step("one", "1d"), resubscribe=rule))
    lab.subscribe(ADA, name="Ada", variables={"plan": "old"})
    lab.store.database.run("UPDATE subscription SET status = ?, paused_at = 1", status.value)
    before, events = lab.person(ADA), lab.events()
    lab.move("1h")
    answered = lab.subscribe("ADA@Example.com", name="Other", variables={"plan": "new"}, started_at=START - DAY)
    assert (answered.answer, answered.subscription_id) == (Answer.EXISTING, before.id)
    assert (lab.person(ADA), lab.events()) == (before, events)
    lab.store.database.run("UPDATE subscription SET status = 'active'")


def test_a_second_life_gets_every_step_again_and_the_first_is_kept(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two"), resubscribe=AFTER))
    for _ in range(2):
        lab.subscribe(ADA)
        lab.tick()
    assert lab.steps_sent() == ["one", "two"] * 2
    assert lab.store.database.value("SELECT COUNT(*) FROM subscription") == 2
    # the same steps of another subscription are other messages
    ids = [
        line for _, content in lab.transport.sent for line in content.split(b"\r\n") if line.startswith(b"Message-ID")
    ]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("reason", SuppressionReason)
def test_a_suppressed_address_is_refused_however_it_is_spelt(lab: Lab, reason: SuppressionReason) -> None:
    lab.apply(a_sequence(a_step("one"), resubscribe=ALWAYS))
    suppress(lab.store, ADA, reason, lab.now)
    with pytest.raises(Refused) as refused:
        lab.subscribe("Ada@EXAMPLE.com")
    assert refused.value.code == "contact_suppressed"
    unsuppress(lab.store, ADA, lab.now)
    assert lab.subscribe(ADA).answer is Answer.CREATED


def test_a_draft_takes_people_and_holds_them_an_archived_sequence_takes_none(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), status=SequenceStatus.DRAFT))
    lab.subscribe(ADA)
    assert lab.person(ADA).hold == "sequence_draft"
    assert lab.tick().counts == {}
    lab.store.sequences.set_status(1, SequenceStatus.ARCHIVED, lab.now)
    with pytest.raises(Refused) as refused:
        lab.subscribe("bob@example.com")
    assert refused.value.code == "sequence_archived"


def test_a_sequence_without_steps_holds_its_people_until_it_has_some(lab: Lab) -> None:
    lab.apply(a_sequence())
    lab.subscribe(ADA)
    assert lab.tick().counts == {}
    person = lab.person(ADA)
    assert (person.status, person.next_step, person.next_send_at, person.hold) == (S.ACTIVE, None, None, "no_steps")
    lab.apply(a_sequence(a_step("one", "1d")))
    assert lab.person(ADA).next_send_at == START + DAY


def test_a_sequence_that_does_not_exist_names_the_nearest(lab: Lab) -> None:
    with pytest.raises(NotFound) as nothing:
        lab.subscribe(ADA)
    assert nothing.value.hint == "no sequence is applied yet: run `drip apply`"
    lab.apply(a_sequence(a_step("one")))
    with pytest.raises(NotFound) as near:
        lab.subscribe(ADA, "welcom")
    assert near.value.hint == "did you mean 'welcome'?"


NINE_TO_FIVE = SendWindow(frozenset(range(5)), time(9), time(17))

# started_at, the sequence's fields, the first step's -> when it is due
FIRST_STEPS = [
    (None, {}, {"delay": "2d"}, START + 2 * DAY),
    (START - 5 * DAY, {}, {"delay": "2d"}, START - 3 * DAY),
    (START + 5 * DAY, {}, {"delay": "2d"}, START + 7 * DAY),
    (START + 5 * DAY, {"delay_from": DelayFrom.START}, {"delay": "2d"}, START + 7 * DAY),
    # Monday 09:00 and twelve hours is 21:00: not in the window, so Tuesday at nine
    (None, {"send_window": NINE_TO_FIVE}, {"delay": "12h"}, START + DAY),
    # nine in Tokyo is midnight UTC
    (None, {"timezone": "Asia/Tokyo"}, {"delay": "0", "at": time(9)}, utc("2026-03-03T00:00")),
    (START + timedelta(microseconds=999), {}, {"delay": "0"}, START),
]


@pytest.mark.parametrize(("started_at", "fields", "step", "due"), FIRST_STEPS)
def test_the_first_step_counts_from_the_start(
    lab: Lab, started_at: datetime | None, fields: dict[str, Any], step: dict[str, Any], due: datetime
) -> None:
    lab.apply(a_sequence(a_step("one", **step), **fields))
    lab.subscribe(ADA, started_at=started_at)
    assert lab.person(ADA).next_send_at == due


def test_a_persons_own_zone_is_used_and_one_that_does_not_exist_is_none(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", at=time(9)), timezone="Asia/Tokyo"))
    lab.subscribe(ADA, variables={"timezone": "America/New_York"})
    lab.subscribe("bob@example.com", variables={"timezone": "Mars/Olympus"})
    assert lab.person(ADA).next_send_at == START + 5 * HOUR
    assert lab.person("bob@example.com").next_send_at == utc("2026-03-03T00:00")


NEEDS = {"name": Variable(required=True), "plan": Variable(required=True), "coupon": Variable(default="NONE")}

# request's fields, the contact's variables -> what is missing
REQUIRED = [
    ({"name": "Ada", "variables": {"plan": "pro"}}, {}, None),
    ({"name": "Ada"}, {"plan": "pro"}, None),
    ({"variables": {"plan": "pro", "name": "Ada"}}, {}, None),
    ({"variables": {"plan": ""}, "name": "Ada"}, {}, None),  # empty is a value
    ({"variables": {"plan": "pro"}}, {}, "lacks the variable name"),
    ({"variables": {"plan": "pro"}, "name": "  "}, {}, "lacks the variable name"),
    ({"name": "Ada", "variables": {"plan": None}}, {}, "lacks the variable plan"),
    ({}, {}, "lacks the variables name, plan"),
]


@pytest.mark.parametrize(("fields", "known", "missing"), REQUIRED)
def test_who_lacks_a_required_variable_is_refused(
    lab: Lab, fields: dict[str, Any], known: dict[str, Any], missing: str | None
) -> None:
    lab.apply(a_sequence(a_step("one"), variables=NEEDS), a_sequence(a_step("one"), id="other"))
    lab.subscribe(ADA, "other")
    lab.store.contacts.set_variables(1, known, lab.now)
    if missing is None:
        assert lab.subscribe(ADA, **fields).answer is Answer.CREATED
    else:
        with pytest.raises(Refused, match=missing) as refused:
            lab.subscribe(ADA, **fields)
        assert refused.value.code == "invalid_field"


def test_a_contacts_name_and_every_address_count_as_given(lab: Lab) -> None:
    needs = {"name": Variable(required=True), "email": Variable(required=True)}
    lab.apply(a_sequence(a_step("one"), variables=needs), a_sequence(a_step("one"), id="other"))
    lab.subscribe(ADA, "other", name="Ada")
    assert lab.subscribe(ADA).answer is Answer.CREATED


def test_two_spellings_are_one_person_in_one_batch_and_over_time(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    requests = [Request("Ada@Example.com", "Ada"), Request("aDA@example.COM", "Other"), Request("bob@example.com")]
    answers = subscribe_many(lab.store, lab.settings, "welcome", requests, lab.now)
    assert [answered.answer for answered in answers] == [Answer.CREATED, Answer.EXISTING, Answer.CREATED]
    assert [answered.subscription_id for answered in answers] == [1, 1, 2]
    person = lab.person(ADA)
    # the local part as it was written first, the domain as it is looked up
    assert (person.email, person.name) == ("Ada@example.com", "Ada")
    lab.tick()
    assert [envelope.recipient for envelope, _ in lab.transport.sent].count("Ada@example.com") == 1


def test_one_that_is_refused_stops_no_other_and_answers_come_in_order(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), resubscribe=NEVER))
    lab.subscribe("done@example.com")
    lab.tick()
    suppress(lab.store, "no@example.com", SuppressionReason.MANUAL, lab.now)
    emails = ["nonsense", "a@example.com", "no@example.com", "done@example.com", "b@example.com", "x@nodot", ""]
    answers = subscribe_many(lab.store, lab.settings, "welcome", [Request(email) for email in emails], lab.now)
    assert [answered.code or answered.answer.value for answered in answers] == [
        *("invalid_field", "created", "contact_suppressed", "subscription_terminal", "created"),
        *("invalid_field", "invalid_field"),
    ]
    assert [answered.email for answered in answers] == emails


def test_thousands_in_one_batch_and_the_same_again_adds_none(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", "1d")))
    requests = [Request(f"p{number}@example.com", f"P {number}", {"n": number}) for number in range(5000)]
    answers = subscribe_many(lab.store, lab.settings, "welcome", requests, lab.now)
    assert {answered.answer for answered in answers} == {Answer.CREATED}
    assert len({answered.subscription_id for answered in answers}) == 5000
    assert lab.person("p4321@example.com").variables == {"n": 4321}
    again = subscribe_many(lab.store, lab.settings, "welcome", requests, lab.now)
    assert {answered.answer for answered in again} == {Answer.EXISTING}
    assert [answered.subscription_id for answered in again] == [answered.subscription_id for answered in answers]
    assert lab.events().count("sequence.subscribed") == 5000


def test_a_name_is_one_line_and_a_new_one_replaces_the_old_but_nothing_does_not(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")), a_sequence(a_step("one"), id="other"), a_sequence(a_step("one"), id="third"))
    lab.subscribe(ADA, name="Ada\r\nBcc: x")
    assert lab.person(ADA).name == "Ada  Bcc: x"
    lab.subscribe(ADA, "other", name="Ada L.")
    lab.subscribe(ADA, "third")
    assert lab.person(ADA).name == "Ada L."


def test_an_event_per_person_who_is_new(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe(ADA)
    lab.subscribe(ADA)
    with pytest.raises(Refused):
        lab.subscribe("no")
    assert lab.events() == ["sequence.applied", "sequence.subscribed"]
    entry = lab.store.events.entries(limit=10)[1]
    assert (entry.sequence, entry.email, entry.at) == ("welcome", ADA, START)
