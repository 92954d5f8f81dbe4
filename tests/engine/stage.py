"""Somebody in every state, and the edits that move them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.sequence import DelayFrom, SendWindow
from drip.core.sequence import Sequence as EmailSequence
from drip.core.subscription import SubscriptionStatus
from drip.engine import people
from drip.engine.ports import Envelope
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, accept

S = SubscriptionStatus


ONE, TWO, THREE = a_step("one"), a_step("two", "2d"), a_step("three", "3d")


NOW = START + 7 * DAY


RETRY = "retry"
"""Stands for the time that a temporary refusal was put off to."""


ANSWERS = {"failed": OutcomeKind.REFUSED, "unknown": OutcomeKind.UNKNOWN, "deferred": OutcomeKind.DEFERRED}


def cast(lab: Lab) -> None:
    """Somebody in every state, at `NOW`: see `PLACES`."""

    def script(envelope: Envelope, content: bytes) -> Outcome:
        name = envelope.recipient.partition("@")[0]
        if b"Subject of two" in content and name in ANSWERS:
            return Outcome(ANSWERS[name], 450, None, "no")
        return accept(envelope, content)

    def add(*names: str, started_at: datetime | None = None) -> None:
        for name in names:
            lab.subscribe(f"{name}@example.com", started_at=started_at)
        lab.tick()

    lab.transport.script = script
    lab.apply(a_sequence(ONE, TWO, THREE))
    add("completed")
    for length in ("2d", "3d"):
        lab.move(length)
        lab.tick()
    add("past", "failed", "unknown", "deferred")
    lab.move("2d")
    lab.tick()
    add("waiting", "paused", "cancelled")
    add("before", started_at=lab.now + 10 * DAY)
    people.pause(lab.store, "welcome", "paused@example.com", lab.now)
    people.cancel(lab.store, "welcome", "cancelled@example.com", lab.now)
    assert lab.now == NOW


Place = tuple[SubscriptionStatus, str | None, datetime | str | None]


PLACES: dict[str, Place] = {
    "before": (S.ACTIVE, "one", NOW + 10 * DAY),
    "waiting": (S.ACTIVE, "two", NOW + 2 * DAY),  # had one at NOW
    "past": (S.ACTIVE, "three", NOW + 3 * DAY),  # had one two days ago, two at NOW
    "paused": (S.PAUSED, "two", NOW + 2 * DAY),
    "failed": (S.FAILED, "two", None),  # had one two days ago, as the next two
    "unknown": (S.ACTIVE, "two", None),
    "deferred": (S.ACTIVE, "two", RETRY),
    "completed": (S.COMPLETED, None, None),
    "cancelled": (S.CANCELLED, None, None),
}


WEEKDAYS_AT_NOON = SendWindow(frozenset(range(5)), time(12), time(13))


GONE: Place = (S.COMPLETED, None, None)


HELD: Place = (S.ACTIVE, None, None)


# an edit -> the sequence as it is then, and who is elsewhere than before; all others stay where they are
EDITS: dict[str, tuple[EmailSequence, dict[str, Place]]] = {
    "nothing": (a_sequence(ONE, TWO, THREE), {}),
    "content": (a_sequence(ONE, replace(TWO, text="New words."), THREE), {}),
    "a name": (a_sequence(ONE, TWO, THREE, name="Another"), {}),
    "a longer delay": (
        a_sequence(ONE, replace(TWO, delay=5 * DAY), THREE),
        {"waiting": (S.ACTIVE, "two", NOW + 5 * DAY), "paused": (S.PAUSED, "two", NOW + 5 * DAY)},
    ),
    "a shorter delay": (
        a_sequence(ONE, replace(TWO, delay=timedelta(0)), THREE),
        {"waiting": (S.ACTIVE, "two", NOW), "paused": (S.PAUSED, "two", NOW)},
    ),
    "a clock time": (
        a_sequence(ONE, replace(TWO, at=time(10)), THREE),
        {"waiting": (S.ACTIVE, "two", NOW + 2 * DAY + HOUR), "paused": (S.PAUSED, "two", NOW + 2 * DAY + HOUR)},
    ),
    "a window for all": (
        a_sequence(ONE, TWO, THREE, send_window=WEEKDAYS_AT_NOON),
        {
            # NOW is a Monday, 09:00
            "before": (S.ACTIVE, "one", NOW + 10 * DAY + 3 * HOUR),
            "waiting": (S.ACTIVE, "two", NOW + 2 * DAY + 3 * HOUR),
            "paused": (S.PAUSED, "two", NOW + 2 * DAY + 3 * HOUR),
            "past": (S.ACTIVE, "three", NOW + 3 * DAY + 3 * HOUR),
        },
    ),
    "delays from the start": (
        a_sequence(ONE, TWO, THREE, delay_from=DelayFrom.START),
        {"past": (S.ACTIVE, "three", NOW + DAY)},
    ),
    "a step added first": (
        a_sequence(a_step("zero"), ONE, TWO, THREE),
        {"before": (S.ACTIVE, "zero", NOW + 10 * DAY)},
    ),
    "a step added between": (
        a_sequence(ONE, a_step("new", "1d"), TWO, THREE),
        {
            "waiting": (S.ACTIVE, "new", NOW + DAY),
            "paused": (S.PAUSED, "new", NOW + DAY),
            "deferred": (S.ACTIVE, "new", NOW - DAY),
        },
    ),
    "a step added last": (a_sequence(ONE, TWO, THREE, a_step("four")), {}),
    "a step removed": (
        a_sequence(ONE, THREE),
        {
            "waiting": (S.ACTIVE, "three", NOW + 3 * DAY),
            "paused": (S.PAUSED, "three", NOW + 3 * DAY),
            "failed": (S.FAILED, "three", NOW + DAY),
            "deferred": (S.ACTIVE, "three", NOW + DAY),
        },
    ),
    "the last step removed": (a_sequence(ONE, TWO), {"past": GONE}),
    "all further steps removed": (
        a_sequence(ONE),
        {"waiting": GONE, "paused": GONE, "past": GONE, "deferred": GONE, "failed": (S.FAILED, None, None)},
    ),
    "all steps removed": (
        a_sequence(),
        {
            **dict.fromkeys(["before", "waiting", "past", "deferred"], HELD),
            "paused": (S.PAUSED, None, None),
            "failed": (S.FAILED, None, None),
        },
    ),
    "steps reordered behind": (
        a_sequence(ONE, THREE, TWO),
        {
            "waiting": (S.ACTIVE, "three", NOW + 3 * DAY),
            "paused": (S.PAUSED, "three", NOW + 3 * DAY),
            "deferred": (S.ACTIVE, "three", NOW + DAY),
            "past": GONE,  # nothing comes after two, and three came before it
        },
    ),
    "steps reordered before": (
        a_sequence(TWO, ONE, THREE),
        {
            "before": (S.ACTIVE, "two", NOW + 12 * DAY),
            "waiting": (S.ACTIVE, "three", NOW + 3 * DAY),
            "paused": (S.PAUSED, "three", NOW + 3 * DAY),
            "deferred": (S.ACTIVE, "three", NOW + DAY),
        },
    ),
    "an id changed": (
        a_sequence(ONE, replace(TWO, key="deux"), THREE),
        {
            "waiting": (S.ACTIVE, "deux", NOW + 2 * DAY),
            "paused": (S.PAUSED, "deux", NOW + 2 * DAY),
            "failed": (S.FAILED, "deux", NOW),
            "deferred": (S.ACTIVE, "deux", NOW),
            # who had it under its old id is past it: the same words are not sent twice
        },
    ),
}


def places(lab: Lab) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for name in PLACES:
        person = lab.person(f"{name}@example.com")
        found[name] = (person.status, person.next_step, person.next_send_at)
    return found
