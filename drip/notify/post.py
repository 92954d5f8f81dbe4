"""One post: signed, to an address that may be posted to, within 15 seconds and 64 kB. Decides nothing about retries.

Redirects are not followed, and no proxy or certificate setting is taken from the environment: httpcore does neither.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import httpcore

from drip import __version__
from drip.core.webhooks import LONGEST_ANSWER, Answer
from drip.engine.records import Endpoint
from drip.notify.addresses import ATTEMPT, Attempt, CheckedBackend, Resolve, system_resolve
from drip.notify.sign import signed_headers

SECONDS = 15.0
"""For everything: name, connection, TLS, request and answer."""
LONGEST_READ = 64 * 1024
"""Octets of an answer that are read, its head included."""
BODY_SECONDS = 2.0
"""Of those, for what follows the head of an answer: the head has said it all."""
KEPT_OPEN = 5.0
"""Seconds that an unused connection is kept."""

_UNRESERVED = "/?&=:@!$'()*+,;-._~%[]"
_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    ValueError,
)


class HttpPoster:
    """Posts events. Used by many threads at once."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolve = system_resolve,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """
        Args:
            allow_private: keys' endpoints may be anywhere; those of drip.yaml always may.
            tls: None trusts the system's authorities.
            seconds: for one post in all.
        """
        self._seconds = seconds
        tls = tls or ssl.create_default_context()
        self._trusted = _pool(CheckedBackend(trusted=True, resolve=resolve), tls)
        self._checked = _pool(CheckedBackend(trusted=allow_private, resolve=resolve), tls)
        self._allow_private = allow_private

    def post(self, endpoint: Endpoint, public_id: str, body: bytes) -> Answer:
        """Post a body and say what came of it; never raises for what an endpoint does."""
        attempt = Attempt(time.monotonic() + self._seconds, LONGEST_READ)
        ATTEMPT.set(attempt)
        try:
            return self._post(endpoint, public_id, body)
        except _ERRORS as error:
            if time.monotonic() >= attempt.deadline or isinstance(error, httpcore.TimeoutException):
                return Answer(None, f"no answer within {self._seconds:g} s")
            return Answer(None, _one_line(str(error)) or type(error).__name__)

    def close(self) -> None:
        """Close what is kept open."""
        self._trusted.close()
        self._checked.close()

    def _post(self, endpoint: Endpoint, public_id: str, body: bytes) -> Answer:
        is_trusted = endpoint.key_id is None
        url, host = _prepared(endpoint.url, any_scheme=is_trusted or self._allow_private)
        headers = {
            "Host": host,
            "User-Agent": f"drip/{__version__}",
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Accept": "*/*",
            **signed_headers(endpoint.secrets, public_id, body, datetime.now(UTC)),
        }
        pool = self._trusted if is_trusted else self._checked
        with pool.stream("POST", url, headers=list(headers.items()), content=body) as response:
            retry_after = _header(response, b"retry-after")
            return Answer(
                response.status,
                _one_line(_beginning(response)),
                retry_after.decode("latin-1") if retry_after else None,
            )


def _pool(backend: CheckedBackend, tls: ssl.SSLContext) -> httpcore.ConnectionPool:
    return httpcore.ConnectionPool(
        ssl_context=tls,
        max_connections=None,
        max_keepalive_connections=50,
        keepalive_expiry=KEPT_OPEN,
        network_backend=backend,
    )


def _prepared(url: str, *, any_scheme: bool) -> tuple[str, str]:
    """The URL in ASCII, and its Host header. Raises ValueError where it may not be posted to."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not (any_scheme or parts.scheme == "https"):
        raise ValueError("the URL is not https")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL has a login in it")
    host = _ascii_host(parts.hostname or "")
    host = f"[{host}]" if ":" in host else host
    place = host if parts.port is None else f"{host}:{parts.port}"
    path = quote(parts.path, safe=_UNRESERVED) or "/"
    query = f"?{quote(parts.query, safe=_UNRESERVED)}" if parts.query else ""
    return f"{parts.scheme}://{place}{path}{query}", place


def _ascii_host(host: str) -> str:
    """IDNA 2008; the codec of the standard library knows only the version of 2003."""
    if host.isascii():
        return host
    import idna

    return idna.encode(host, uts46=True).decode("ascii")


def _beginning(response: httpcore.Response) -> str:
    """The first characters of an answer; what can't be read does not change what its status says."""
    read = b""
    attempt = ATTEMPT.get()
    attempt.deadline = min(attempt.deadline, time.monotonic() + BODY_SECONDS)
    with suppress(*_ERRORS):
        for chunk in response.iter_stream():
            read = (read + chunk)[: 4 * LONGEST_ANSWER]
    return read.decode("utf-8", "replace")


def _header(response: httpcore.Response, name: bytes) -> bytes | None:
    return next((value for found, value in response.headers if found.lower() == name), None)


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:LONGEST_ANSWER]
