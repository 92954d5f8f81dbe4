"""What the engine needs from outside, as protocols; adapters in `store` and `transport` fulfil them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from drip.core.delivery import Outcome


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a message is from and to, as the server is told; not what its headers say."""

    sender: str
    """MAIL FROM; never empty."""
    recipient: str
    """RCPT TO."""
    token: str
    """Names the delivery; the outbox uses it in file names."""


class Session(Protocol):
    """One connection, used by one thread, for many messages one after another."""

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        """Hand one message over.

        Opens the connection when there is none, or the last one can't be used any more. Calls `mark` exactly once,
        between the body and the final dot, unless the message was refused or the connection lost before. When `mark`
        returns False the dot is never sent, and the outcome is `NOT_MARKED`.

        Args:
            content: a whole message with CRLF line ends, not dot-stuffed.

        Never raises for what a server does; an exception is a bug, or comes from `mark`.
        """
        ...

    def close(self) -> None:
        """End the connection politely; never raises."""
        ...


class Transport(Protocol):
    """How messages leave."""

    @property
    def connections(self) -> int:
        """How many sessions may be used side by side."""
        ...

    def session(self) -> Session:
        """A new session; nothing is opened before the first message."""
        ...
