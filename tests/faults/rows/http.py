"""Row 26: whatever comes over HTTP gets an answer that is no 5xx, costs little, and keeps nobody else waiting."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import string
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from drip.api.models import SubscriberIn
from drip.api.routes import subscribers
from tests.api.site import SEQUENCES, Site, open_site
from tests.api.test_connection import dial, everything
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import look_over

REQUESTS = 1000
"""In a trial, over a connection that stays open and raw."""
RAW = 200
LARGEST_GROWTH = 200 * 1024
"""Kilobytes that the process may grow by in a trial."""
_WORDS = (
    "ana@empresa.com",
    "",
    "x" * 5000,
    "\0",
    "\ud83d",
    "{{ 7*7 }}",
    "é",
    "-1",
    "2026-03-27T09:30:00Z",
    "P1D",
    "../..",
)


def trial(case: Case) -> Figures:
    """An API on a socket: JSON of any shape on every route, raw octets, and somebody else who is served meanwhile."""
    figures, random = Figures(trials=1, faults=REQUESTS), case.random
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_site(case.folder) as site:
        path = site.sequence(steps=2)
        site.lab.subscribe("ana@empresa.com", path.rpartition("/")[2])
        routes = _routes(site)
        with closing(_connection(site)) as conn:
            for number in range(REQUESTS):
                if number < RAW:
                    _raw(site, random, figures)
                else:
                    _json(conn, site.key, random, routes, path, figures)
                if number % 20 == 0:
                    other = site.client.get("/healthz")
                    figures.breach(other.status_code != 200, f"others are not served: {other.status_code}")
        look_over(site.lab.store.database, figures)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    figures.breach(grown > LARGEST_GROWTH, f"grew by {grown // 1024} MB")
    return figures


def _connection(site: Site) -> HTTPConnection:
    """A client that costs less than what it asks, unlike the site's own."""
    address = urlsplit(str(site.client.base_url))
    return HTTPConnection(address.hostname or "", address.port, timeout=20)


def _routes(site: Site) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and the fields of the body of each operation that is described."""
    document = site.client.get("/openapi.json").json()
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            fields = document["components"]["schemas"].get(name, {}).get("properties", {})
            found.append((method.upper(), path, fields))
    return found


def _json(
    conn: HTTPConnection,
    key: str,
    random: Random,
    routes: list[tuple[str, str, dict[str, Any]]],
    path: str,
    figures: Figures,
) -> None:
    method, template, fields = random.choice(routes)
    place = path.rpartition("/")[2]
    url = "/".join(
        random.choice((place, place, "1", "ana@empresa.com", "%00", "x" * 300, "%F0%9F")) if part[:1] == "{" else part
        for part in template.split("/")
    )
    if random.random() < 0.2:
        url += "?" + random.choice(("limit=-1", "limit=999999999999999999999", "cursor=%00", "status=x", "offset=1e9"))
    body = {name: _anything(random, 3) for name in fields if random.random() < 0.7}
    if random.random() < 0.1:  # one that is right, but for what the person brings along
        method, url, body = "POST", f"{path}/subscribers", {"email": f"n{random.randrange(99)}@empresa.com"}
        body["variables"] = {"x": _anything(random, 3)}
    text = json.dumps(body if random.random() < 0.9 else _anything(random, 4))
    match random.randrange(12):
        case 0:
            text = "[" * 100_000
        case 1:
            text = text[: len(text) // 2]
        case 2:
            text = '{"a":' * 5000 + "1" + "}" * 5000
        case 3:
            text = '{"email": ' + "9" * 5000 + "}"
    kind = random.choice(("application/json", "application/json", "text/plain"))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
    try:
        conn.request(method, url, text.encode("utf-8", "surrogatepass"), headers)
        answer = conn.getresponse()
        said = answer.read()
    except (OSError, HTTPException) as error:
        conn.close()
        figures.breaches.append(f"{method} {url[:100]}: no answer: {type(error).__name__} {error}")
        return
    figures.breach(answer.status >= 500, f"{method} {url[:100]} is {answer.status} for {text[:300]!r}")
    if answer.status >= 400 and url.startswith("/v1"):
        figures.breach("error" not in json.loads(said), f"{method} {url[:100]}: an error without its envelope")


def _anything(random: Random, depth: int) -> Any:
    """Some JSON."""
    if depth == 0 or random.random() < 0.6:
        return random.choice(
            (None, True, 0, -1, 1 << 63, 1 << 200, 1e308, *_WORDS, "".join(random.choices(string.printable, k=8)))
        )
    if random.random() < 0.5:
        return [_anything(random, depth - 1) for _ in range(random.randrange(4))]
    return {random.choice(_WORDS): _anything(random, depth - 1) for _ in range(random.randrange(4))}


def _raw(site: Site, random: Random, figures: Figures) -> None:
    """A request that is almost one, as octets; whatever is answered is no 5xx but 503."""
    head = (
        f"{random.choice(('GET', 'POST', 'PATCH', 'PUT', 'BREW', ''))} {SEQUENCES} HTTP/1.{random.randrange(3)}\r\n"
        f"Host: a\r\nAuthorization: Bearer {site.key}\r\nConnection: close\r\n"
    )
    extra = random.choice(
        ("Content-Length: 5\r\n", "Content-Length: -5\r\n", "Transfer-Encoding: chunked\r\n", f"X: {'y' * 70_000}\r\n",
         "Content-Length: 99999999999\r\n", "Content-Type: application/json\r\n", "X\r\n", "Expect: 100-continue\r\n")
    )  # fmt: skip
    octets = bytearray((head + extra + "\r\n").encode() + random.choice((b"{}", b"[1]\r\n", b"zz\r\n", b"\xff" * 9)))
    for _ in range(random.randrange(4)):
        octets[random.randrange(len(octets))] = random.randrange(256)
    with dial(site) as conn:
        with contextlib.suppress(OSError):
            conn.sendall(octets)
            conn.shutdown(socket.SHUT_WR)
        found = everything(conn)
    figures.breach(
        found.startswith(b"HTTP/1.1 5") and b" 503 " not in found[:20], f"{bytes(octets[:200])!r}: {found[:80]!r}"
    )


@contextmanager
def a_handler_that_trusts() -> Iterator[None]:
    """Variables are taken to be text, as those of a well-meaning client are."""
    real = subscribers._wanted

    def trusting(body: SubscriberIn) -> Any:
        for value in (body.variables or {}).values():
            value.encode()
        return real(body)

    with patch.object(subscribers, "_wanted", trusting):
        yield


ROWS = [
    Row(
        number=26,
        promise="HTTP is robust",
        fault="JSON of any shape on every route, deep, cut, huge; raw octets that are almost requests",
        ci=10_000,
        release=100_000,
        unit="requests",
        per_trial=REQUESTS,
        trial=trial,
        control=Control("a handler that trusts", a_handler_that_trusts, within=3, shows="is 500"),
    )
]
