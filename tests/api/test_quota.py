"""`http.rate_limit` of drip.yaml: off by default, per key, told in headers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from drip.api.quota import Quota
from drip.core.settings import Rate
from drip.engine.keys import create_key
from tests.api.site import SEQUENCES, Site, open_site

MINUTE = timedelta(minutes=1)


def test_there_is_none_by_default(site: Site) -> None:
    responses = [site.client.get(SEQUENCES) for _ in range(20)]
    assert {response.status_code for response in responses} == {200}
    assert not any(name.startswith("ratelimit") for name in responses[0].headers)


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with open_site(tmp_path, http_rate_limit=Rate(3, timedelta(hours=1))) as site:
        left = [site.client.get(SEQUENCES).headers["RateLimit-Remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        refused = site.client.post(SEQUENCES, json={"name": "X"})
        assert refused.status_code == 429
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        headers = refused.headers
        assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("3", "0")
        assert 1190 <= int(headers["Retry-After"]) <= 1200  # a third of an hour for each
        assert 3590 <= int(headers["RateLimit-Reset"]) <= 3600
        assert headers["X-Request-Id"]
        assert site.client.get("/healthz").status_code == 200  # only what needs a key counts
        other = create_key(site.lab.store, "other", site.lab.now).secret
        assert site.client.get(SEQUENCES, headers={"Authorization": f"Bearer {other}"}).status_code == 200
        assert site.client.get(SEQUENCES, headers={"Authorization": "Bearer drip_wrong"}).status_code == 401


def test_requests_come_back_with_time() -> None:
    now = 0.0
    quota = Quota(Rate(2, MINUTE), clock=lambda: now)
    assert [quota.ask("a").wait for _ in range(3)] == [0, 0, 30]
    now = 29.0
    assert quota.ask("a").wait == 1
    now = 30.0
    assert (quota.ask("a").wait, quota.ask("a").wait) == (0, 30)
    now = 1000.0
    assert [quota.ask("a").remaining for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("rate", [Rate(1, timedelta(days=1)), Rate(10_000, timedelta(seconds=1))])
def test_a_refusal_never_says_to_come_back_at_once(rate: Rate) -> None:
    quota = Quota(rate, clock=lambda: 0.0)
    standings = [quota.ask("a") for _ in range(rate.count + 1)]
    assert standings[-1].wait >= 1
    assert all(one.wait == 0 for one in standings[:-1])
