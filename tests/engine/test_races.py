"""What happens to a person while their message is on its way, whatever the server then says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.sequence import Resubscribe, SequenceStatus
from drip.core.settings import OnUnknown
from drip.core.subscription import CancelReason, SubscriptionStatus, SuppressionReason
from drip.engine import people
from drip.engine.records import Claim, Marked
from drip.engine.results import Fact, Result
from drip.engine.suppress import suppress
from drip.engine.worker import Worker
from drip.store.invariants import violations
from tests.engine.late import once_marked
from tests.lab import DAY, START, Lab, a_sequence, a_step, accept, open_lab

ADA = "ada@example.com"
ONE, TWO = a_step("one"), a_step("two", "1d")


def pause(lab: Lab) -> None:
    people.pause(lab.store, "welcome", ADA, lab.now)


def cancel(lab: Lab) -> None:
    people.cancel(lab.store, "welcome", ADA, lab.now)


def cancel_and_subscribe_again(lab: Lab) -> None:
    cancel(lab)
    lab.subscribe(ADA, started_at=lab.now + 30 * DAY)


def opt_out(lab: Lab) -> None:
    suppress(lab.store, ADA, SuppressionReason.UNSUBSCRIBED, lab.now)


def remove_step(lab: Lab) -> None:
    lab.apply(a_sequence(TWO, resubscribe=Resubscribe.ALWAYS))


def remove_all_steps(lab: Lab) -> None:
    lab.apply(a_sequence(resubscribe=Resubscribe.ALWAYS))


def reorder(lab: Lab) -> None:
    lab.apply(a_sequence(TWO, ONE, resubscribe=Resubscribe.ALWAYS))


def change_delay(lab: Lab) -> None:
    lab.apply(a_sequence(replace(ONE, delay=DAY), TWO, resubscribe=Resubscribe.ALWAYS))


def archive(lab: Lab) -> None:
    lab.store.sequences.set_status(1, SequenceStatus.ARCHIVED, lab.now)


def sweep(lab: Lab) -> None:
    """Another worker takes this one for dead."""
    lab.processes.all_gone = True
    transport, lab.transport = lab.transport, lab.transport.__class__()
    lab.tick(limit=0)
    lab.transport = transport
    lab.processes.all_gone = False


def claim_again(lab: Lab) -> None:
    """It is decided that it was not sent, and another worker claims the person, and ends before its mark."""
    sweep(lab)
    for unknown in lab.store.deliveries.unknown():
        people.resolve(lab.store, lab.settings, unknown.id, sent=False, now=lab.now)
    with lab.store.transaction():
        other = lab.store.claims.register("elsewhere", 1, "", lab.now, lab.store.awake() - DAY)
        lab.store.claims.claim(other, lab.now, 10)


EVENTS: list[Callable[[Lab], None]] = [
    pause,
    cancel,
    cancel_and_subscribe_again,
    opt_out,
    remove_step,
    remove_all_steps,
    reorder,
    change_delay,
    archive,
    sweep,
    claim_again,
]
ANSWERS = [
    Outcome(OutcomeKind.SENT, 250, "2.0.0", "Ok"),
    Outcome(OutcomeKind.DEFERRED, 451, "4.3.0", "later"),
    Outcome(OutcomeKind.REFUSED, 554, "5.6.0", "no"),
    Outcome(OutcomeKind.UNKNOWN, None, None, "lost after the dot"),
    Outcome(OutcomeKind.DOWN, 421, "4.3.2", "closing"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.kind.value)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("rule", OnUnknown)
def test_whatever_happens_in_the_middle_leaves_a_legal_state_and_sends_nothing_twice(
    tmp_path: Path, event: Callable[[Lab], None], answer: Outcome, rule: OnUnknown
) -> None:
    with open_lab(tmp_path, on_unknown=rule) as lab:
        lab.apply(a_sequence(ONE, TWO, resubscribe=Resubscribe.ALWAYS))
        lab.subscribe(ADA)
        transport = once_marked(lab, lambda: event(lab))
        transport.script = lambda envelope, content: answer
        lab.tick(limit=1)
        assert violations(lab.store.database) == []
        transport.script = accept
        for _ in range(12):  # every retry comes, nothing turns in circles
            lab.move("6h")
            lab.tick()
        assert violations(lab.store.database) == []
        doubles = {key for key in lab.steps_sent() if lab.steps_sent().count(key) > 1}
        assert doubles == set() or rule is OnUnknown.RESEND or event is cancel_and_subscribe_again


def test_a_message_that_was_on_its_way_counts_for_a_person_who_was_paused(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)
    once_marked(lab, lambda: pause(lab))
    lab.tick()
    person = lab.person(ADA)
    assert (person.status, person.current_step, person.next_step) == (SubscriptionStatus.PAUSED, 1, "two")
    lab.move("5h")
    people.resume(lab.store, lab.settings, "welcome", ADA, lab.now)
    # handled and paused at the same moment, five hours of the day's wait stood still
    assert lab.person(ADA).next_send_at == START + DAY + (lab.now - START)


def test_a_message_that_was_on_its_way_is_remembered_of_a_person_who_cancelled(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)
    once_marked(lab, lambda: cancel(lab))
    lab.tick()
    person = lab.person(ADA)
    assert (person.status, person.current_step, person.last_sent_at) == (SubscriptionStatus.CANCELLED, 1, START)
    assert "sequence.step.sent" in lab.events()
    assert "sequence.completed" not in lab.events()


def test_a_late_refusal_of_a_person_who_cancelled_leaves_nothing_to_be_tried_again(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)
    once_marked(lab, lambda: cancel(lab)).script = lambda envelope, content: ANSWERS[1]
    lab.tick()
    (delivery,) = lab.store.deliveries.of_subscription(lab.person(ADA).id)
    assert (delivery.state, delivery.reason) == ("failed", "temporary")


def test_a_late_answer_settles_what_a_sweep_made_unknown(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)
    once_marked(lab, lambda: sweep(lab))
    lab.tick()
    assert lab.store.deliveries.unknown() == []
    person = lab.person(ADA)
    assert (person.next_step, person.next_send_at, person.hold) == ("two", START + DAY, None)


def test_a_late_answer_beats_the_decision_that_it_was_not_sent(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)

    def give_up() -> None:
        sweep(lab)
        (unknown,) = lab.store.deliveries.unknown()
        people.resolve(lab.store, lab.settings, unknown.id, sent=False, now=lab.now)

    once_marked(lab, give_up)
    lab.tick()
    lab.tick()
    assert lab.steps_sent() == ["one"]
    assert lab.person(ADA).next_step == "two"


@pytest.mark.parametrize(
    ("answer", "status", "step"),
    [
        (ANSWERS[0], SubscriptionStatus.ACTIVE, "two"),
        (ANSWERS[1], SubscriptionStatus.ACTIVE, "one"),
        (ANSWERS[2], SubscriptionStatus.FAILED, "one"),
        (ANSWERS[3], SubscriptionStatus.ACTIVE, "one"),
        (ANSWERS[4], SubscriptionStatus.ACTIVE, "one"),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Outcome) else str(value),
)
def test_a_late_answer_that_says_what_became_of_it_also_beats_a_later_claim(
    lab: Lab, answer: Outcome, status: SubscriptionStatus, step: str
) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)
    once_marked(lab, lambda: claim_again(lab)).script = lambda envelope, content: answer
    lab.tick(limit=1)
    assert (lab.person(ADA).status, lab.person(ADA).next_step) == (status, step)
    assert violations(lab.store.database) == []


def claimed_anew(lab: Lab, worker: Worker, *, marked: bool) -> tuple[Claim, Claim]:
    """What a worker claimed before it was taken for dead, and what it claims of the same person once it is back."""
    (old,) = worker._claim(1)
    with lab.store.transaction():
        if marked:
            worker._ledger.mark([Marked(old, 1, b"")], lab.now)
        worker._ledger.take_back(worker._id, lab.now)
    (new,) = worker._claim(1)
    with lab.store.transaction():
        assert worker._ledger.mark([Marked(new, 1, b"")], lab.now) == [True]
    return old, new


def test_what_a_worker_gives_back_of_an_old_claim_leaves_its_new_claim_of_the_same_person_alone(lab: Lab) -> None:
    lab.apply(a_sequence(ONE))
    lab.subscribe(ADA)
    with lab.worker() as worker:
        old, new = claimed_anew(lab, worker, marked=False)
        with lab.store.transaction():
            worker._ledger.record([Result(old, Outcome(OutcomeKind.NOT_MARKED), 1)], lab.now)
        assert violations(lab.store.database) == []
        with lab.store.transaction():
            worker._ledger.release([old], lab.now)
        assert violations(lab.store.database) == []
        assert [sending.number for sending in lab.store.claims.sending_of(worker._id)] == [new.number]
    # the worker ended with it in hand, so somebody is to be asked what became of it
    assert [unknown.step for unknown in lab.store.deliveries.unknown()] == ["one"]


@pytest.mark.parametrize("backwards", [False, True])
def test_two_answers_of_one_person_that_are_written_together_are_told_once_each(
    tmp_path: Path, backwards: bool
) -> None:
    with open_lab(tmp_path, on_unknown=OnUnknown.ASSUME_SENT) as lab:
        lab.apply(a_sequence(ONE, a_step("two")))
        lab.subscribe(ADA)
        with lab.worker() as worker:
            claims = claimed_anew(lab, worker, marked=True)
            results = [Result(claim, ANSWERS[0], 1, marked=True) for claim in claims]
            with lab.store.transaction():
                facts = worker._ledger.record(results[::-1] if backwards else results, lab.now)
        assert sum(fact.completed for fact in facts) == 1
        assert lab.events().count("sequence.completed") == 1
        assert lab.events().count("sequence.step.sent") == 2
        assert lab.person(ADA).status is SubscriptionStatus.COMPLETED


def test_a_message_that_went_out_twice_as_somebody_decided_is_told_once(tmp_path: Path) -> None:
    with open_lab(tmp_path, on_unknown=OnUnknown.RESEND) as lab:
        lab.apply(a_sequence(ONE, TWO))
        lab.subscribe(ADA)
        with lab.worker() as worker:
            claims = claimed_anew(lab, worker, marked=True)
            with lab.store.transaction():
                worker._ledger.record([Result(claim, ANSWERS[0], 1, marked=True) for claim in claims], lab.now)
        assert violations(lab.store.database) == []
        assert lab.person(ADA).next_step == "two"


def test_a_late_word_that_the_fault_is_ours_counts_though_the_message_is_tried_anew(tmp_path: Path) -> None:
    with open_lab(tmp_path, on_unknown=OnUnknown.RESEND) as lab:
        lab.apply(a_sequence(ONE))
        lab.subscribe(ADA)
        with lab.worker() as worker:
            worker._ledger.begin(lab.now)
            old, _ = claimed_anew(lab, worker, marked=True)
            lab.crowd(3)
            refused = Outcome(OutcomeKind.NO_MAILBOX, 550, "5.1.1", "5.1.1 no such user")
            with lab.store.transaction():
                worker._ledger.record([Result(claim, refused, 1) for claim in worker._claim(3)], lab.now)
            assert len(lab.store.suppressions.list()) == 3
            ours = Outcome(OutcomeKind.OUR_FAULT, 550, "5.7.26", "5.7.26 your domain is at fault")
            with lab.store.transaction():
                worker._ledger.record([Result(old, ours, 1, marked=True)], lab.now)
        assert lab.store.suppressions.list() == []
        assert violations(lab.store.database) == []


def test_a_late_answer_of_one_who_went_on_moves_nobody_twice(tmp_path: Path) -> None:
    with open_lab(tmp_path, on_unknown=OnUnknown.ASSUME_SENT) as lab:
        lab.apply(a_sequence(ONE))
        lab.subscribe(ADA)
        once_marked(lab, lambda: sweep(lab))
        lab.tick()
        assert lab.person(ADA).status is SubscriptionStatus.COMPLETED
        assert lab.events().count("sequence.completed") == 1
        assert [delivery.state for delivery in lab.store.deliveries.of_subscription(1)] == ["sent"]


def test_a_late_refusal_of_one_who_went_on_is_kept_as_failed(tmp_path: Path) -> None:
    with open_lab(tmp_path, on_unknown=OnUnknown.ASSUME_SENT) as lab:
        lab.apply(a_sequence(ONE, TWO))
        lab.subscribe(ADA)
        once_marked(lab, lambda: sweep(lab)).script = lambda envelope, content: ANSWERS[1]
        lab.tick()
        assert [delivery.state for delivery in lab.store.deliveries.of_subscription(1)] == ["failed"]
        assert (lab.person(ADA).status, lab.person(ADA).next_step) == (SubscriptionStatus.ACTIVE, "two")


def test_an_old_subscriptions_message_says_nothing_of_the_new_one(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO, resubscribe=Resubscribe.ALWAYS))
    lab.subscribe(ADA)
    once_marked(lab, lambda: cancel_and_subscribe_again(lab))
    lab.tick()
    person = lab.person(ADA)
    assert (person.id, person.current_step, person.next_step) == (2, 0, "one")
    old = lab.store.overview.subscription(1)
    assert old is not None
    assert (old.current_step, old.cancel_reason) == (1, CancelReason.MANUAL)


def test_a_step_removed_while_its_message_is_refused_for_now_is_left_behind(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)
    once_marked(lab, lambda: lab.apply(a_sequence(TWO))).script = lambda envelope, content: ANSWERS[1]
    lab.tick()
    # counted from the same base: the start
    assert (lab.person(ADA).next_step, lab.person(ADA).next_send_at) == ("two", START + DAY)


def test_a_person_held_at_a_removed_step_goes_on_when_it_is_settled_as_not_sent(lab: Lab) -> None:
    lab.apply(a_sequence(ONE, TWO))
    lab.subscribe(ADA)
    lab.transport.script = lambda envelope, content: ANSWERS[3]
    lab.tick()
    lab.apply(a_sequence(TWO))
    (unknown,) = lab.store.deliveries.unknown()
    people.resolve(lab.store, lab.settings, unknown.id, sent=False, now=lab.now)
    assert (lab.person(ADA).next_step, lab.person(ADA).next_send_at) == ("two", START + DAY)


def test_a_sequence_emptied_in_the_middle_holds_its_people(lab: Lab) -> None:
    lab.apply(a_sequence(ONE))
    lab.subscribe(ADA)
    once_marked(lab, lambda: lab.apply(a_sequence()))
    lab.tick()
    assert lab.person(ADA).status is SubscriptionStatus.ACTIVE
    lab.apply(a_sequence(TWO))
    assert lab.person(ADA).next_step == "two"


def test_a_decision_on_steps_that_were_edited_meanwhile_is_not_recorded(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", when="False"), TWO))
    lab.subscribe(ADA)
    with lab.worker() as worker:
        claim = worker._claim(1)[0]
        lab.apply(a_sequence(a_step("one"), TWO))
        worker._hand_out([claim])
        worker._settle_down()
    # judged by the steps of its claim or of today, never skipped by those of yesterday
    assert "step.skipped" not in lab.events()
    lab.tick()
    assert lab.steps_sent() == ["one"]


def test_an_opt_out_is_not_undone_when_the_server_turns_out_to_have_refused_everybody(lab: Lab) -> None:
    lab.apply(a_sequence(ONE))
    for number in range(20):
        lab.subscribe(f"p{number}@example.com")
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.NO_MAILBOX, 550, "5.1.1", "no such user")
    lab.tick(limit=5)
    suppress(lab.store, "p0@example.com", SuppressionReason.UNSUBSCRIBED, lab.now)
    lab.tick()
    entry = lab.store.suppressions.get("p0@example.com")
    assert entry is not None
    assert entry.reason is SuppressionReason.UNSUBSCRIBED
    assert lab.person("p0@example.com").status is SubscriptionStatus.CANCELLED
    assert lab.person("p1@example.com").status is SubscriptionStatus.ACTIVE
    assert len(lab.store.suppressions.list()) == 1


def test_what_another_worker_finds_to_be_our_fault_suppresses_nobody_here_either(lab: Lab) -> None:
    lab.apply(a_sequence(ONE))
    lab.crowd(13)
    refused = Outcome(OutcomeKind.NO_MAILBOX, 550, "5.1.1", "5.1.1 no such user")
    with lab.worker() as worker, lab.worker() as beside:
        for one in (worker, beside):
            one._ledger.begin(lab.now)
        claims, claims_beside = worker._claim(10), beside._claim(2)

        def record(one: Worker, some: list[Claim]) -> list[Fact]:
            with lab.store.transaction():
                return one._ledger.record([Result(claim, refused, 1) for claim in some], lab.now)

        record(beside, claims_beside[:1])
        assert any(fact.breaker for fact in record(worker, claims))
        assert [fact.breaker for fact in record(beside, claims_beside[1:])] == [True]
        assert lab.store.suppressions.list() == []
        worker._ledger.begin(lab.now)  # a new pass may find things mended
        record(worker, worker._claim(1))
        assert len(lab.store.suppressions.list()) == 1
    assert violations(lab.store.database) == []


def test_those_put_back_by_the_breaker_are_where_they_were_also_failed_or_unknown(lab: Lab) -> None:
    lab.apply(a_sequence(ONE), *(a_sequence(ONE, TWO, id=name) for name in ("failed", "unknown", "paused")))
    email = "p0@example.com"
    for slug, kind in (("failed", OutcomeKind.REFUSED), ("unknown", OutcomeKind.UNKNOWN)):
        lab.subscribe(email, slug)
        lab.transport.script = lambda envelope, content, kind=kind: Outcome(kind, None, None, "no")  # type: ignore[misc]
        lab.tick()
    lab.subscribe(email, "paused")
    people.pause(lab.store, "paused", email, lab.now)
    for number in range(20):
        lab.subscribe(f"p{number}@example.com")
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.NO_MAILBOX, 550, "5.1.1", "no such user")
    lab.tick()
    assert lab.store.suppressions.list() == []
    assert lab.person(email, "failed").status is SubscriptionStatus.FAILED
    assert (lab.person(email, "unknown").hold, lab.person(email, "unknown").next_step) == ("unknown", "one")
    assert lab.person(email, "paused").status is SubscriptionStatus.PAUSED
    lab.transport.script = accept
    lab.tick()
    assert len(lab.transport.sent) == 20


@pytest.mark.parametrize(
    ("answer", "opens"),
    [("5.7.1 access denied", True), ("transaction failed", True), ("5.2.2 mailbox full", False)],
)
def test_a_server_that_refuses_everybody_by_policy_is_ours_to_mend_and_fails_nobody(
    lab: Lab, answer: str, opens: bool
) -> None:
    lab.apply(a_sequence(ONE))
    for number in range(30):
        lab.subscribe(f"p{number}@example.com")
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.REFUSED, 550, None, answer)
    report = lab.tick()
    assert (report.trouble is not None) is opens
    failed = [person for person in lab.store.overview.subscribers(limit=None) if person.status == "failed"]
    assert len(failed) == (0 if opens else 30)
    assert violations(lab.store.database) == []
    lab.transport.script = accept
    lab.tick()
    assert len(lab.transport.sent) == (30 if opens else 0)


@pytest.mark.parametrize(("kind", "code"), [(OutcomeKind.REFUSED, "5.7.1"), (OutcomeKind.NO_MAILBOX, "5.1.1")])
def test_who_was_paused_while_being_refused_is_paused_when_the_refusal_was_our_fault(
    lab: Lab, kind: OutcomeKind, code: str
) -> None:
    lab.apply(a_sequence(ONE))
    lab.subscribe(ADA)
    transport = once_marked(lab, lambda: pause(lab))
    transport.script = lambda envelope, content: Outcome(kind, 550, code, f"{code} no")
    lab.tick()
    for number in range(20):
        lab.subscribe(f"p{number}@example.com")
    lab.tick()
    assert lab.person(ADA).status is SubscriptionStatus.PAUSED
    transport.script = accept
    lab.tick()
    assert ADA not in [envelope.recipient for envelope, _ in transport.sent]
    people.resume(lab.store, lab.settings, "welcome", ADA, lab.now)
    lab.tick()
    assert ADA in [envelope.recipient for envelope, _ in transport.sent]
