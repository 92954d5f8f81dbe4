"""One message again: rendered from its revision and the variables of its moment, and held against its hash.

The database keeps no message: it keeps what each was made of, and 16 octets of what came out. Variables and names are
followed back through the log; where drip.yaml has changed since, the hash tells, and nothing is claimed of what was
sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from drip.core.policy import merged_variables
from drip.core.sequence import Definition
from drip.core.settings import Settings
from drip.core.tokens import Purpose, make_token, read_token
from drip.engine.records import Claim, Delivery, StoredSequence

if TYPE_CHECKING:
    from drip.render.message import Message


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery, and all that its message was made of."""

    delivery: Delivery
    content_hash: bytes | None
    """Of the message as it was handed over last; None when none ever was."""
    step_id: int
    sequence_id: int
    contact_id: int
    name: str
    """The contact's, today."""
    contact_variables: Mapping[str, Any] = field(repr=False)
    """As they are today."""
    variables: Mapping[str, Any] = field(repr=False)
    """The subscription's, as they are today."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a subscription's variables, or of its contact."""

    at: datetime
    was: Mapping[str, Any] = field(repr=False)
    """What each changed variable was before; None where there was none."""
    of_contact: bool = False
    """Whether the variables are the contact's."""
    name: str | None = None
    """The contact's name before; None: it stayed."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message made again."""

    message: Message
    same: bool | None
    """Whether it has the words that were sent, by the hash; None when nothing was handed over."""


def place_in(secret: bytes, text: str) -> tuple[int, int] | None:
    """The subscription and step that a Message-ID or X-Drip-Delivery names; None when this database signed no such.

    Args:
        text: with or without brackets and domain.
    """
    token = text.strip().removeprefix("<").removesuffix(">").partition("@")[0]
    ids = read_token(secret, Purpose.DELIVERY, token)
    return (ids[0], ids[1]) if ids is not None and len(ids) == 2 else None


def token_of(secret: bytes, letter: Letter) -> str:
    """What stands before the @ of its Message-ID."""
    return make_token(secret, Purpose.DELIVERY, letter.delivery.subscription_id, letter.step_id)


def render_again(
    stored: StoredSequence,
    definition: Definition,
    letter: Letter,
    changes: Iterable[Change],
    settings: Settings,
    secret: bytes,
) -> Rendered | None:
    """The message of a delivery; None when its revision has no such step.

    Args:
        definition: of the delivery's revision.
        changes: of the subscription's and the contact's since, newest first.

    Raises:
        RenderFailed: it can't be rendered, as perhaps it could not be then.
    """
    from drip.engine.compose import Composer, digest

    step = definition.sequence.step(letter.delivery.step)
    if step is None:
        return None
    then = replace(stored, definition=definition, revision=letter.delivery.revision or stored.revision)
    claim = _claim(letter, list(changes))
    variables = merged_variables(definition.sequence, claim.contact_variables, claim.variables)
    message = Composer(settings, secret).message(then, step, claim, variables, letter.delivery.at)
    same = None if letter.content_hash is None else digest(message) == letter.content_hash
    return Rendered(message, same)


def _before(today: Mapping[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    then = dict(today)
    for change in changes:
        then.update(change.was)
    return {name: value for name, value in then.items() if value is not None}


def _claim(letter: Letter, changes: Sequence[Change]) -> Claim:
    """As it was when the message was made."""
    delivery = letter.delivery
    names = [change.name for change in changes if change.name is not None]
    return Claim(
        subscription_id=delivery.subscription_id,
        number=0,
        sequence_id=letter.sequence_id,
        contact_id=letter.contact_id,
        step_id=letter.step_id,
        due_at=delivery.at,
        email=delivery.email,
        name=names[-1] if names else letter.name,
        contact_variables=_before(letter.contact_variables, (one for one in changes if one.of_contact)),
        variables=_before(letter.variables, (one for one in changes if not one.of_contact)),
        attempts=delivery.attempts,
        downs=0,
        suppressed=False,
    )
