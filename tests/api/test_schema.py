"""`/openapi.json` is true: schemathesis finds no answer that it does not describe, with all its checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from drip.api import answers
from drip.api.models import SequenceIn
from tests.api.site import SEQUENCES, WORDS, Site

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.slow
def test_schemathesis_finds_nothing(site: Site, tmp_path: Path) -> None:
    """All phases and checks; the seed makes every run the same.

    Of the zones only a few: each would be a request, twice, and half of all; `test_every_zone_is_accepted` has them.
    """
    site.sequence(steps=2)
    address = str(site.client.base_url).rstrip("/")
    document = site.client.get("/openapi.json").json()
    del document["components"]["schemas"]["TimeZone"]["enum"][4:]
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", "openapi.json"]
    command += [
        "--url",
        address,
        "--header",
        f"Authorization: Bearer {site.key}",
        "--checks",
        "all",
        "--continue-on-failure",
    ]
    command += ["--max-examples", "5", "--seed", "7", "--workers", "2", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "passed" in done.stdout


def test_every_zone_is_accepted(site: Site) -> None:
    zones = site.client.get("/openapi.json").json()["components"]["schemas"]["TimeZone"]["enum"]
    assert {"UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires"} < set(zones)
    for zone in zones:
        SequenceIn.model_validate({"name": "X", "timezone": zone})


def assert_described(model: type[BaseModel], answer: dict[str, Any]) -> None:
    assert set(model.model_validate(answer).model_dump(by_alias=True)) == set(answer)


def test_what_is_answered_is_what_is_described(site: Site) -> None:
    """The models of answers have exactly the fields that handlers give."""
    path = site.sequence(steps=2, send_window={"days": "mon-fri"})
    site.subscribe(path)
    site.lab.tick()
    assert_described(answers.SequenceWithSteps, site.call("GET", path))
    assert_described(answers.Sequence, site.call("GET", SEQUENCES)[0])
    assert_described(answers.Subscription, site.call("GET", f"{path}/subscribers")[0])
    assert_described(answers.Stats, site.call("GET", f"{path}/stats"))
    assert_described(answers.Template, site.call("POST", "/v1/bulk/templates", {"name": "T", **WORDS}))
    assert_described(answers.Contact, site.call("GET", "/v1/bulk/contacts")[0])
    assert_described(answers.Suppression, site.call("POST", "/v1/suppressions", {"email": "x@empresa.com"}))
    assert_described(answers.SuppressionPage, site.call("GET", "/v1/suppressions"))
    assert_described(answers.Webhook, site.call("GET", f"/v1/client/keys/{site.key_id}/webhook"))
    assert_described(answers.ErrorAnswer, site.call("POST", SEQUENCES, {}))
    for event in site.call("GET", "/v1/events"):
        assert_described(answers.Event, event)


def test_everything_below_v1_says_that_it_needs_a_key(site: Site) -> None:
    document = site.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            guarded = path.startswith("/v1/") and not path.startswith("/v1/inbound/")
            assert (operation.get("security") == [{"key": []}]) == guarded, (method, path)
            assert operation["summary"]
            assert all("X-Request-Id" in answer["headers"] for answer in operation["responses"].values())
    assert site.client.get("/docs").status_code == 200
