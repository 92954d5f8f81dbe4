"""What is done to Ada, in the sequence `welcome`."""

from __future__ import annotations

from typing import Any

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.subscription import SubscriptionStatus
from drip.engine import people
from tests.lab import Lab, a_sequence, a_step, accept

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


def answer_once(lab: Lab, kind: OutcomeKind, *more: Any) -> None:
    """The server says that of Ada's first step, `one`, and takes all that comes later; `more` are further steps."""
    lab.apply(a_sequence(a_step("one"), *more))
    lab.subscribe(ADA)
    say(lab, kind)
    lab.tick()
    lab.transport.script = accept
