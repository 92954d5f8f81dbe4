"""One post against real servers: signatures, limits, and where it may go."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from drip.core.webhooks import Answer
from drip.engine.records import Endpoint
from drip.notify.post import HttpPoster
from tests.notify.receiver import OTHER_SECRET, SECRET, Receiver, Reply, receiving, saying
from tests.smtp_server.certificates import Authority

BODY = '{"event":"webhook.test","name":"Zoë"}'.encode()


def an_endpoint(url: str, *secrets: str, key_id: str | None = None) -> Endpoint:
    """Of drip.yaml, unless it has a key."""
    return Endpoint(1, key_id, url, secrets or (SECRET,), None, None, None)


@contextmanager
def a_poster(**given: object) -> Iterator[HttpPoster]:
    poster = HttpPoster(**{"allow_private": False, "seconds": 60, **given})  # type: ignore[arg-type]
    try:
        yield poster
    finally:
        poster.close()


def test_the_published_verifier_accepts_it(receiver: Receiver, poster: HttpPoster) -> None:
    before = int(time.time())
    answer = poster.post(an_endpoint(receiver.url), "evt_1", BODY)
    assert answer == Answer(200, "ok")
    (got,) = receiver.got
    assert got.body == BODY
    assert got.verified() == {"event": "webhook.test", "name": "Zoë"}
    assert got.id == "evt_1"
    assert before <= int(got.headers["webhook-timestamp"]) <= time.time()
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["content-type"].startswith("application/json")


def test_both_secrets_sign_while_one_is_replaced(receiver: Receiver, poster: HttpPoster) -> None:
    poster.post(an_endpoint(receiver.url, SECRET, OTHER_SECRET), "evt_1", BODY)
    assert receiver.got[0].verified(SECRET) == receiver.got[0].verified(OTHER_SECRET)
    assert len(receiver.got[0].headers["webhook-signature"].split(" ")) == 2


def test_what_was_changed_on_the_way_is_not_accepted(receiver: Receiver, poster: HttpPoster) -> None:
    poster.post(an_endpoint(receiver.url), "evt_1", BODY)
    (got,) = receiver.got
    for body, headers in (
        (BODY.replace(b"test", b"tesT"), got.headers),
        (BODY, {**got.headers, "webhook-id": "evt_2"}),
        (BODY, {**got.headers, "webhook-timestamp": str(int(got.headers["webhook-timestamp"]) - 3)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, headers)


def test_a_connection_is_used_again(receiver: Receiver, poster: HttpPoster) -> None:
    for number in range(5):
        assert poster.post(an_endpoint(receiver.url), f"evt_{number}", BODY).is_success
    assert receiver.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_failures_and_not_followed(receiver: Receiver, poster: HttpPoster, status: int) -> None:
    receiver.script = lambda received: Reply(status, {"location": f"http://127.0.0.1:{receiver.port}/elsewhere"})
    assert poster.post(an_endpoint(receiver.url), "evt_1", BODY).status == status
    assert [received.path for received in receiver.got] == ["/hooks"]


def test_no_proxy_is_taken_from_the_environment(
    receiver: Receiver, poster: HttpPoster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert poster.post(an_endpoint(receiver.url), "evt_1", BODY).is_success
        assert proxy.got == []
        assert len(receiver.got) == 1


def test_the_beginning_of_an_answer_is_kept_in_one_line(receiver: Receiver, poster: HttpPoster) -> None:
    receiver.script = lambda received: Reply(500, body=b"\x1b[31mno\r\n  way\x00" + b"x" * 1000)
    text = poster.post(an_endpoint(receiver.url), "evt_1", BODY).text
    assert text.startswith("[31mno way xxx")
    assert len(text) == 300


def test_retry_after_is_handed_on(receiver: Receiver, poster: HttpPoster) -> None:
    receiver.script = lambda received: Reply(429, {"Retry-After": "7"})
    assert poster.post(an_endpoint(receiver.url), "evt_1", BODY).retry_after == "7"


def _drip(head: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:  # until nobody listens any more
            connection.sendall(b"x")
            time.sleep(0.1)

    return talk


def _flood(head: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(2000):
            connection.sendall(b"a" * 65536)
            FLOODED.append(65536)

    return talk


FLOODED: list[int] = []


ENDS_WITHIN = 20.0
"""Seconds, well over what is waited for here; what is excluded never ends, or takes the patient minute."""


@pytest.mark.parametrize(
    ("talk", "text"),
    [
        pytest.param(lambda connection: time.sleep(60), "no answer within 1 s", id="silence"),
        pytest.param(_drip(b"HTTP/1.1 200 OK\r\nx-slow: "), "no answer within 1 s", id="a head that never ends"),
        pytest.param(_drip(b"HTTP/1.1 100 Continue\r\n\r\n"), "", id="only an interim answer"),
    ],
)
def test_no_answer_takes_longer_than_it_may(talk: Callable[[socket.socket], None], text: str) -> None:
    with saying(talk) as (url, _), a_poster(seconds=1.0) as poster:
        started = time.monotonic()
        answer = poster.post(an_endpoint(url), "evt_1", BODY)
        assert 0.9 <= time.monotonic() - started < ENDS_WITHIN
    assert answer.status is None
    assert text in answer.text


@pytest.mark.parametrize(
    ("talk", "status", "text"),
    [
        pytest.param(lambda connection: None, None, "disconnected", id="hangs up"),
        pytest.param(lambda connection: connection.sendall(b"SSH-2.0-x\r\n"), None, "", id="no HTTP"),
        pytest.param(_drip(b"HTTP/1.1 200 OK\r\n\r\n"), 200, "xxx", id="a body that never ends, slowly"),
        pytest.param(_flood(b"HTTP/1.1 200 OK\r\n\r\n"), 200, "aaa", id="a body that never ends, fast"),
        pytest.param(_flood(b"HTTP/1.1 200 OK\r\nx: "), None, "too long", id="a head without an end"),
        pytest.param(_flood(b"HTTP/1.1 500 No\r\nContent-Length: 9999999999\r\n\r\n"), 500, "aaa", id="a giant"),
    ],
)
def test_no_answer_takes_more_than_it_may(
    talk: Callable[[socket.socket], None], status: int | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drip.notify.post.BODY_SECONDS", 1.0)
    FLOODED.clear()
    with saying(talk) as (url, _), a_poster(seconds=60.0) as poster:
        started = time.monotonic()
        answer = poster.post(an_endpoint(url), "evt_1", BODY)
        assert time.monotonic() - started < ENDS_WITHIN
    assert answer.status == status
    assert text in answer.text
    assert sum(FLOODED) < 20_000_000, "what fits into the buffers of both ends, not what was offered"


def test_nobody_is_there(poster: HttpPoster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answer = poster.post(an_endpoint(f"http://127.0.0.1:{port}/"), "evt_1", BODY)
    assert answer.status is None
    assert "refused" in answer.text


def test_a_resolver_that_does_not_answer_is_not_waited_for_longer() -> None:
    over = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        over.wait(60)
        return []

    with a_poster(seconds=0.5, resolve=resolve) as poster:
        started = time.monotonic()
        assert poster.post(an_endpoint("http://example.com/"), "evt_1", BODY).status is None
        assert time.monotonic() - started < ENDS_WITHIN
    over.set()


def test_the_second_address_is_tried_when_the_first_refuses(receiver: Receiver) -> None:
    with a_poster(resolve=lambda host, port: ["127.0.0.2", "::1", "127.0.0.1"]) as poster:
        url = f"http://hooks.example.com:{receiver.port}/x"
        assert poster.post(an_endpoint(url), "evt_1", BODY).is_success
    assert receiver.got[0].headers["host"] == f"hooks.example.com:{receiver.port}"


@pytest.mark.parametrize("path", ["/año?q=niño&x=a%20b", "/a b", "?only=query", ""])
def test_urls_of_any_text(receiver: Receiver, path: str) -> None:
    with a_poster(resolve=lambda host, port: ["127.0.0.1"]) as poster:
        answer = poster.post(an_endpoint(f"http://bücher.example:{receiver.port}{path}"), "evt_1", BODY)
    assert answer.is_success, answer
    assert receiver.got[0].headers["host"] == f"xn--bcher-kva.example:{receiver.port}"


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def _server(self, authority: Authority, *names: str, wrong: str = "") -> ssl.SSLContext:
        expired, self_signed = wrong == "expired", wrong == "self_signed"
        return authority.certificate(*names, expired=expired, self_signed=self_signed).server_context()

    def test_the_name_is_kept_for_the_certificate(self, authority: Authority) -> None:
        asked: list[str | None] = []
        context = self._server(authority, "hooks.example.com")
        context.sni_callback = lambda connection, name, _: asked.append(name)
        client = ssl.create_default_context(cafile=str(authority.file))
        with receiving(context) as receiver, a_poster(tls=client, resolve=lambda host, port: ["127.0.0.1"]) as poster:
            url = f"https://hooks.example.com:{receiver.port}/x"
            assert poster.post(an_endpoint(url), "evt_1", BODY).is_success
            assert receiver.got[0].headers["host"] == f"hooks.example.com:{receiver.port}"
        assert asked == ["hooks.example.com"]

    @pytest.mark.parametrize("wrong", ["name", "expired", "self_signed", "authority"])
    def test_a_wrong_certificate_gets_nothing(self, authority: Authority, wrong: str) -> None:
        name = "other.example.com" if wrong == "name" else "hooks.example.com"
        client = ssl.create_default_context(cafile=None if wrong == "authority" else str(authority.file))
        with (
            receiving(self._server(authority, name, wrong=wrong)) as receiver,
            a_poster(tls=client, resolve=lambda host, port: ["127.0.0.1"]) as poster,
        ):
            answer = poster.post(an_endpoint(f"https://hooks.example.com:{receiver.port}/"), "evt_1", BODY)
            assert answer.status is None
            assert "CERTIFICATE_VERIFY_FAILED" in answer.text
            assert receiver.got == []
