"""A delivery whose fate was unknown is settled by a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from drip.core.delivery import OutcomeKind
from drip.core.sequence import SequenceStatus
from drip.core.subscription import SuppressionReason
from drip.engine import people
from drip.engine.suppress import suppress
from drip.errors import NotFound, Refused
from tests.engine.ada import ADA, S, answer_once, cancel, pause
from tests.lab import DAY, START, Lab, a_sequence, a_step


def unknown(lab: Lab, *more: Any) -> int:
    """One person whose first delivery is unknown; its id."""
    answer_once(lab, OutcomeKind.UNKNOWN, *more)
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
