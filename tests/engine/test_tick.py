"""One pass of the worker: who gets what, what is recorded, and that a second pass at once does nothing."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path

import pytest

from drip.core.delivery import Outcome, OutcomeKind, RetryRule
from drip.core.sequence import DelayFrom, SendWindow, SequenceStatus
from drip.core.settings import Limits, OnUnknown
from drip.core.subscription import CancelReason, SubscriptionStatus, SuppressionReason
from drip.engine import people
from drip.engine.ports import Envelope
from drip.engine.records import Marked
from drip.engine.suppress import suppress
from tests.lab import DAY, HOUR, START, Lab, Script, a_sequence, a_step, accept, open_lab


def say(kind: OutcomeKind, code: int | None = None, text: str = "no", in_hand: bool = True) -> Script:
    return lambda envelope, content: Outcome(kind, code, None, text, in_hand=in_hand)


def test_steps_go_out_in_order_each_when_it_is_due(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "3d"), a_step("three", "12h")))
    lab.subscribe("ada@example.com")
    times: dict[str, datetime] = {}
    for _ in range(5 * 24):
        for _twice in range(2):
            lab.tick()
        for key in lab.steps_sent():
            times.setdefault(key, lab.now)
        lab.move("1h")
    assert lab.steps_sent() == ["one", "two", "three"]
    assert times == {"one": START, "two": START + 3 * DAY, "three": START + 3 * DAY + 12 * HOUR}
    person = lab.person("ada@example.com")
    assert person.status is SubscriptionStatus.COMPLETED
    assert (person.current_step, person.next_step, person.next_send_at) == (3, None, None)
    sent = ["sequence.step.sent"] * 3
    assert lab.events() == ["sequence.applied", "sequence.subscribed", *sent, "sequence.completed"]


def test_a_pass_goes_on_until_nothing_is_due(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two"), a_step("three", "1s")))
    lab.subscribe("ada@example.com")
    report = lab.tick()
    assert lab.steps_sent() == ["one", "two"]
    assert report.counts == {"sent": 2}
    assert (report.remaining_due, report.next_due_at) == (0, START + timedelta(seconds=1))


def test_many_people_get_one_each(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.crowd(450)
    report = lab.tick()
    recipients = [envelope.recipient for envelope, _ in lab.transport.sent]
    assert sorted(recipients) == sorted({f"p{number}@example.com" for number in range(450)})
    assert report.counts == {"sent": 450, "completed": 450}


def test_a_limit_takes_so_many_and_leaves_the_rest(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    for number in range(5):
        lab.subscribe(f"p{number}@example.com")
    assert lab.tick(limit=2).remaining_due == 3
    assert len(lab.transport.sent) == 2


def test_draft_and_archived_sequences_hold_their_people(lab: Lab) -> None:
    sequence = a_sequence(a_step("one"), status=SequenceStatus.DRAFT)
    lab.apply(sequence)
    lab.subscribe("ada@example.com")
    assert lab.tick().counts == {}
    lab.store.sequences.set_status(1, SequenceStatus.ACTIVE, lab.now)
    assert lab.tick().counts == {"sent": 1, "completed": 1}


def test_overdue_steps_from_the_start_go_in_order_and_late_ones_move_nothing(lab: Lab) -> None:
    steps = (a_step("one"), a_step("two", "1d"), a_step("three", "5d"))
    lab.apply(a_sequence(*steps, delay_from=DelayFrom.START))
    lab.subscribe("ada@example.com")
    lab.move("2d")
    lab.tick()
    assert lab.steps_sent() == ["one", "two"]
    assert lab.person("ada@example.com").next_send_at == START + 5 * DAY


def test_a_start_in_the_past_is_as_if_subscribed_then(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
    lab.subscribe("ada@example.com", started_at=START - 2 * DAY)
    lab.tick()
    assert lab.steps_sent() == ["one"]
    assert lab.person("ada@example.com").next_send_at == START + DAY


def test_a_start_in_the_future_sends_nothing_before(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com", started_at=START + DAY)
    assert lab.tick().next_due_at == START + DAY
    assert lab.steps_sent() == []


def test_a_stale_step_is_skipped_and_the_next_counts_from_now(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d"), stale_after=timedelta(days=3)))
    lab.subscribe("ada@example.com")
    lab.move("4d")
    assert lab.tick().counts == {"skipped": 1}
    assert lab.person("ada@example.com").next_send_at == START + 5 * DAY
    assert [fact.reason for fact in lab.facts] == ["stale"]


def test_when_skips_and_stop_when_cancels(lab: Lab) -> None:
    steps = (a_step("one", when="plan == 'pro'"), a_step("two"), a_step("three", "1d"))
    lab.apply(a_sequence(*steps, stop_when="bought"))
    lab.subscribe("ada@example.com", variables={"plan": "free"})
    lab.tick()
    assert lab.steps_sent() == ["two"]
    people.set_variables(lab.store, lab.settings, "welcome", "ada@example.com", {"bought": True}, lab.now)
    lab.move("1d")
    assert lab.tick().counts == {"cancelled": 1}
    assert lab.person("ada@example.com").cancel_reason is CancelReason.STOPPED


def test_outside_the_window_a_delivery_waits_for_the_opening(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    window = SendWindow(opens=time(10), closes=time(12))
    lab.apply(a_sequence(a_step("one"), send_window=window))
    assert lab.tick().next_due_at == START + HOUR
    lab.move("3h")  # 12:00: the worker slept through the window
    assert lab.tick().counts == {"deferred": 1}
    assert lab.person("ada@example.com").next_send_at == START + 25 * HOUR
    lab.move("22h")
    assert lab.tick().counts == {"sent": 1, "completed": 1}


def test_a_template_that_fails_for_one_stops_nobody_else(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", text="{{ 1 / zero }}")))
    lab.subscribe("ada@example.com", variables={"zero": 0})
    lab.subscribe("bob@example.com", variables={"zero": 1})
    assert lab.tick().counts == {"failed": 1, "sent": 1, "completed": 1}
    assert lab.person("ada@example.com").status is SubscriptionStatus.FAILED
    failed = lab.store.deliveries.failed(10)
    assert [(one.reason, one.attempts) for one in failed] == [("render", 0)]


@pytest.mark.parametrize(("kind", "reason"), [(OutcomeKind.REFUSED, "refused"), (OutcomeKind.BAD_ADDRESS, "address")])
def test_a_refused_message_fails_the_step_and_a_retry_sends_it(lab: Lab, kind: OutcomeKind, reason: str) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
    lab.subscribe("ada@example.com")
    lab.transport.script = say(kind, 554, "5.7.1 no")
    assert lab.tick().counts == {"failed": 1}
    assert lab.tick().counts == {}
    assert lab.store.deliveries.failed(1)[0].reason == reason
    assert lab.store.suppressions.list() == []
    lab.transport.script = accept
    assert people.retry(lab.store, lab.settings, lab.now) == [1]
    assert lab.tick().counts == {"sent": 1}
    assert lab.steps_sent() == ["one"]
    assert lab.person("ada@example.com").next_step == "two"


def test_a_missing_mailbox_is_suppressed_and_every_sequence_of_the_person_ends(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")), a_sequence(a_step("far", "9d"), id="other"))
    lab.subscribe("ada@example.com")
    lab.subscribe("ada@example.com", "other")
    lab.transport.script = say(OutcomeKind.NO_MAILBOX, 550, "5.1.1 unknown user")
    lab.tick()
    for slug in ("welcome", "other"):
        assert lab.person("ada@example.com", slug).cancel_reason is CancelReason.BOUNCED
    entry = lab.store.suppressions.get("ADA@example.com")
    assert entry is not None
    assert entry.reason is SuppressionReason.BOUNCE


def test_a_temporary_refusal_is_tried_again_with_growing_waits_until_the_attempts_run_out(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    lab.transport.script = say(OutcomeKind.DEFERRED, 451, "4.3.0 later")
    waits = []
    for _ in range(7):
        assert lab.tick().counts == {"deferred": 1}
        assert lab.tick().counts == {}
        due = lab.person("ada@example.com").next_send_at
        assert due is not None
        waits.append((due - lab.now).total_seconds() / 60)
        lab.now = due
    # 1, 3, 9, 27, 81, 243, then 360 minutes at the most; each plus or minus a fifth
    for wait, wanted in zip(waits, [1, 3, 9, 27, 81, 243, 360], strict=True):
        assert 0.8 * wanted <= wait <= 1.2 * wanted
    assert lab.tick().counts == {"failed": 1}
    assert lab.person("ada@example.com").retry_count == 8
    assert lab.store.deliveries.failed(1)[0].reason == "attempts"


def test_an_unknown_delivery_waits_for_a_person(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
    lab.subscribe("ada@example.com")
    lab.transport.script = say(OutcomeKind.UNKNOWN, None, "lost after the dot")
    assert lab.tick().counts == {"unknown": 1}
    lab.transport.script = accept
    lab.move("3d")
    assert lab.tick().counts == {}
    assert lab.person("ada@example.com").hold == "unknown"
    (unknown,) = lab.store.deliveries.unknown()
    people.resolve(lab.store, lab.settings, unknown.id, sent=True, now=lab.now)
    # the next step counts from when the message was handed over, not from when somebody looked
    assert lab.person("ada@example.com").next_send_at == START + DAY
    lab.tick()
    assert lab.steps_sent() == ["two"]


def test_an_unknown_delivery_that_was_not_sent_goes_out_now(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    lab.transport.script = say(OutcomeKind.UNKNOWN)
    lab.tick()
    lab.transport.script = accept
    people.resolve(lab.store, lab.settings, lab.store.deliveries.unknown()[0].id, sent=False, now=lab.now)
    lab.tick()
    assert lab.steps_sent() == ["one"]


@pytest.mark.parametrize(
    ("rule", "then"), [(OnUnknown.ASSUME_SENT, ["two"]), (OnUnknown.RESEND, ["one"]), (OnUnknown.HOLD, [])]
)
def test_what_becomes_of_an_unknown_delivery_is_the_projects_rule(
    tmp_path: Path, rule: OnUnknown, then: list[str]
) -> None:
    with open_lab(tmp_path, on_unknown=rule) as lab:
        lab.apply(a_sequence(a_step("one"), a_step("two", "1h")))
        lab.subscribe("ada@example.com")
        lab.transport.script = lambda envelope, content: (
            Outcome(OutcomeKind.UNKNOWN) if not lab.facts else accept(envelope, content)
        )
        lab.tick(limit=1)
        lab.transport.script = accept
        lab.move("1h")
        lab.tick(limit=1)
        assert lab.steps_sent() == then


def test_what_is_sent_again_waits_like_any_other_try_and_is_held_after_the_last(tmp_path: Path) -> None:
    with open_lab(tmp_path, on_unknown=OnUnknown.RESEND, retry=RetryRule(attempts=2)) as lab:
        lab.apply(a_sequence(a_step("one")))
        lab.subscribe("ada@example.com")
        lab.transport.script = say(OutcomeKind.UNKNOWN)
        assert lab.tick().counts == {"unknown": 1}
        assert lab.tick().counts == {}
        lab.move("2m")
        assert lab.tick().counts == {"unknown": 1}
        lab.move("3d")
        assert lab.tick().counts == {}
        assert lab.person("ada@example.com").hold == "unknown"


def test_a_transport_that_is_down_blames_no_message_and_frees_the_claims(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    for name in ("ada", "bob", "eve"):
        lab.subscribe(f"{name}@example.com")
    lab.transport.script = say(OutcomeKind.DOWN, None, "connection refused", in_hand=False)
    report = lab.tick()
    assert report.trouble is not None
    assert report.remaining_due == 3
    assert lab.person("ada@example.com").retry_count == 0
    lab.transport.script = accept
    assert lab.tick().counts == {"sent": 3, "completed": 3}


def test_a_message_that_kills_three_connections_while_others_pass_is_set_aside(lab: Lab) -> None:
    lab.transport.connections = 1
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("poison@example.com")
    quiet = 0
    for number in range(9):
        lab.move("1m")
        lab.subscribe(f"good{number}@example.com")

        def script(envelope: Envelope, content: bytes) -> Outcome:
            if envelope.recipient.startswith("poison"):
                return Outcome(OutcomeKind.DOWN, 421, None, "4.3.2 go away")
            return accept(envelope, content)

        lab.transport.script = script
        quiet += lab.tick().trouble is None
    assert quiet >= 2
    assert len(lab.transport.sent) >= 8
    assert lab.person("poison@example.com").retry_count >= 1
    assert "poison" in [fact.reason for fact in lab.facts]


def test_who_was_in_hand_when_the_transport_went_down_is_not_passed_over_for_ever(tmp_path: Path) -> None:
    with open_lab(tmp_path, limits=Limits(per_day=1)) as lab:
        lab.apply(a_sequence(a_step("one")))
        lab.subscribe("ada@example.com")
        lab.transport.script = say(OutcomeKind.DOWN, 421, "4.3.2 closing")
        lab.tick()
        lab.transport.script = accept
        for number in range(5):  # there is always somebody who is due, and never room for two
            lab.move("1d")
            lab.subscribe(f"p{number}@example.com")
            lab.tick()
        assert [envelope.recipient for envelope, _ in lab.transport.sent][:2] == ["ada@example.com", "p0@example.com"]


def test_a_message_that_kills_every_connection_lets_the_others_go_also_when_it_is_long_overdue(lab: Lab) -> None:
    lab.transport.connections = 1
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("poison@example.com")
    lab.move("1m")
    lab.crowd(5)

    def script(envelope: Envelope, content: bytes) -> Outcome:
        poison = envelope.recipient.startswith("poison")
        return Outcome(OutcomeKind.DOWN, 421, None, "4.3.2 go away") if poison else accept(envelope, content)

    lab.transport.script = script
    for _ in range(4):
        lab.move("1d")
        lab.tick()
    assert len(lab.transport.sent) == 5


def test_nobody_is_suppressed_when_the_server_refuses_nearly_everybody(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")), a_sequence(a_step("far", "9d"), id="other"))
    for slug in ("welcome", "other"):
        lab.crowd(40, slug)
    lab.transport.script = say(OutcomeKind.NO_MAILBOX, 550, "5.1.1 unknown user")
    report = lab.tick()
    assert report.trouble is not None
    assert report.trouble.kind is OutcomeKind.OUR_FAULT
    assert report.counts["failed"] <= 15
    assert lab.store.suppressions.list() == []
    lab.transport.script = accept
    lab.tick()
    assert len(lab.transport.sent) == 40
    lab.move("9d")
    lab.tick()
    assert len(lab.transport.sent) == 80


@pytest.mark.parametrize("what", ["cancel", "pause", "suppress", "draft", "edit"])
def test_nothing_is_sent_after_a_confirmed_no_even_between_body_and_dot(lab: Lab, what: str) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
    lab.subscribe("ada@example.com")

    def change_of_mind() -> None:
        with lab.store.connected():
            if what == "cancel":
                people.cancel(lab.store, "welcome", "ada@example.com", lab.now)
            elif what == "pause":
                people.pause(lab.store, "welcome", "ada@example.com", lab.now)
            elif what == "suppress":
                suppress(lab.store, "ada@example.com", SuppressionReason.UNSUBSCRIBED, lab.now)
            elif what == "draft":
                lab.store.sequences.set_status(1, SequenceStatus.DRAFT, lab.now)
            else:
                lab.apply(a_sequence(a_step("two", "1d")))

    lab.transport.before_mark = change_of_mind
    lab.tick()
    assert lab.transport.sent == []
    assert lab.store.database.value("SELECT COUNT(*) FROM subscription WHERE owner IS NOT NULL") == 0


def test_a_dead_workers_claims_come_back_and_what_it_marked_is_unknown(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    lab.subscribe("bob@example.com")
    dead = lab.store.claims.register("elsewhere", 1, "1", lab.now, lab.now)  # its lease has run out
    claims = lab.store.claims.claim(dead, lab.now, 10)
    assert lab.store.claims.mark(dead, [Marked(claims[0], 1, b"x")], lab.now)
    report = lab.tick()
    assert report.swept == 1
    assert [unknown.email for unknown in lab.store.deliveries.unknown()] == ["ada@example.com"]
    assert [envelope.recipient for envelope, _ in lab.transport.sent] == ["bob@example.com"]


def test_a_worker_that_slept_through_its_lease_can_not_mark(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")

    def others_take_over() -> None:
        lab.transport.before_mark = lambda: None
        with lab.store.connected(), lab.store.transaction():
            for worker in lab.store.claims.workers():
                lab.store.claims.free_all(worker.id)

    lab.transport.before_mark = others_take_over
    lab.tick()
    # given up once by the fence, then claimed anew and sent once
    assert len(lab.transport.sent) == 1


def test_one_sequence_with_a_crowd_does_not_starve_another(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")), a_sequence(a_step("one"), id="small"))
    lab.crowd(300)
    lab.move("1h")
    lab.subscribe("late@example.com", "small")
    lab.tick(limit=10)
    assert "late@example.com" in [envelope.recipient for envelope, _ in lab.transport.sent]
