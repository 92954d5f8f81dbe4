"""Asking the DNS, as whoever examines a domain needs it; `drip.transport.resolver` does it."""

from __future__ import annotations

from typing import Protocol

from drip.errors import Unavailable


class NoResolver(Unavailable):
    """No resolver answers: nothing can be said about any name."""


class Names(Protocol):
    """A resolver."""

    def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        """The values of a name, as text; strings of TXT joined. Empty when there are none.

        Args:
            kind: `A`, `AAAA`, `MX` (as `10 mx.example.com`) or `TXT`.

        Raises:
            NoResolver: nobody answers.
        """
        ...
