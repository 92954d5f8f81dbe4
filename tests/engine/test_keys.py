"""API keys: recognised only as they are, in constant time, and nowhere to be found afterwards."""

from __future__ import annotations

import hmac
import random
import statistics
import time
from datetime import timedelta

import pytest

from drip.engine.keys import KEY_PREFIX, SHOWN, authenticate, create_key, find_key, rename_key, revoke_key
from drip.errors import DripError, Invalid, NotFound, Refused
from tests.lab import Lab


def test_a_key_is_known_by_itself_alone(lab: Lab) -> None:
    made = create_key(lab.store, "app", lab.now)
    other = create_key(lab.store, "other", lab.now)
    assert made.secret.startswith(KEY_PREFIX)
    assert len(made.secret) == len(KEY_PREFIX) + 43, "256 bits in base64"
    found = authenticate(lab.store, made.secret, lab.now)
    assert found is not None
    assert (found.id, found.name) == (made.key.id, "app")
    assert authenticate(lab.store, other.secret, lab.now) == other.key


def test_no_forgery_is_accepted_and_none_is_an_error(lab: Lab) -> None:
    secret = create_key(lab.store, "app", lab.now).secret
    raw = secret.encode()
    flipped = [
        bytes(octet ^ (1 << bit) if at == index else octet for at, octet in enumerate(raw))
        for index in range(len(raw))
        for bit in range(8)
    ]
    cut = [secret[:length] for length in range(len(secret))]
    odd = ["", "é", "\0", "\ud800", secret + " ", " " + secret, secret.upper(), secret + "\udfff", "x" * 1_000_000,
           secret[:SHOWN] + "é" * 40, "drip_", "🦆" * 100]  # fmt: skip
    for forged in [*(octets.decode("latin-1") for octets in flipped), *cut, *odd]:
        assert authenticate(lab.store, forged, lab.now) is None


def test_a_revoked_key_is_refused_at_once(lab: Lab) -> None:
    made = create_key(lab.store, "app", lab.now)
    key, revoked = revoke_key(lab.store, made.key.id, lab.now)
    assert (key.id, revoked) == (made.key.id, True)
    assert authenticate(lab.store, made.secret, lab.now) is None
    assert not revoke_key(lab.store, made.key.id, lab.now)[1]


def test_the_last_use_is_written_once_a_minute(lab: Lab) -> None:
    made = create_key(lab.store, "app", lab.now)
    for seconds, written in ((0, 0), (59, 0), (60, 60), (119, 60), (3600, 3600)):
        authenticate(lab.store, made.secret, lab.now + timedelta(seconds=seconds))
        assert lab.store.keys.all()[0].last_used_at == lab.now + timedelta(seconds=written)


@pytest.mark.sqlite
def test_nothing_that_is_kept_or_shown_has_the_key(lab: Lab) -> None:
    made = create_key(lab.store, "app", lab.now)
    authenticate(lab.store, made.secret, lab.now)
    hidden = made.secret[SHOWN:]
    assert hidden not in repr(made) + repr(made.key)
    lab.store.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    assert hidden.encode() not in (lab.folder / "drip.db").read_bytes()
    for call in (find_key, lambda store, name: revoke_key(store, name, lab.now)):
        with pytest.raises(DripError) as caught:
            call(lab.store, made.secret)
        assert hidden not in f"{caught.value} {caught.value.hint}"


def test_the_same_work_is_done_for_unknown_prefixes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = create_key(lab.store, "app", lab.now).secret
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    authenticate(lab.store, "drip_unknown", lab.now)
    assert compared == [(32, 32)]
    authenticate(lab.store, secret[:-1], lab.now)
    assert compared == [(32, 32)] * 3, "of bytes, and never of text"


def test_how_much_is_right_does_not_show_in_the_time(lab: Lab) -> None:
    """One octet right or all but one: medians that a network would never tell apart."""
    secret = create_key(lab.store, "app", lab.now).secret
    wrong = {"early": secret[:SHOWN] + "!" * 37, "late": secret[:-1] + "!"}
    times: dict[str, list[float]] = {name: [] for name in wrong}
    for _ in range(1500):
        for name in random.Random(len(times["early"])).sample(sorted(wrong), 2):
            started = time.perf_counter()
            authenticate(lab.store, wrong[name], lab.now)
            times[name].append(time.perf_counter() - started)
    early, late = (statistics.median(times[name]) for name in ("early", "late"))
    assert abs(early - late) < 0.2 * early


def test_keys_are_found_by_id_or_by_a_name_that_is_one(lab: Lab) -> None:
    with pytest.raises(NotFound) as caught:
        find_key(lab.store, "app")
    assert "drip keys create" in str(caught.value.hint)
    first, second = (create_key(lab.store, "app", lab.now).key for _ in range(2))
    assert find_key(lab.store, second.id) == second
    with pytest.raises(Refused, match="several keys"):
        find_key(lab.store, "app")
    revoke_key(lab.store, first.id, lab.now)
    assert find_key(lab.store, "app") == second
    rename_key(lab.store, second, " new\nname ")
    assert find_key(lab.store, "new name").id == second.id
    with pytest.raises(NotFound, match="'pap'"):
        find_key(lab.store, "pap")


@pytest.mark.parametrize("name", ["", "  ", "\n", "x" * 101])
def test_names_that_are_none(lab: Lab, name: str) -> None:
    with pytest.raises(Invalid):
        create_key(lab.store, name, lab.now)
