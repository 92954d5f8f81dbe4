"""What is seen of a From domain from outside, asked of a real DNS server on loopback."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.core.checkup import Check, Level
from drip.core.dkim_keys import read_key
from drip.core.settings import DkimSettings
from drip.engine.names import NoResolver
from drip.engine.sender_domain import Way, examine_domain
from drip.engine.spf import read_spf
from drip.transport.resolver import Resolver
from tests.dns_server import DnsServer, Records, txt

RELAY = "mx.relay.net"
GOOD: Records = {
    ("example.com", "MX"): ["10 in.example.com."],
    ("example.com", "TXT"): ['"v=spf1 include:spf.relay.net ip4:192.0.2.0/24 ~all"', '"something=else"'],
    ("spf.relay.net", "TXT"): ['"v=spf1 a:mx.relay.net ip6:2001:db8::/32 -all"'],
    (RELAY, "A"): ["9.9.9.9"],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=none; rua=mailto:a@example.com"'],
}
KEY = read_key(base64.b64encode(bytes(32)))
DKIM = DkimSettings("example.com", "drip1", Path("dkim.key"), KEY)
SIGNED: Records = {("drip1._domainkey.example.com", "TXT"): [txt(KEY.record)]}


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer(GOOD) as server:
        yield server


def examined(dns: DnsServer, way: Way | None = None, domain: str = "example.com") -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in examine_domain(Resolver(("127.0.0.1", dns.port)), domain, way or Way(RELAY, None, None)):
        found.setdefault(check.name, []).append(check)
    return found


def levels(found: dict[str, list[Check]]) -> dict[str, str]:
    return {name: " ".join(check.level.value for check in checks) for name, checks in found.items()}


def test_a_domain_that_all_believe(dns: DnsServer) -> None:
    dns.add(SIGNED)
    found = examined(dns, Way(RELAY, None, DKIM))
    assert levels(found) == {"mx": "ok", "spf": "ok", "dkim": "ok warning", "dmarc": "ok", "alignment": "ok"}
    assert "2 of 10 lookups" in found["spf"][0].message
    assert "Ed25519" in found["dkim"][1].message


def test_a_domain_that_publishes_nothing_fails_with_each_record_to_publish(dns: DnsServer) -> None:
    found = examined(dns, Way(RELAY, None, DKIM), "new.example.org")
    assert levels(found) == {"mx": "failure", "spf": "failure", "dkim": "failure warning", "dmarc": "failure"}
    records = {name: checks[0].record for name, checks in found.items()}
    assert [(one.name, one.type, one.value) for one in records.values() if one] == [
        ("new.example.org", "TXT", "v=spf1 ip4:9.9.9.9 ~all"),
        ("drip1._domainkey.example.com", "TXT", KEY.record),
        ("_dmarc.new.example.org", "TXT", "v=DMARC1; p=none"),
    ]
    assert all(check.cure for checks in found.values() for check in checks)


@pytest.mark.parametrize(
    ("record", "level", "said", "wanted"),
    [
        (
            "v=spf1 ip4:192.0.2.1 -all",
            "warning",
            "does not allow mx.relay.net",
            "v=spf1 ip4:192.0.2.1 ip4:9.9.9.9 -all",
        ),
        ("v=spf1 ip4:9.9.9.0/24 -all", "ok", "allows mx.relay.net", None),
        ("v=spf1 a:mx.relay.net/31 -all", "ok", "1 of 10 lookups", None),
        ("v=spf1 redirect=spf.relay.net", "ok", "2 of 10 lookups", None),
        ("v=spf1 a:mx.relay.net +all", "failure ok", "everybody", "v=spf1 a:mx.relay.net ~all"),
        ("v=spf1 a:mx.relay.net", "warning ok", "does not end with all", "v=spf1 a:mx.relay.net ~all"),
        ("v=spf1 include:nowhere.net ~all", "failure", "nowhere.net, which has no SPF record", None),
        ("v=spf1 include:example.com ~all", "failure", "leads back", None),
        ("v=spf1 ipv4:9.9.9.9 ~all", "failure", "'ipv4:9.9.9.9'", None),
        ("v=spf1 ip4:999.1.1.1 ~all", "failure", "'ip4:999.1.1.1'", None),
        ("v=spf1 exists:%{i}.x.net " + "a:mx.relay.net " * 10 + "~all", "failure", "11 lookups, more than 10", None),
        ("v=spf1 exists:%{i}.x.net " + "a:mx.relay.net " * 9 + "~all", "ok", "10 of 10 lookups", None),
    ],
)
def test_spf_is_judged_by_whether_it_lets_us_send(
    dns: DnsServer, record: str, level: str, said: str, wanted: str | None
) -> None:
    dns.add({("example.com", "TXT"): [txt(record)]})
    checks = examined(dns)["spf"]
    assert " ".join(check.level.value for check in checks) == level
    assert said in checks[0].message
    assert (checks[0].record.value if checks[0].record else None) == wanted


def test_two_spf_records(dns: DnsServer) -> None:
    dns.add({("example.com", "TXT"): ['"v=spf1 -all"', '"v=spf1 mx -all"']})
    (check,) = examined(dns)["spf"]
    assert (check.level, "2 SPF records" in check.message) == (Level.FAILURE, True)


@pytest.mark.parametrize(
    ("host", "envelope", "level", "record"),
    [
        ("smtp.gmail.com", None, "warning", "v=spf1 mx include:_spf.google.com ~all"),
        ("email-smtp.eu-west-1.amazonaws.com", None, "ok", None),
        ("email-smtp.eu-west-1.amazonaws.com", "example.com", "warning", "v=spf1 mx include:amazonses.com ~all"),
        ("localhost", None, "warning", None),
        (None, None, "ok", None),
    ],
)
def test_known_services_and_those_that_can_not_be_seen(
    dns: DnsServer, host: str | None, envelope: str | None, level: str, record: str | None
) -> None:
    dns.add({("example.com", "TXT"): ['"v=spf1 mx ~all"'], ("localhost", "A"): ["127.0.0.1"]})
    (check,) = examined(dns, Way(host, envelope, None))["spf"]
    assert (check.level.value, check.record.value if check.record else None) == (level, record)


@pytest.mark.parametrize(
    ("records", "level", "said"),
    [
        ([], "failure", "has no key"),
        ([txt(KEY.record), txt("x")], "failure", "2 records"),
        ([txt("v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(32)).decode())], "failure", "another key"),
        ([txt(KEY.record.replace("; ", ";"))], "ok", "has the key of dkim.key"),
    ],
)
def test_the_key_that_drip_signs_with(dns: DnsServer, records: list[str], level: str, said: str) -> None:
    dns.add({("drip1._domainkey.example.com", "TXT"): records})
    check = examined(dns, Way(RELAY, None, DKIM))["dkim"][0]
    assert (check.level.value, said in check.message) == (level, True)
    assert level == "ok" or (check.record is not None and check.record.value == KEY.record)


def test_the_selector_of_a_mail_service(dns: DnsServer) -> None:
    dns.add({("s9._domainkey.example.com", "TXT"): ['"v=DKIM1; p=AAAA"']})
    assert levels(examined(dns, Way(RELAY, None, None, "s9")))["dkim"] == "ok"
    assert levels(examined(dns, Way(RELAY, None, None, "s8")))["dkim"] == "failure"
    assert levels(examined(dns, Way(RELAY, None, None)))["dkim"] == "warning"


@pytest.mark.parametrize(
    ("way", "dmarc", "level"),
    [
        (Way(RELAY, None, DKIM), "p=none", "ok"),
        (Way(RELAY, None, None), "p=none", "warning"),
        (Way(RELAY, "bounces.example.com", None), "p=reject", "warning"),
        (Way(RELAY, "bounces.example.com", None), "p=reject; aspf=s", "failure"),
        (Way(RELAY, "relay.net", None), "p=none", "failure"),
        (Way(RELAY, "relay.net", DKIM), "p=none", "ok"),
        (Way("email-smtp.eu-west-1.amazonaws.com", None, None), "p=none", "warning"),
    ],
)
def test_dmarc_is_held_against_how_our_mail_is_aligned(dns: DnsServer, way: Way, dmarc: str, level: str) -> None:
    dns.add({**SIGNED, ("_dmarc.example.com", "TXT"): [txt(f"v=DMARC1; {dmarc}")]})
    dns.add({("bounces.example.com", "TXT"): ['"v=spf1 a:mx.relay.net -all"']})
    assert levels(examined(dns, way))["alignment"] == level


def test_a_subdomain_has_the_policy_of_the_domain_above(dns: DnsServer) -> None:
    dns.add(SIGNED)
    found = examined(dns, Way(RELAY, "example.com", DKIM), "news.example.com")
    assert found["dmarc"][0].message == "_dmarc.example.com says p=none"
    assert levels(found)["alignment"] == "ok"


def test_a_null_mx(dns: DnsServer) -> None:
    dns.add({("example.com", "MX"): ["0 ."]})
    assert "takes no mail" in examined(dns)["mx"][0].message


@pytest.mark.parametrize("domain", ["", "a..b", "x" * 70 + ".com", ".".join(["y" * 60] * 5), "\\"])
def test_names_that_are_none(dns: DnsServer, domain: str) -> None:
    assert read_spf(Resolver(("127.0.0.1", dns.port)), domain).records == ()


def test_a_resolver_that_does_not_answer_is_said(dns: DnsServer) -> None:
    dns.silent = True
    with pytest.raises(NoResolver):
        Resolver(("127.0.0.1", dns.port), seconds=0.3).lookup("example.com", "TXT")
