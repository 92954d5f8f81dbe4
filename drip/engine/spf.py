"""SPF (RFC 7208) as the owner of a domain needs it: which records there are, what they cost, whom they allow.

Not a verifier for mail that comes in: macros are counted and not expanded.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from drip.engine.names import Names

MOST_LOOKUPS = 10
"""RFC 7208, section 4.6.4; more is a permanent error to everybody."""
_ASKING = frozenset({"include", "a", "mx", "ptr", "exists"})
_MECHANISMS = _ASKING | {"all", "ip4", "ip6"}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class Spf:
    """A domain's SPF, followed through its includes."""

    records: tuple[str, ...]
    """There should be one."""
    lookups: int = 0
    includes: list[str] = field(default_factory=list)
    """The domains included, directly or not."""
    errors: list[str] = field(default_factory=list)
    """What makes it void: everybody takes it as a permanent error."""
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = field(default_factory=list)
    """Who may send, as far as it was followed."""
    default: str = ""
    """The qualifier of `all`, or empty without one."""

    def allows(self, addresses: Iterable[Address]) -> bool:
        """Whether one of these may send."""
        return any(address in network for address in addresses for network in self.networks)


def read_spf(names: Names, domain: str) -> Spf:
    """Look at a domain's SPF; raises NoResolver."""
    records = _records(names, domain)
    spf = Spf(records)
    if len(records) == 1:
        _follow(names, domain, records[0], spf, (domain,))
    if spf.lookups > MOST_LOOKUPS:
        spf.errors.append(f"it takes {spf.lookups} lookups, more than {MOST_LOOKUPS}")
    return spf


def _records(names: Names, domain: str) -> tuple[str, ...]:
    texts = names.lookup(domain, "TXT")
    return tuple(text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 "))


def _follow(names: Names, domain: str, record: str, spf: Spf, path: tuple[str, ...]) -> None:
    redirect = None
    for term in record.split()[1:]:
        name, equals, value = term.partition("=")
        if equals and ":" not in name and "/" not in name:
            redirect = value if name.lower() == "redirect" else redirect
        elif not _mechanism(names, domain, term, spf, path):
            spf.errors.append(f"{term!r} in the record of {domain} is no mechanism")
    if redirect is not None and not any(_name(term) == "all" for term in record.split()[1:]):
        spf.lookups += 1
        _enter(names, redirect, "redirects to", spf, path)


def _mechanism(names: Names, domain: str, term: str, spf: Spf, path: tuple[str, ...]) -> bool:
    name = _name(term)
    if name not in _MECHANISMS:
        return False
    qualifier = term[0] if term[0] in "+-~?" else "+"
    argument = term.lstrip("+-~?")[len(name) :]
    spf.lookups += name in _ASKING
    if name == "all" and len(path) == 1:
        spf.default = qualifier
    elif name == "include":
        target = argument.removeprefix(":")
        spf.includes.append(target.lower())
        _enter(names, target, "includes", spf, path)
    elif qualifier == "+" and name in ("ip4", "ip6"):
        return _network(spf, argument.removeprefix(":"))
    elif qualifier == "+" and name in ("a", "mx") and spf.lookups <= MOST_LOOKUPS:
        target, _, length = argument.removeprefix(":").partition("/")
        for address in _addresses(names, target or domain, name):
            _network(spf, address, length)
    return True


def _enter(names: Names, target: str, verb: str, spf: Spf, path: tuple[str, ...]) -> None:
    if "%" in target or spf.lookups > MOST_LOOKUPS:
        return
    if target.lower() in path:
        spf.errors.append(f"{path[-1]} {verb} {target}, which leads back to it")
        return
    found = _records(names, target)
    if len(found) != 1:
        many = "no SPF record" if not found else f"{len(found)} SPF records"
        spf.errors.append(f"{path[-1]} {verb} {target}, which has {many}")
        return
    _follow(names, target, found[0], spf, (*path, target.lower()))


def _name(term: str) -> str:
    return term.lstrip("+-~?").partition(":")[0].partition("/")[0].lower()


def _network(spf: Spf, text: str, length: str = "") -> bool:
    try:
        short = length.partition("/")[0] if ":" not in text else length.rpartition("/")[2] if "/" in length else ""
        spf.networks.append(ipaddress.ip_network(f"{text}/{short}" if short else text, strict=False))
    except ValueError:
        return False
    return True


def _addresses(names: Names, target: str, kind: str) -> Iterator[str]:
    hosts = [target]
    if kind == "mx":
        hosts = [value.split()[-1] for value in names.lookup(target, "MX")][:MOST_LOOKUPS]
    for host in hosts:
        yield from names.lookup(host, "A")
        yield from names.lookup(host, "AAAA")
