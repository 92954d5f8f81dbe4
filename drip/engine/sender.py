"""One thread that sends: policy, render, hand over, mark, dot. What comes of it goes to the writer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from drip.core.delivery import Outcome, OutcomeKind, Reason
from drip.core.policy import Decision, Fail, Send, decide, merged_variables
from drip.core.schedule import subscriber_zone
from drip.core.sequence import Step
from drip.core.settings import Settings
from drip.engine.catalogue import Catalogue
from drip.engine.compose import Composed, Composer
from drip.engine.ledger import Result
from drip.engine.points import Point, reached
from drip.engine.ports import Session
from drip.engine.records import Claim, Marked, StoredSequence
from drip.errors import RenderFailed


class Sender:
    """Takes claims through policy and transport, one at a time."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        composer: Composer,
        session: Session,
        mark: Callable[[Marked], bool],
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._composer = composer
        self._session = session
        self._mark = mark
        self._clock = clock

    def handle(self, claim: Claim) -> Result:
        """Do what is to be done with one claim; never raises for what a person's data or a server does."""
        stored = self._catalogue.get(claim.sequence_id)
        now = self._clock()
        decision = judge(stored, claim, self._settings, now)
        if not isinstance(decision, Send):
            return Result(claim, decision, stored.revision)
        step = _step(stored, claim)
        variables = merged_variables(stored.sequence, claim.contact_variables, claim.variables)
        try:
            composed = self._composer.compose(stored, step, claim, variables, now)
        except RenderFailed as error:
            return Result(claim, Fail(Reason.RENDER, error.message), stored.revision)
        reached(Point.COMPOSED)
        return self._hand_over(stored, claim, composed)

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def _hand_over(self, stored: StoredSequence, claim: Claim, composed: Composed) -> Result:
        marked = False

        def mark() -> bool:
            nonlocal marked
            marked = self._mark(Marked(claim, stored.revision, composed.digest))
            return marked

        outcome = self._session.send(composed.envelope, composed.content, mark)
        return Result(claim, outcome, stored.revision, marked, at=self._clock(), message_id=composed.message_id)


def judge(stored: StoredSequence, claim: Claim, settings: Settings, now: datetime) -> Decision | Outcome:
    """The policy for one claim: `Send`, or what to do instead.

    A step that was removed after it was claimed is given back.
    """
    step = stored.sequence.step(stored.keys.get(claim.step_id, ""))
    if step is None:
        return Outcome(OutcomeKind.NOT_MARKED, text="the step was removed")
    variables = merged_variables(stored.sequence, claim.contact_variables, claim.variables)
    return decide(
        step,
        stored.sequence,
        variables={**variables, "email": claim.email, "name": claim.name or variables.get("name", "")},
        suppressed=claim.suppressed,
        due_at=claim.due_at,
        now=now,
        local=subscriber_zone(variables.get("timezone"), stored.sequence, settings.timezone),
        default_stale_after=settings.stale_after,
    )


def _step(stored: StoredSequence, claim: Claim) -> Step:
    step = stored.sequence.step(stored.keys[claim.step_id])
    assert step is not None  # judge has looked
    return step
