"""A server that speaks drip's HTTP API, asked for what it has. It is only read, and nothing is written here.

No redirect is followed: the key would go along. Nothing in an answer is believed before `remote_objects` has looked.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpcore

from drip import __version__
from drip.errors import Invalid, Unavailable

SEQUENCES, TEMPLATES = "/v1/bulk/sequences", "/v1/bulk/templates"
PAGE = 100
"""Objects that are asked for at once."""
MOST = 10_000
"""Objects of a kind; a server that has more does not know where its list ends."""
LONGEST_ANSWER = 32 * 1024 * 1024
"""Octets of one answer."""
SECONDS = 30.0
"""For a connection, and for each piece of an answer."""
_NO_API = "is the URL that of a drip server, as https://mail.example.com?"


class RemoteServer:
    """One server, asked with one key; use it as a context manager."""

    def __init__(self, url: str, key: str) -> None:
        """
        Raises:
            Invalid: the URL is none that could be asked, or the key can't be one.
        """
        self.url = _base(url)
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise Invalid("the API key is not one line of ASCII", "`drip keys create NAME` on the server makes one")
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._pool = httpcore.ConnectionPool(ssl_context=ssl.create_default_context(), max_connections=1)

    def __enter__(self) -> RemoteServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    @property
    def is_plain(self) -> bool:
        """Whether the key would go over a network in clear."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost")

    def all(self, path: str) -> list[Any]:
        """Every object of a list, over all its pages; raises as `get`, and Invalid where the list does not end."""
        found: list[Any] = []
        while len(found) < MOST:
            page = self.get(f"{path}?{urlencode({'limit': PAGE, 'offset': len(found)})}")
            if not isinstance(page, list):
                raise Invalid(f"{self.url}{path} did not answer with a list", _NO_API)
            if not page or page[0] in found:
                break
            found += page
            if len(page) < PAGE:
                break
        else:
            raise Invalid(f"{self.url}{path} lists more than {MOST:,} objects, and seems to have no end", _NO_API)
        return found

    def get(self, path: str) -> Any:
        """The JSON at a path.

        Raises:
            Invalid: it is not such a server, or it does not take the key.
            Unavailable: it can't be reached, or can't answer now.
        """
        status, headers, body = self._ask(path)
        self._look_at(status, headers)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Invalid(f"{self.url}{path.partition('?')[0]} did not answer with JSON", _NO_API) from None

    def one(self, path: str, name: str) -> Any:
        """One object of a list, with all there is of it; raises as `get`."""
        return self.get(f"{path}/{quote(name, safe='')}")

    def _ask(self, path: str) -> tuple[int, dict[str, str], bytes]:
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)
        headers = {**self._headers, "Host": urlsplit(self.url).netloc, "User-Agent": f"drip/{__version__}"}
        try:
            with self._pool.stream(
                "GET", self.url + path, headers=list(headers.items()), extensions={"timeout": timeout}
            ) as response:
                body = _limited(response.iter_stream())
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            words = str(error) or {"ConnectTimeout": "no answer"}.get(type(error).__name__, type(error).__name__)
            raise Unavailable(
                f"{self.url} can't be reached: {words}", "is the server running, and is the URL right?"
            ) from error
        return response.status, {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in response.headers}, body

    def _look_at(self, status: int, headers: dict[str, str]) -> None:
        match status:
            case 200:
                return
            case 401 | 403:
                hint = "`drip keys list` on the server shows those that are valid; `drip keys create NAME` makes one"
                raise Invalid(f"{self.url} does not take the API key ({status})", hint)
            case 301 | 302 | 303 | 307 | 308:
                place = headers.get("location", "elsewhere")
                raise Invalid(f"{self.url} sends on to {place}", "give that URL, if you trust it with the key")
            case 429 | 500 | 502 | 503 | 504:
                later = headers.get("retry-after", "")
                wait = f"try again in {later} s" if later.isdigit() else "try again later"
                raise Unavailable(f"{self.url} can't answer now ({status})", wait)
        raise Invalid(f"{self.url} does not speak drip's API ({status} for {SEQUENCES})", _NO_API)


def _base(url: str) -> str:
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or not url.isascii():
        raise Invalid(f"{url!r} is not the URL of a server", "write it as https://mail.example.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise Invalid(f"{parts.hostname}: a login or a query does not belong in the URL", "the key is given apart")
    path = parts.path.rstrip("/").removesuffix("/bulk").removesuffix("/v1")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _limited(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > LONGEST_ANSWER:
            raise Invalid(f"an answer is longer than {LONGEST_ANSWER // 1024**2} MiB", _NO_API)
    return bytes(body)
