"""A transport in whose answers something happens first: between the mark, and the server's word on the dot."""

from __future__ import annotations

from collections.abc import Callable

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine.ports import Envelope
from tests.lab import Lab, RecordingTransport


class LateTransport(RecordingTransport):
    """Calls `after_mark` while the delivery is `sending`."""

    connections = 1

    def __init__(self) -> None:
        super().__init__()
        self.after_mark: Callable[[], None] = lambda: None

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        self.before_mark()
        if not mark():
            return Outcome(OutcomeKind.NOT_MARKED)
        self.after_mark()
        outcome = self.script(envelope, content)
        if outcome.kind is OutcomeKind.SENT:
            self.sent.append((envelope, content))
        return outcome


def once_marked(lab: Lab, action: Callable[[], object]) -> LateTransport:
    """Do something once, while the first message is being sent."""
    transport = LateTransport()

    def act() -> None:
        transport.after_mark = lambda: None
        with lab.store.connected():
            action()

    transport.after_mark = act
    lab.transport = transport
    return transport
