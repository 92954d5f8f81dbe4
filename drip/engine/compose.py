"""From a claim to the octets of its message. Steps are compiled once per revision.

Importing this module imports Jinja2: do it where something is to be rendered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drip.core.address import Address
from drip.core.immutable import immutable
from drip.core.sequence import Source, Step
from drip.core.settings import Settings
from drip.core.tokens import Purpose, make_token
from drip.engine.ports import Envelope
from drip.engine.records import Claim, StoredSequence
from drip.render.compile import CompiledStep, Recipient, compile_step
from drip.render.message import Message
from drip.render.mime import write_message


@immutable
class Composed:
    """A message ready to be handed over."""

    envelope: Envelope
    content: bytes
    digest: bytes
    """Of subject and bodies: what `why` compares. 16 octets; the same for the same words, whenever they were sent."""
    message_id: str
    """With its brackets."""


class Composer:
    """Renders messages. May be used by many threads: a step compiled twice does no harm."""

    def __init__(self, settings: Settings, secret: bytes) -> None:
        self._settings = settings
        self._secret = secret
        self._compiled: dict[tuple[int, int, str], CompiledStep] = {}

    def compose(
        self, stored: StoredSequence, step: Step, claim: Claim, variables: Mapping[str, Any], now: datetime
    ) -> Composed:
        """Render one step for one person.

        Args:
            variables: merged; what templates see.

        Raises:
            RenderFailed: the template can't be rendered for this person.
        """
        token = self._token(claim)
        message = self._message(stored, step, claim, variables, now, token)
        return Composed(
            envelope=Envelope(envelope_sender(self._settings, message.sender, token), claim.email, token),
            content=write_message(message),
            digest=digest(message),
            message_id=message.message_id,
        )

    def message(
        self, stored: StoredSequence, step: Step, claim: Claim, variables: Mapping[str, Any], now: datetime
    ) -> Message:
        """The message itself; raises RenderFailed."""
        return self._message(stored, step, claim, variables, now, self._token(claim))

    def _token(self, claim: Claim) -> str:
        return make_token(self._secret, Purpose.DELIVERY, claim.subscription_id, claim.step_id)

    def _message(
        self,
        stored: StoredSequence,
        step: Step,
        claim: Claim,
        variables: Mapping[str, Any],
        now: datetime,
        token: str,
    ) -> Message:
        own = make_token(self._secret, Purpose.UNSUBSCRIBE, claim.subscription_id)
        unsubscribe = self._settings.unsubscribe_url(own)
        recipient = Recipient(
            to=Address(claim.email, claim.name),
            variables=variables,
            delivery_token=token,
            unsubscribe_url=unsubscribe,
            preferences_url=unsubscribe,
            unsubscribe_mailto=self._settings.unsubscribe_mailto(own),
        )
        return self._compile(stored, step).render(recipient, now)

    def _compile(self, stored: StoredSequence, step: Step) -> CompiledStep:
        key = (stored.id, stored.revision, step.key)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = compile_step(
                *(stored.definition, step, self._settings), trusted=stored.source is Source.FILE
            )
        return compiled


def envelope_sender(settings: Settings, sender: Address, token: str) -> str:
    """MAIL FROM: where bounces go."""
    wanted = settings.smtp.envelope_from if settings.smtp else None
    return wanted.replace("{token}", token) if wanted else sender.email


def digest(message: Message) -> bytes:
    """16 octets over subject, text and HTML."""
    words = "\0".join((message.subject, message.text, message.html or ""))
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()[:16]
