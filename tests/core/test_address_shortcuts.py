"""The short ways for common addresses say what the long ones say."""

from __future__ import annotations

import unicodedata

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from drip.core.address import email_key, parse_email

_PARTS = st.text("abzAZ09._+-!%' é@\t\n", min_size=1, max_size=12)
_LABELS = st.text("abzAZ09-.éßxn_ \n", min_size=1, max_size=14)
_ENDS = st.sampled_from([".com", ".test", ".local", ".example", "", ".c", ".123", ".xn--p1ai", "."])
_LONG = st.integers(55, 70).map(lambda count: "a" * count) | _PARTS
addresses = st.builds(lambda local, domain, end: f"{local}@{domain}{end}", _LONG, _LABELS, _ENDS)


def by_the_library(text: str) -> str | None:
    """What `parse_email` promises, with nothing short about it."""
    try:
        valid = validate_email(text.strip(" "), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    email = f"{valid.local_part}@{valid.ascii_domain}"
    return None if {"%", "!"} & set(valid.local_part) or len(email.encode()) > 254 else email


@settings(max_examples=600, deadline=None)
@given(addresses)
def test_an_address_is_what_the_library_says(text: str) -> None:
    try:
        found: str | None = parse_email(text)
    except ValueError:
        found = None
    assert found == by_the_library(text)


@pytest.mark.parametrize("text", ["a@" + ".".join(["b" * 60] * 5) + ".com", "a" * 64 + "@" + "b" * 63 + ".com"])
def test_long_addresses_are_what_the_library_says(text: str) -> None:
    try:
        found: str | None = parse_email(text)
    except ValueError:
        found = None
    assert found == by_the_library(text)


@given(
    st.text("abZ09.+É\u0130ßé \t", max_size=12), st.sampled_from(["@", ""]), st.sampled_from(["Example.COM", "b.c", ""])
)
def test_a_key_is_normalised_and_casefolded(local: str, at: str, domain: str) -> None:
    email = local + at + domain
    left, _, right = email.strip().rpartition("@")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", left).casefold())
    assert email_key(email) == f"{folded}@{right.lower()}"
