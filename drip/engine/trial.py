"""One message through the real transport, marked as a test: nobody's delivery, recorded nowhere."""

from __future__ import annotations

from dataclasses import replace

from drip.core.delivery import Outcome
from drip.core.settings import Settings
from drip.engine.compose import envelope_sender
from drip.engine.ports import Envelope, Transport
from drip.errors import DripError
from drip.render.message import Message
from drip.render.mime import write_message

MARK = "[test] "
"""In front of the subject."""
HEADER = ("X-Drip-Test", "yes")


def marked(message: Message) -> Message:
    """The message, to be told from a real one at a glance and by a filter."""
    return replace(message, subject=MARK + message.subject, headers=(*message.headers, HEADER))


def send_trial(transport: Transport, settings: Settings, message: Message, token: str) -> Outcome:
    """Hand one message over, as the worker would.

    Args:
        token: stands in for a delivery's; no bounce of it is taken for one.
    """
    envelope = Envelope(envelope_sender(settings, message.sender, token), message.to.email, token)
    session = transport.session()
    try:
        return session.send(envelope, write_message(message), lambda: True)
    finally:
        session.close()


class NotSent(DripError):
    """The server refused the message, or nobody knows."""
