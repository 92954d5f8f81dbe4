"""What never reaches the app: octets that are no HTTP, clients that are slow, or too many."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from drip.api import connection, frame
from tests.api.site import SEQUENCES, Site


def dial(site: Site) -> socket.socket:
    """A connection to the API."""
    address = urlsplit(str(site.client.base_url))
    return socket.create_connection((address.hostname, address.port), timeout=10)


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


class TestPatience:
    def test_a_head_that_does_not_end(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "HEAD_PATIENCE", 0.1)
        check(ask(site, b"GET /healthz HTTP/1.1\r\nHost: a\r\n"), 408, "validation_error", "headers_too_slow")

    def test_the_head_of_a_second_request(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """The clock runs for every request, however kindly the first one went."""
        monkeypatch.setattr(connection, "HEAD_PATIENCE", 0.1)
        first = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        check(ask(site, first + b"GET /healthz"), 408, "validation_error", "headers_too_slow")
        with dial(site) as conn:
            conn.sendall(first)
            read_one(conn)
            conn.sendall(b"GET /healthz")
            check(last_answer(everything(conn)), 408, "validation_error", "headers_too_slow")

    def test_who_says_nothing_is_hung_up_on(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "HEAD_PATIENCE", 0.1)
        with dial(site) as conn:
            assert everything(conn) == b""

    def test_the_rest_of_a_body_that_nobody_wants(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "HEAD_PATIENCE", 0.1)
        with dial(site) as conn:
            conn.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
            read_one(conn)
            conn.sendall(b"{")
            assert everything(conn) == b""

    def test_a_body_in_drops(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """All of it must be there in time; each drop starts no new clock."""
        monkeypatch.setattr(frame, "BODY_PATIENCE", 0.3)
        with dial(site) as conn:
            head = f"POST {SEQUENCES} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.key}\r\n"
            conn.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
            conn.settimeout(0.05)
            found = b""
            with contextlib.suppress(OSError):
                for _ in range(200):
                    conn.sendall(b" ")
                    with contextlib.suppress(TimeoutError):
                        found += conn.recv(65_536)
                        break
            conn.settimeout(10)
            check(last_answer(found + everything(conn)), 408, "validation_error", "body_too_slow")

    def test_who_does_not_read_is_dropped(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "READ_PATIENCE", 0.2)
        with dial(site) as conn:
            conn.settimeout(0.5)
            with pytest.raises(ConnectionError):  # noqa: PT012
                while True:
                    with contextlib.suppress(TimeoutError):
                        conn.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20)


def test_one_connection_too_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(dial(site))
        first.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        read_one(first)
        monkeypatch.setattr(connection, "MOST_CONNECTIONS", 1)
        monkeypatch.setattr(connection, "SPARE", 1)
        answer = ask(site, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        check(answer, 503, "api_error", "unavailable")
        assert answer[1]["retry-after"]
        stack.enter_context(dial(site))
        with dial(site) as beyond:
            beyond.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert everything(beyond) == b""
