"""From a claim to a letter: policy, then rendering. Nothing is sent and nothing recorded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from drip.core.delivery import Outcome, OutcomeKind, Reason
from drip.core.policy import Decision, Fail, Send, decide, merged_variables
from drip.core.schedule import subscriber_zone
from drip.core.sequence import Step
from drip.core.settings import Settings
from drip.engine.catalogue import Catalogue
from drip.engine.points import Point, reached
from drip.engine.ports import Envelope, Session
from drip.engine.records import Claim, Marked, StoredSequence
from drip.engine.results import Result
from drip.errors import RenderFailed

if TYPE_CHECKING:
    from drip.engine.compose import Composed, Composer


@dataclass(slots=True, eq=False)
class Letter:
    """A claim that has become a message; fulfils `engine.ports.Parcel`."""

    claim: Claim
    revision: int
    """Of the sequence it was rendered from."""
    composed: Composed
    made_at: float = 0.0
    """By the monotonic clock, in seconds."""
    marked: bool = False
    """Whether the delivery is marked as sending."""
    lost: bool = False
    """Whether the mark could not be tried: nobody knows what became of the claim."""

    @property
    def envelope(self) -> Envelope:
        """What the server is told."""
        return self.composed.envelope

    @property
    def content(self) -> bytes:
        """The message."""
        return self.composed.content

    @property
    def mark(self) -> Marked:
        """What the mark writes."""
        return Marked(self.claim, self.revision, self.composed.digest)


class Sender:
    """Takes claims through policy and rendering, and says what came of them."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, composer: Composer, clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._composer = composer
        self._clock = clock

    def make(self, claim: Claim) -> Letter | Result:
        """The letter, or why there is none; never raises for what a person's data does."""
        stored = self._catalogue.get(claim.sequence_id)
        now = self._clock()
        variables = variables_of(stored, claim)
        decision = _judge(stored, claim, variables, self._settings, now)
        if not isinstance(decision, Send):
            return Result(claim, decision, stored.revision)
        try:
            composed = self._composer.compose(stored, _step(stored, claim), claim, variables, now)
        except RenderFailed as error:
            return Result(claim, Fail(Reason.RENDER, error.message), stored.revision)
        reached(Point.COMPOSED)
        return Letter(claim, stored.revision, composed)

    def result(self, letter: Letter, outcome: Outcome) -> Result:
        """What came of a letter, now."""
        return Result(
            *(letter.claim, outcome, letter.revision, letter.marked),
            at=self._clock(),
            message_id=letter.composed.message_id,
        )

    def send(self, claim: Claim, session: Session, mark: Callable[[Marked], bool]) -> Result:
        """Make the letter and hand it over at once."""
        made = self.make(claim)
        if isinstance(made, Result):
            return made

        def marked() -> bool:
            made.marked = mark(made.mark)
            return made.marked

        return self.result(made, session.send(made.envelope, made.content, marked))


def judge(stored: StoredSequence, claim: Claim, settings: Settings, now: datetime) -> Decision | Outcome:
    """The policy for one claim: `Send`, or what to do instead.

    A step that was removed after it was claimed is given back.
    """
    return _judge(stored, claim, variables_of(stored, claim), settings, now)


def variables_of(stored: StoredSequence, claim: Claim) -> dict[str, Any]:
    """What templates and conditions see of a person."""
    return merged_variables(stored.sequence, claim.contact_variables, claim.variables)


def _judge(
    stored: StoredSequence, claim: Claim, variables: Mapping[str, Any], settings: Settings, now: datetime
) -> Decision | Outcome:
    step = stored.sequence.step(stored.keys.get(claim.step_id, ""))
    if step is None:
        return Outcome(OutcomeKind.NOT_MARKED, text="the step was removed")
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
