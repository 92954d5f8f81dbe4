"""How messages leave: one connection at a time, or many led by one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from drip.core.delivery import Outcome
from drip.core.immutable import immutable


@immutable
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


class Parcel(Protocol):
    """One message to be handed over."""

    @property
    def envelope(self) -> Envelope: ...
    @property
    def content(self) -> bytes:
        """A whole message with CRLF line ends, not dot-stuffed."""
        ...


P = TypeVar("P", bound=Parcel)


class Desk(Protocol[P]):
    """Where a fleet gets its parcels, and brings back what came of them. For one thread."""

    def take(self, count: int, /) -> Sequence[P]:
        """The next ones, at most so many; empty when there are none now."""
        ...

    def prepare(self) -> bool:
        """Make one ready for a later `take`, while there is nothing better to do; False when there is none to make."""
        ...

    def still(self, parcel: P, /) -> bool:
        """Whether one that was taken some time ago may still be begun; if not, it is out of the caller's hands."""
        ...

    def mark(self, parcels: Sequence[P], /) -> Sequence[bool]:
        """Before the final dots of these: whether each may be sent, durably. What `done` brought is written with it."""
        ...

    def try_mark(self, parcels: Sequence[P], /) -> Sequence[bool] | None:
        """As `mark`; None, and nothing is done, where that would mean to wait for somebody else who writes."""
        ...

    def done(self, parcel: P, outcome: Outcome, /) -> None:
        """What came of one. It is written with the next marks, or by `flush`."""
        ...

    @property
    def holds(self) -> bool:
        """Whether anything that `done` brought is not written yet."""
        ...

    def flush(self) -> None:
        """Have it written without waiting for more."""
        ...


class Fleet(Protocol):
    """Many connections, led by one thread."""

    def carry(self, desk: Desk[P]) -> None:
        """Hand over what the desk gives, as `Session.send` does, until it gives nothing and everything is done."""
        ...

    def wake(self) -> None:
        """The desk has something again; may be called from any thread."""
        ...

    def rest(self) -> None:
        """End all connections politely, to open them again when there is something; never raises."""
        ...

    def close(self) -> None:
        """As `rest`, for good."""
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

    def fleet(self) -> Fleet | None:
        """As many connections as there may be, led by one thread; None: each session wants a thread of its own."""
        ...
