"""Which zone a person lives in."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.schedule import (
    subscriber_zone,
    zone,
)
from drip.core.sequence import Sequence
from tests import strategies
from tests.core.walls import (
    APIA,
    MADRID,
    NEW_YORK,
)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Base",
        "America",
        "../etc/passwd",
        "/etc/localtime",
        "UTC\0",
        "\ud800",
        "a" * 5000,
        "tzdata.zi",
        "zone.tab",
        "Europe/Madrid/",
        "Europe\\Madrid",
        " UTC",
    ],
)
def test_a_name_that_is_no_zone_gives_none(name: str) -> None:
    assert zone(name) is None


def test_a_zone_has_its_own_name() -> None:
    assert zone("Europe/Madrid") == MADRID
    assert zone("UTC") == ZoneInfo("UTC")


@given(st.text() | st.sampled_from(strategies.ZONES))
def test_any_text_is_a_zone_or_none(name: str) -> None:
    found = zone(name)
    assert found is None or found.key == name


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("America/New_York", NEW_YORK),
        ("Mars/Base", MADRID),
        ("", MADRID),
        (None, MADRID),
        (7, MADRID),
        (["UTC"], MADRID),
    ],
)
def test_the_variable_timezone_goes_before_the_sequence_if_it_names_one(wanted: object, expected: ZoneInfo) -> None:
    assert subscriber_zone(wanted, Sequence("s", "S", timezone="Europe/Madrid"), APIA) == expected
    no_zone = APIA if expected == MADRID else expected
    assert subscriber_zone(wanted, Sequence("s", "S"), APIA) == no_zone
