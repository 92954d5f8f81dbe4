"""Endpoints that were not set in drip.yaml reach no inner address, whatever their name resolves to, and whenever."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from drip.engine.records import Endpoint
from drip.engine.webhooks import checked_url
from drip.errors import Invalid
from drip.notify.post import HttpPoster
from tests.core.test_networks import INNER
from tests.lab import Lab
from tests.notify.receiver import SECRET, Receiver, receiving
from tests.smtp_server.certificates import Authority

KEY = "key_1"


def a_keys_endpoint(url: str) -> Endpoint:
    return Endpoint(1, KEY, url, (SECRET,), None, None, None)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every address that a socket is connected to."""
    found: list[tuple[str, int]] = []
    real = socket.create_connection

    def create_connection(address: tuple[str, int], *args: object, **given: object) -> socket.socket:
        found.append(address)
        return real(address, *args, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", create_connection)
    return found


@pytest.mark.parametrize("address", [address for address in INNER if ":" in address or address.count(".") == 3])
def test_a_name_that_resolves_to_an_inner_address_is_not_connected_to(
    address: str, dialled: list[tuple[str, int]]
) -> None:
    poster = HttpPoster(allow_private=False, resolve=lambda host, port: [address])
    for _ in range(20):
        answer = poster.post(a_keys_endpoint("https://hooks.example.com/x"), "evt_1", b"{}")
        assert answer.status is None
        assert "not a public address" in answer.text
    assert dialled == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f000001", "0", "localhost", "[::1]",
             "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]"],
)  # fmt: skip
def test_no_spelling_of_loopback_gets_through(host: str, receiver: Receiver, dialled: list[tuple[str, int]]) -> None:
    """With the system's resolver: `127.1` and `2130706433` are no addresses to `ipaddress`, but resolve to one."""
    poster = HttpPoster(allow_private=False)
    for _ in range(20):
        answer = poster.post(a_keys_endpoint(f"https://{host}:{receiver.port}/x"), "evt_1", b"{}")
        assert answer.status is None
    assert (dialled, receiver.connections) == ([], 0)


def test_a_name_that_turns_bad_between_two_looks_gains_nothing(
    receiver: Receiver, dialled: list[tuple[str, int]]
) -> None:
    """DNS rebinding: whatever was public at one look, the look that counts is the one that is connected to."""
    answers = iter(["8.8.8.8", *["127.0.0.1"] * 100])
    looked_at_first = next(answers)
    assert looked_at_first == "8.8.8.8"
    poster = HttpPoster(allow_private=False, resolve=lambda host, port: [next(answers)])
    for _ in range(20):
        poster.post(a_keys_endpoint(f"https://rebind.example.com:{receiver.port}/x"), "evt_1", b"{}")
    assert (dialled, receiver.connections) == ([], 0)


def test_the_control_a_check_at_creation_alone_is_caught(
    lab: Lab, tmp_path: Path, dialled: list[tuple[str, int]]
) -> None:
    """A build that trusts what was checked when the URL was set does connect: the tests above would see it."""
    authority = Authority(tmp_path)
    with receiving(authority.certificate("rebind.example.com").server_context()) as canary:
        url = checked_url(f"https://rebind.example.com:{canary.port}/x", lab.settings)
        naive = HttpPoster(
            allow_private=True,
            resolve=lambda host, port: ["127.0.0.1"],
            tls=ssl.create_default_context(cafile=str(authority.file)),
        )
        assert naive.post(a_keys_endpoint(url), "evt_1", b"{}").is_success
        naive.close()
        assert canary.connections == 1
    assert dialled == [("127.0.0.1", canary.port)]


def test_only_the_public_ones_of_several_addresses_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(address: tuple[str, int], *args: object, **given: object) -> socket.socket:
        tried.append(address[0])
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    poster = HttpPoster(allow_private=False, resolve=lambda host, port: ["10.0.0.1", "8.8.8.8", "::1", "2a00:1450::1"])
    assert "refused" in poster.post(a_keys_endpoint("https://mixed.example.com/"), "evt_1", b"{}").text
    assert tried == ["8.8.8.8", "2a00:1450::1"]


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "ftp://hooks.example.com/", "https://a:b@example.com/"])
def test_what_got_into_the_table_all_the_same_is_not_posted(url: str, dialled: list[tuple[str, int]]) -> None:
    answer = HttpPoster(allow_private=False).post(a_keys_endpoint(url), "evt_1", b"{}")
    assert answer.status is None
    assert dialled == []


def test_private_addresses_are_allowed_where_drip_yaml_says_so(receiver: Receiver) -> None:
    poster = HttpPoster(allow_private=True)
    assert poster.post(a_keys_endpoint(receiver.url), "evt_1", b"{}").is_success
    poster.close()


def test_what_drip_yaml_names_is_trusted(receiver: Receiver, poster: HttpPoster) -> None:
    assert poster.post(Endpoint(1, None, receiver.url, (SECRET,), None, None, None), "evt_1", b"{}").is_success


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "https://localhost/x", "https://x.localhost/", "https://127.0.0.1/",
            "https://[::1]/", "https://10.0.0.8:8080/", "https://169.254.169.254/latest/meta-data/",
            "https://a:b@example.com/", "https://", "gopher://example.com/", "https://example.com:0/",
            "https://example.com/ x", "https://example.com/\n", "https://[::1", "https://" + "a" * 2000, "example.com"],
)  # fmt: skip
def test_such_urls_can_not_be_set(lab: Lab, url: str) -> None:
    with pytest.raises(Invalid, match="the webhook's URL"):
        checked_url(url, lab.settings)
