"""When a post is tried again, and what an answer means: tables, with the arithmetic beside them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from drip.core.webhooks import (
    WAITS,
    Answer,
    PostState,
    check_secret,
    event_body,
    judge,
    masked_secret,
    new_secret,
    retry_after,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOURS = 3600


def test_the_waits_are_those_of_the_standard() -> None:
    seconds = [5, 5 * 60, 30 * 60, 2 * HOURS, 5 * HOURS, 10 * HOURS, 14 * HOURS, 20 * HOURS, 24 * HOURS]
    waits = [judge(Answer(500), tries, NOW, jitter=0).next_attempt_at for tries in range(1, 10)]
    assert waits == [NOW + timedelta(seconds=wait) for wait in seconds]
    last = judge(Answer(500), 10, NOW, jitter=0)
    assert (last.state, last.next_attempt_at) == (PostState.DEAD, None)


@pytest.mark.parametrize("jitter", [-1, -0.5, 0.5, 1])
def test_jitter_spreads_a_wait_by_a_tenth(jitter: float) -> None:
    verdict = judge(Answer(None), 2, NOW, jitter=jitter)
    assert verdict.next_attempt_at == NOW + WAITS[1] * (1 + jitter / 10)


@pytest.mark.parametrize(
    ("status", "state", "hold_seconds", "disables"),
    [
        (200, PostState.DELIVERED, None, False),
        (204, PostState.DELIVERED, None, False),
        (299, PostState.DELIVERED, None, False),
        (199, PostState.WAITING, None, False),
        (301, PostState.WAITING, None, False),
        (302, PostState.WAITING, None, False),
        (307, PostState.WAITING, None, False),
        (400, PostState.WAITING, None, False),
        (404, PostState.WAITING, None, False),
        (410, PostState.DEAD, None, True),
        (429, PostState.WAITING, 5, False),
        (500, PostState.WAITING, None, False),
        (502, PostState.WAITING, 5, False),
        (503, PostState.WAITING, None, False),
        (504, PostState.WAITING, 5, False),
        (None, PostState.WAITING, None, False),
    ],
)
def test_what_an_answer_means(status: int | None, state: PostState, hold_seconds: int | None, disables: bool) -> None:
    verdict = judge(Answer(status), 1, NOW, jitter=0)
    hold = None if hold_seconds is None else NOW + timedelta(seconds=hold_seconds)
    assert (verdict.state, verdict.hold_until, verdict.disables) == (state, hold, disables)


def test_a_busy_endpoint_that_does_not_say_for_how_long_is_held_for_five_minutes_at_most() -> None:
    verdict = judge(Answer(429), 9, NOW, jitter=0)
    assert verdict.hold_until == NOW + timedelta(minutes=5)
    assert verdict.next_attempt_at == NOW + timedelta(hours=24)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_retry_after_holds_the_endpoint_and_the_post(status: int) -> None:
    verdict = judge(Answer(status, retry_after="120"), 1, NOW, jitter=0)
    assert verdict.next_attempt_at == verdict.hold_until == NOW + timedelta(seconds=120)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        (" 30 ", 30),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٣", 0),
        ("9" * 400, 24 * HOURS),
        ("Mon, 02 Mar 2026 09:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0),
        ("Mon, 02 Mar 2026 09:01:00 -0000", 0),
        ("Tue, 02 Mar 2196 09:00:00 GMT", 24 * HOURS),
        ("Mon, 99 Mar 2026 09:01:00 GMT", 0),
    ],
)
def test_retry_after_in_all_its_forms(text: str | None, seconds: int) -> None:
    assert retry_after(text, NOW) == timedelta(seconds=seconds)


def test_a_body_is_flat_json_in_the_order_of_the_manual() -> None:
    body = event_body("e", ts="t", app="a", public_id="evt_1", subject={"variables": {"n": "é"}}, extra={"x": None})
    assert body == '{"event":"e","ts":"t","app":"a","id":"evt_1","variables":{"n":"é"},"x":null}'.encode()


def test_a_body_is_json_whatever_text_is_in_it() -> None:
    odd = '\ud800 \u2028 \0 " \\'
    body = event_body("e", ts="t", app="a", public_id="evt_1", subject={"variables": {"n": odd}}, extra={})
    assert json.loads(body)["variables"] == {"n": odd}


def test_secrets_are_made_and_masked() -> None:
    secret = new_secret(bytes(range(32)))
    assert check_secret(secret) == secret
    assert masked_secret(secret) == "whsec_••••" + secret.rstrip("=")[-4:]
    assert masked_secret("whsec_c2hvcnQ=") == "whsec_••••"


@pytest.mark.parametrize(
    "text", ["", "whsec_", "c2VjcmV0", "whsec_ä", "whsec_c2Vj cmV0", "whsec_c2V", "WHSEC_c2VjcmV0"]
)
def test_what_is_no_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and base64") as caught:
        check_secret(text)
    assert not text or text not in str(caught.value).replace("whsec_ and", "")
