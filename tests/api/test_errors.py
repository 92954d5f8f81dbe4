"""Every error has the envelope, and every answer a request's id."""

from __future__ import annotations

import logging
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from drip.errors import DatabaseUnavailable
from drip.store.sqlite import BUSY_TIMEOUT
from tests.api.site import SEQUENCES, Site, open_site

TYPES = {
    400: "validation_error",
    401: "authentication_error",
    403: "authorization_error",
    404: "not_found_error",
    405: "not_found_error",
    409: "conflict_error",
    413: "payload_too_large_error",
    422: "validation_error",
    500: "api_error",
    503: "api_error",
}


def check(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """An error with its envelope."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error.keys() <= {"type", "code", "message", "param", "details"}
    assert (error["type"], error["code"]) == (TYPES[status], code)
    assert response.headers["X-Request-Id"]
    return error


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/nothing", "/v2/x", f"{SEQUENCES}/", "/u", "/u/", "//v1", "/%00"]
)
def test_unknown_routes_get_the_envelope_too(site: Site, path: str) -> None:
    check(site.client.get(path), 404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", SEQUENCES, "GET, POST"),
        ("DELETE", SEQUENCES, "GET, POST"),
        ("POST", f"{SEQUENCES}/x", "DELETE, GET, PATCH"),
        ("TRACE", f"{SEQUENCES}/x", "DELETE, GET, PATCH"),
        ("GET", f"{SEQUENCES}/x/subscribers/a@b.org/pause", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/u/x", "GET, HEAD, POST"),
    ],
)
def test_wrong_methods_are_told_the_right_ones(site: Site, method: str, path: str, allowed: str) -> None:
    response = site.client.request(method, path)
    check(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,",
        b"\xff",
        b'{"name": "\\ud800"}',
        b"{'name': 'x'}",
        b'\xef\xbb\xbf{"subject": "x"}',
        '{"subject": "x"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_what_is_not_json(site: Site, body: bytes) -> None:
    check(site.client.post(SEQUENCES, content=body), 400, "invalid_json")
    check(site.client.patch(f"{SEQUENCES}/x/steps/1", content=body), 400, "invalid_json")


@pytest.mark.parametrize("body", [b"1", b"null", b'"x"', b"[]"])
def test_json_that_is_no_object(site: Site, body: bytes) -> None:
    check(site.client.post(SEQUENCES, content=body), 422, "invalid_field")


def test_json_is_taken_whatever_its_header_says(site: Site) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert site.client.post(SEQUENCES, content=b'{"name": "x"}', headers=headers).status_code == 201


def test_variables_that_are_nested_too_deeply_are_refused(site: Site) -> None:
    nested: Any = 1
    for _ in range(40):
        nested = [nested]
    body = {"email": "ana@empresa.com", "variables": {"a": nested}}
    check(site.client.post(f"{site.sequence()}/subscribers", json=body), 422, "invalid_field")


class TestBodies:
    SIZE = 1024 * 1024

    def test_a_mebibyte_and_not_one_more(self, site: Site) -> None:
        path = site.sequence()
        fits = b'{"email": "ana@empresa.com"' + b" " * (self.SIZE - 28) + b"}"
        assert len(fits) == self.SIZE
        assert site.client.post(f"{path}/subscribers", content=fits).status_code == 201
        check(site.client.post(f"{path}/subscribers", content=fits + b" "), 413, "body_too_large")

    def test_it_is_counted_while_it_is_read(self, site: Site) -> None:
        def endless() -> Any:
            for _ in range(1000):
                yield b" " * 65_536

        try:
            response = site.client.post(SEQUENCES, content=endless())
        except (httpx.WriteError, httpx.ReadError):
            return  # the server had said no and closed
        check(response, 413, "body_too_large")

    @pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999999", "1048577"])
    def test_a_length_that_lies(self, site: Site, length: str) -> None:
        address = urlsplit(str(site.client.base_url))
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            head = f"POST {SEQUENCES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.key}\r\n"
            connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
            status = connection.recv(65_536).split(b" ")[1]
        assert status in (b"400", b"413")
        assert site.client.get(SEQUENCES).status_code == 200

    def test_a_slow_client_keeps_nobody_waiting(self, site: Site) -> None:
        address = urlsplit(str(site.client.base_url))
        slow = [socket.create_connection((address.hostname, address.port)) for _ in range(50)]
        for connection in slow:
            connection.sendall(f"POST {SEQUENCES} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert site.client.get(SEQUENCES).status_code == 200
        for connection in slow:
            connection.close()


def test_a_request_id_is_ours_or_a_tame_one_of_theirs(site: Site) -> None:
    ids = [site.client.get("/healthz").headers["X-Request-Id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(re.fullmatch("req_[0-9a-f]{18}", one) for one in ids)
    given = site.client.get("/healthz", headers={"X-Request-Id": "trace-7"})
    assert given.headers["X-Request-Id"] == "trace-7"
    wild = site.client.get("/healthz", headers={"X-Request-Id": "x" * 65})
    assert wild.headers["X-Request-Id"].startswith("req_")


def test_a_bug_tells_the_log_and_nobody_else(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("the secret is chess")

    monkeypatch.setattr(site.lab.store.sequences, "all", broken)
    with caplog.at_level(logging.ERROR, "drip.api"):
        response = site.client.get(SEQUENCES)
    check(response, 500, "internal_error")
    assert "chess" not in response.text
    assert response.headers["X-Request-Id"] in caplog.text
    assert "the secret is chess" in caplog.text
    assert site.client.get("/healthz").status_code == 200


def test_a_database_that_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("the disk is full (/secret/path)")

    monkeypatch.setattr(site.lab.store.sequences, "all", away)
    monkeypatch.setattr(site.lab.store.sequences, "save", away)
    monkeypatch.setattr(site.lab.store.events, "last", away)
    for response in (site.client.get(SEQUENCES), site.client.post(SEQUENCES, json={"name": "x"})):
        check(response, 503, "database_unavailable")
        assert "secret" not in response.text
    health = site.client.get("/healthz")
    assert (health.status_code, health.json()["database"]) == (503, False)


class TestKeys:
    @pytest.mark.parametrize("path", [SEQUENCES, "/v1/nothing", "/v1/suppressions", f"{SEQUENCES}/x/subscribers/batch"])
    def test_a_request_without_a_key_is_asked_for_one(self, site: Site, path: str) -> None:
        site.client.headers.pop("Authorization")
        response = site.client.get(path)
        check(response, 401, "api_key_missing")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize(
        "value",
        [
            *(b"", b"Bearer", b"Basic YTpi", b"drip_x", b"Bearer drip_x y", b"Bearer drip_x"),
            *(b"Bearer \xc3\xa9", b"Bearer " + b"x" * 10_000, b"Bearer drip_" + b"A" * 43),
        ],
    )
    def test_malformed_or_wrong(self, site: Site, value: bytes) -> None:
        headers = [(b"Authorization", value)]
        site.client.headers.pop("Authorization")
        check(site.client.get(SEQUENCES, headers=headers), 401, "api_key_invalid")

    def test_every_flip_of_a_key_is_refused(self, site: Site) -> None:
        for place in range(len(site.key)):
            wrong = site.key[:place] + ("A" if site.key[place] != "A" else "B") + site.key[place + 1 :]
            check(site.client.get(SEQUENCES, headers={"Authorization": f"Bearer {wrong}"}), 401, "api_key_invalid")
        check(site.client.get(SEQUENCES, headers={"Authorization": f"Bearer {site.key[:-1]}"}), 401, "api_key_invalid")
        assert site.client.get(SEQUENCES, headers={"Authorization": f"bearer {site.key}"}).status_code == 200

    def test_two_keys_are_none(self, site: Site) -> None:
        name = "Authorization"
        site.client.headers.pop(name)
        headers = [(name, f"Bearer {site.key}"), (name, f"Bearer {site.key}")]
        check(site.client.get(SEQUENCES, headers=headers), 401, "api_key_invalid")

    def test_a_revoked_one(self, site: Site) -> None:
        from drip.engine.keys import revoke_key

        assert site.client.get(SEQUENCES).status_code == 200
        with site.lab.store.connected():
            revoke_key(site.lab.store, site.key_id, site.lab.now)
        check(site.client.get(SEQUENCES), 401, "api_key_invalid")

    @pytest.mark.sqlite
    def test_who_reads_does_not_wait_for_who_writes(self, site: Site) -> None:
        with closing(sqlite3.connect(site.lab.folder / "drip.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert site.client.get(SEQUENCES, timeout=BUSY_TIMEOUT / 2).status_code == 200
        assert site.lab.store.keys.all()[0].last_used_at is None

    def test_without_any_key_the_log_says_how_to_make_one(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        from drip.engine.keys import revoke_key

        with open_site(tmp_path) as site:
            revoke_key(site.lab.store, site.key_id, site.lab.now)
            with caplog.at_level(logging.WARNING, "drip.api"):
                check(site.client.get(SEQUENCES), 401, "api_key_invalid")
        assert "drip keys create" in caplog.text
        assert site.key not in caplog.text

    def test_a_key_comes_before_the_body(self, site: Site) -> None:
        site.client.headers.pop("Authorization")
        check(site.client.post(SEQUENCES, content=b"{"), 401, "api_key_missing")
