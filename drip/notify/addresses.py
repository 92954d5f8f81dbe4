"""From a host to connections: the address that was looked at is the one that is connected to. No HTTP, no policy.

The look is taken where the connection is made, so that a name which answers differently a second time (DNS
rebinding) gains nothing.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore

from drip.core.networks import is_public

Resolve = Callable[[str, int], list[str]]
"""Host and port to addresses."""


class AddressRefused(httpcore.ConnectError):
    """No address of the host may be connected to."""


@dataclass(slots=True)
class Attempt:
    """What one try may still use up, over all that is done on its connection."""

    deadline: float
    """Of the monotonic clock."""
    octets: int
    """That may be read."""

    def seconds(self, wanted: float | None = None) -> float:
        """How long the next operation may take; raises when there is no time left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time is up")
        return left if wanted is None else min(left, wanted)


ATTEMPT: ContextVar[Attempt] = ContextVar("attempt")
"""The try that this thread makes."""


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to public addresses alone, or to any where the URL is trusted."""

    def __init__(self, *, trusted: bool, resolve: Resolve) -> None:
        self._trusted = trusted
        self._resolve = resolve
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Look the host up, and connect to the first address that may be used and answers."""
        attempt = ATTEMPT.get()
        found = resolve_within(self._resolve, host, port, attempt.seconds())
        allowed = [address for address in found if self._trusted or is_public(address)]
        if not allowed:
            raise AddressRefused(f"{host} is not a public address" if found else f"{host} has no address")
        return self._connect_to_first(allowed, port, attempt)

    def _connect_to_first(self, addresses: list[str], port: int, attempt: Attempt) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for index, address in enumerate(addresses):
            share = attempt.seconds() / (len(addresses) - index)
            try:
                return _Stream(self._sockets.connect_tcp(address, port, timeout=share))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection whose every operation counts against the try that uses it now."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read; raises ReadError when the try has read as much as it may."""
        attempt = ATTEMPT.get()
        if attempt.octets <= 0:
            raise httpcore.ReadError("the answer is too long")
        data = self._inner.read(min(max_bytes, attempt.octets), attempt.seconds(timeout))
        attempt.octets -= len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all."""
        self._inner.write(buffer, ATTEMPT.get().seconds(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection with TLS in it; the name is checked, not the address."""
        seconds = ATTEMPT.get().seconds(timeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        """What httpcore wants to know of a connection."""
        return self._inner.get_extra_info(info)


def system_resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver; it also reads `127.1`, `0177.0.0.1` and `2130706433` as what they are.

    Raises:
        OSError: there is no such host.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def resolve_within(resolve: Resolve, host: str, port: int, seconds: float) -> list[str]:
    """Resolve, but wait no longer than that: the system's resolver takes no timeout.

    Raises:
        httpcore.ConnectError: there is no such host.
        httpcore.ConnectTimeout: no answer in time.
    """
    found: list[list[str] | OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found.append(resolve(host, port))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=ask, name="drip-resolver", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise httpcore.ConnectTimeout(f"{host}: the resolver does not answer")
    if isinstance(found[0], Exception):
        raise httpcore.ConnectError(f"{host}: {found[0]}") from found[0]
    return found[0]
