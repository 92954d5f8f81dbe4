"""One message through the real transport, marked as a test: nobody's delivery, recorded nowhere."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from drip.core.address import Address
from drip.core.delivery import Outcome
from drip.core.sequence import Definition, Sequence, Step
from drip.core.settings import Settings
from drip.engine.compose import envelope_sender
from drip.engine.ports import Envelope, Transport
from drip.errors import DripError
from drip.render.compile import Recipient, compile_step
from drip.render.message import Message
from drip.render.mime import write_message

MARK = "[test] "
"""In front of the subject."""
HEADER = ("X-Drip-Test", "yes")


class NotSent(DripError):
    """The server refused the message, or nobody knows."""


def new_token() -> str:
    """What stands in for a delivery's token; no bounce of it is taken for one."""
    return f"test{secrets.token_hex(8)}"


def marked(message: Message) -> Message:
    """The message, to be told from a real one at a glance and by a filter."""
    return replace(message, subject=MARK + message.subject, headers=(*message.headers, HEADER))


def send_trial(transport: Transport, settings: Settings, message: Message, token: str) -> Outcome:
    """Hand one message over, as the worker would.

    Args:
        token: as `new_token` makes it.
    """
    envelope = Envelope(envelope_sender(settings, message.sender, token), message.to.email, token)
    session = transport.session()
    try:
        return session.send(envelope, write_message(message), lambda: True)
    finally:
        session.close()


def letter_to_oneself(settings: Settings, to: str, now: datetime) -> tuple[Message, str]:
    """A message with all that a real one has, and its token: to see what a mailbox says of it.

    Args:
        to: as `parse_email` returns it.
    """
    token = new_token()
    step = Step(key="doctor", delay=timedelta(0), subject=f"drip sends as {settings.sender.email}", body=_LETTER)
    definition = Definition(Sequence(id="doctor", name="drip doctor", steps=(step,)), {})
    link, mailto = settings.unsubscribe_url(token), settings.unsubscribe_mailto(token)
    recipient = Recipient(Address(to), {}, token, link, link, mailto)
    return marked(compile_step(definition, step, settings).render(recipient, now)), token


_LETTER = """\
This message came from `drip doctor --send`.

In your mail program, open its source ("show original") and look for `Authentication-Results`:

- `spf=pass`: the server may send for the domain of the return path
- `dkim=pass`, with `header.d=` your domain: the signature is right and speaks for you
- `dmarc=pass`: at least one of them is aligned with From

The unsubscribe link below is not real: it unsubscribes nobody.
"""
