"""What never reaches the app: octets that are no HTTP, clients that are slow, or too many."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from drip.api import connection, frame
from tests.api.site import SEQUENCES, Site

WHOLE = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
BEGUN = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


def dial(site: Site) -> socket.socket:
    """A connection to the API."""
    address = urlsplit(str(site.client.base_url))
    return socket.create_connection((address.hostname, address.port), timeout=60)


def everything(conn: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while octets := conn.recv(65_536):
            found += octets
    return found


def last_answer(octets: bytes) -> tuple[int, dict[str, str], Any]:
    """Status, headers (in small letters) and JSON of an answer."""
    head, _, body = octets[octets.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert int(headers["content-length"]) == len(body)
    return int(first.split()[1]), headers, json.loads(body)


def read_one(conn: socket.socket) -> None:
    """Take one answer of /healthz off a connection that stays open."""
    found = b""
    while not found.endswith(b"}"):
        found += conn.recv(65_536)
    assert found.startswith(b"HTTP/1.1 200 ")


def ask(site: Site, octets: bytes) -> tuple[int, dict[str, str], Any]:
    """Say something, and read until the server closes."""
    with dial(site) as conn:
        with contextlib.suppress(ConnectionError):  # it may have heard enough before it has heard it all
            conn.sendall(octets)
        return last_answer(everything(conn))


def check(answer: tuple[int, dict[str, str], Any], status: int, kind: str, code: str) -> None:
    """An envelope with a request's id, after which the connection ends."""
    found, headers, body = answer
    assert (found, body["error"]["type"], body["error"]["code"]) == (status, kind, code)
    assert body["error"]["message"]
    assert headers["x-request-id"].startswith("req_")
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9 x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_http(site: Site, octets: bytes) -> None:
    check(ask(site, octets), 400, "validation_error", "invalid_request")
    assert site.client.get("/healthz").status_code == 200


def test_headers_without_end(site: Site) -> None:
    octets = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000
    check(ask(site, octets), 431, "payload_too_large_error", "headers_too_large")


@pytest.mark.parametrize("path", [SEQUENCES, "/u/x"])
def test_chunks_that_are_none(site: Site, path: str, caplog: pytest.LogCaptureFixture) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    check(ask(site, f"{head}zz\r\n{{}}\r\n".encode()), 400, "validation_error", "invalid_request")
    assert "Traceback" not in caplog.text
    assert not site.call("GET", SEQUENCES)


def test_chunks_that_go_bad_after_the_app_has_begun(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    head = f"POST {SEQUENCES} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.key}\r\nTransfer-Encoding: chunked\r\n"
    with dial(site) as conn:
        conn.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert conn.recv(100).startswith(b"HTTP/1.1 100 ")  # the app reads
        conn.sendall(b"2\r\n{}\r\nzz\r\n")
        check(last_answer(everything(conn)), 400, "validation_error", "invalid_request")
    assert "Traceback" not in caplog.text


def test_http_1_0(site: Site) -> None:
    head = f"GET /v1/nothing HTTP/1.0\r\nAuthorization: Bearer {site.key}\r\n\r\n"
    check(ask(site, head.encode()), 404, "not_found_error", "route_not_found")


def test_a_wish_to_speak_otherwise_is_passed_over(site: Site) -> None:
    head = b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert ask(site, head)[0] == 404


def test_a_client_that_leaves_in_its_body_is_no_failure(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with dial(site) as conn:
        head = f"POST {SEQUENCES} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.key}\r\n"
        conn.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n".encode())
        assert conn.recv(100).startswith(b"HTTP/1.1 100 ")
    assert site.client.get("/healthz").status_code == 200
    assert "failed" not in caplog.text


class Clock:
    """The server's clock, which passes when a test says so, and what the server has heard until then."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = site.server._server.servers[0].get_loop()
        self._passed = 0.0
        self._heard = 0
        self._changed = threading.Condition()
        self._clients = 0
        self.is_writing_paused = threading.Event()
        real = self._loop.time
        setattr(self._loop, "time", lambda: real() + self._passed)  # noqa: B010  # to its end: no clock goes back
        self._listen_to(monkeypatch, "connection_made", lambda _: self._note(clients=1))
        self._listen_to(monkeypatch, "data_received", lambda octets: self._note(heard=len(octets)))
        self._listen_to(monkeypatch, "pause_writing", self.is_writing_paused.set)

    def passes(self, seconds: float) -> None:
        """So many seconds, at once."""
        self._passed += seconds
        self._loop.call_soon_threadsafe(lambda: None)  # so that it looks at its timers

    def until(self, *, clients: int = 0, heard: int = 0) -> None:
        """Wait until so many clients have come, and the server has so many octets of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._clients >= clients and self._heard >= heard, 60)

    def _note(self, clients: int = 0, heard: int = 0) -> None:
        with self._changed:
            self._clients += clients
            self._heard += heard
            self._changed.notify_all()

    @staticmethod
    def _listen_to(monkeypatch: pytest.MonkeyPatch, name: str, told: Callable[..., None]) -> None:
        real = getattr(connection.Connection, name)

        def method(self: connection.Connection, *args: Any) -> None:
            real(self, *args)
            told(*args)

        monkeypatch.setattr(connection.Connection, name, method)


class TestPatience:
    @pytest.fixture
    def clock(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> Clock:
        return Clock(site, monkeypatch)

    def test_a_head_that_does_not_end(self, site: Site, clock: Clock) -> None:
        with dial(site) as conn:
            conn.sendall(BEGUN)
            clock.until(heard=len(BEGUN))
            clock.passes(connection.HEAD_PATIENCE)
            check(last_answer(everything(conn)), 408, "validation_error", "headers_too_slow")

    def test_the_clock_runs_for_every_request_however_kindly_the_first_one_went(self, site: Site, clock: Clock) -> None:
        with dial(site) as conn:
            conn.sendall(WHOLE)
            read_one(conn)
            conn.sendall(BEGUN)
            clock.until(heard=len(WHOLE + BEGUN))
            clock.passes(connection.HEAD_PATIENCE)
            check(last_answer(everything(conn)), 408, "validation_error", "headers_too_slow")

    def test_the_head_of_a_second_request_that_began_before_the_answer_to_the_first(
        self, site: Site, clock: Clock
    ) -> None:
        with dial(site) as conn:
            conn.sendall(WHOLE + BEGUN)
            read_one(conn)
            # The server may still be about to look at the clock when its answer is here.
            assert site.client.get("/healthz").status_code == 200
            clock.passes(connection.HEAD_PATIENCE)
            check(last_answer(everything(conn)), 408, "validation_error", "headers_too_slow")

    def test_who_says_nothing_is_hung_up_on(self, site: Site, clock: Clock) -> None:
        with dial(site) as conn:
            clock.until(clients=1)
            clock.passes(connection.HEAD_PATIENCE)
            assert everything(conn) == b""

    def test_the_rest_of_a_body_that_nobody_wants(self, site: Site, clock: Clock) -> None:
        begun = b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"
        with dial(site) as conn:
            conn.sendall(begun)
            read_one(conn)
            conn.sendall(b"{")
            clock.until(heard=len(begun) + 1)
            clock.passes(connection.HEAD_PATIENCE)
            assert everything(conn) == b""

    def test_a_body_in_drops(self, site: Site, clock: Clock) -> None:
        """All of it must be there in time; each drop starts no new clock."""
        head = f"POST {SEQUENCES} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.key}\r\n"
        head += "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
        with dial(site) as conn:
            conn.sendall(head.encode())
            assert conn.recv(100).startswith(b"HTTP/1.1 100 ")  # the app reads
            for drops in range(1, 8):
                conn.sendall(b" ")
                clock.until(heard=len(head) + drops)
                clock.passes(frame.BODY_PATIENCE / 8)
            assert site.client.get("/healthz").status_code == 200
            assert not select.select([conn], [], [], 0)[0], "there was time left"
            clock.passes(frame.BODY_PATIENCE / 4)
            check(last_answer(everything(conn)), 408, "validation_error", "body_too_slow")

    def test_who_does_not_read_is_dropped(self, site: Site, clock: Clock) -> None:
        with dial(site) as conn:
            conn.settimeout(0.5)
            asking = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20
            while not clock.is_writing_paused.is_set():
                with contextlib.suppress(TimeoutError):
                    conn.sendall(asking)
            clock.passes(connection.READ_PATIENCE)
            with pytest.raises(ConnectionError):  # noqa: PT012
                while True:
                    with contextlib.suppress(TimeoutError):
                        conn.sendall(asking)


def test_one_connection_too_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(dial(site))
        first.sendall(WHOLE)
        read_one(first)
        monkeypatch.setattr(connection, "MOST_CONNECTIONS", 1)
        monkeypatch.setattr(connection, "SPARE", 1)
        answer = ask(site, WHOLE)
        check(answer, 503, "api_error", "unavailable")
        assert answer[1]["retry-after"]
        stack.enter_context(dial(site))
        with dial(site) as beyond:
            with contextlib.suppress(ConnectionError):
                beyond.sendall(WHOLE)
            assert everything(beyond) == b""
