"""The funnel of a sequence, and the rates that mailbox providers judge a sender by. Pure arithmetic over counts.

The thresholds are Gmail's and Yahoo's advice to senders, with room: they act at 0.3 % complaints, we warn at 0.1 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.engine.records import StoredSequence

BOUNCES, COMPLAINTS = 0.02, 0.001
"""Shares above which `stats` warns."""


@dataclass(frozen=True, slots=True)
class StepCount:
    """What became of one step."""

    step: str
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    waiting: int = 0
    """People whose next step it is."""
    left: int = 0
    """People who were cancelled after it, and before another."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """How far the people of one sequence got, all who ever were in it."""

    sequence: str
    people: Mapping[SubscriptionStatus, int]
    steps: tuple[StepCount, ...]
    """In order; removed ones that were sent come last."""
    left_before: int
    """People who were cancelled before the first step."""
    bounced: int
    complained: int
    opted_out: int

    @property
    def subscribed(self) -> int:
        """How many there ever were."""
        return sum(self.people.values())

    @property
    def sent(self) -> int:
        """How many messages were accepted."""
        return sum(step.sent for step in self.steps)

    @property
    def bounce_rate(self) -> float:
        """Of what was handed over; 0 where nothing was: then people bounced for what another sequence sent them.

        Who bounced was refused at once, and failed, or came back later, and was sent.
        """
        refused = min(self.bounced, sum(step.failed for step in self.steps))
        return min(1.0, _share(self.bounced, self.sent + refused))

    @property
    def complaint_rate(self) -> float:
        """Of what was accepted."""
        return _share(self.complained, self.sent)

    @property
    def opt_out_rate(self) -> float:
        """Of what was accepted."""
        return _share(self.opted_out, self.sent)

    @property
    def warnings(self) -> list[str]:
        """What endangers the delivery of everything else."""
        found = []
        if self.bounce_rate > BOUNCES:
            hint = "look at where these addresses come from"
            found.append(f"{self.bounce_rate:.1%} bounces, more than {BOUNCES:.0%}: {hint}")
        if self.complaint_rate > COMPLAINTS:
            hint = "ask only those who want it, and make leaving easy"
            found.append(f"{self.complaint_rate:.2%} complaints, more than {COMPLAINTS:.1%}: {hint}")
        return found


def funnel(
    stored: StoredSequence,
    people: Mapping[SubscriptionStatus, int],
    deliveries: Mapping[int, Mapping[str, int]],
    waiting: Mapping[int, int],
    left: Mapping[tuple[int | None, CancelReason], int],
) -> Funnel:
    """Put the counts of a sequence together.

    Args:
        people: by status, those of ended subscriptions that were started again included.
        deliveries: by the step's row, then by state.
        waiting: by the row of the next step.
        left: cancelled people, by the row of the last step they had (None before the first) and the reason.
    """
    live = [stored.ids[step.key] for step in stored.sequence.steps]
    gone = [step.id for step in stored.steps if step.id not in live and deliveries.get(step.id, {}).get("sent")]
    after: dict[int | None, int] = {}
    reasons = dict.fromkeys(CancelReason, 0)
    for (step_id, reason), count in left.items():
        after[step_id] = after.get(step_id, 0) + count
        reasons[reason] += count
    return Funnel(
        sequence=stored.slug,
        people=people,
        steps=tuple(
            _step(stored.keys[row], deliveries.get(row, {}), waiting.get(row, 0), after.get(row, 0))
            for row in (*live, *gone)
        ),
        left_before=after.get(None, 0),
        bounced=reasons[CancelReason.BOUNCED],
        complained=reasons[CancelReason.COMPLAINED],
        opted_out=reasons[CancelReason.UNSUBSCRIBED],
    )


def _step(key: str, states: Mapping[str, int], waiting: int, left: int) -> StepCount:
    counts = {name: states.get(name, 0) for name in ("sent", "failed", "skipped")}
    return StepCount(key, **counts, waiting=waiting, left=left)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
