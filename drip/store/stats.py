"""The counts behind the funnels. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from drip.core.subscription import CancelReason, SubscriptionStatus
from drip.engine.records import StoredSequence
from drip.engine.stats import Funnel, funnel
from drip.store.counting import deliveries_by_state, people_by_status, waiting_by_step
from drip.store.database import Database
from drip.store.rows import given

# Ended subscriptions that were started again count too: theirs are people who got through, and messages that were sent.
# They stand in no index, so this is a look at every subscription, but it stops only at those that ended.
_ENDED = """
    SELECT sequence_id, status, cancel_reason, last_step_id, replaced, COUNT(*) FROM subscription
    WHERE (status = 'cancelled' OR replaced = 1){of_one} GROUP BY 1, 2, 3, 4, 5
"""


class Stats:
    """How far people got."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def funnels(self, sequences: Sequence[StoredSequence]) -> list[Funnel]:
        """The funnel of each of these sequences."""
        only = sequences[0].id if len(sequences) == 1 else None
        people = people_by_status(self._database, only)
        deliveries = deliveries_by_state(self._database, only)
        waiting = waiting_by_step(self._database, only)
        left = self._add_ended(people, only)
        nobody = dict.fromkeys(SubscriptionStatus, 0)
        return [
            funnel(stored, people.get(stored.id, nobody), deliveries, waiting, left.get(stored.id, {}))
            for stored in sequences
        ]

    def _add_ended(
        self, people: Mapping[int, dict[SubscriptionStatus, int]], only: int | None
    ) -> dict[int, Counter[tuple[int | None, CancelReason]]]:
        """Add those who were started again to the people; who left, and after which step, by sequence."""
        found: dict[int, Counter[tuple[int | None, CancelReason]]] = {}
        of_one, params = given(("sequence_id = ?", only))
        for sequence_id, status, reason, step_id, replaced, count in self._database.rows(
            _ENDED.format(of_one=of_one), *params
        ):
            if replaced:
                people[sequence_id][SubscriptionStatus(status)] += count
            if reason is not None:
                found.setdefault(sequence_id, Counter())[step_id, CancelReason(reason)] += count
        return found
