"""Whether the world will believe a From domain: MX, SPF, DKIM, DMARC and their alignment, with what to publish.

What mailboxes ask of senders: support.google.com/a/answer/81126, senders.yahooinc.com/best-practices, and Microsoft's
550 5.7.515. Sends nothing; asks the DNS through `Names`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from drip.core.checkup import Check, DnsRecord, failure, ok, warning
from drip.core.dkim_keys import GOOD_RSA
from drip.core.relays import Relay, relay_of
from drip.core.settings import DkimSettings
from drip.engine.names import Names
from drip.engine.spf import Address, Spf, read_spf


@dataclass(frozen=True, slots=True)
class Way:
    """How mail leaves."""

    host: str | None
    """The mail server; None is the outbox, or a server that is not known."""
    envelope_domain: str | None
    """The domain of MAIL FROM; None is that of From."""
    dkim: DkimSettings | None
    """None: the server signs, or nobody."""
    selector: str | None = None
    """The server's DKIM selector, where somebody said it."""


def examine_domain(names: Names, domain: str, way: Way) -> Iterator[Check]:
    """Everything that can be seen of a From domain from outside; raises NoResolver."""
    yield _mx(names, domain)
    returned = way.envelope_domain or domain
    yield from _spf(names, returned, way)
    signed = []
    for check, signer in _dkim(names, domain, way):
        yield check
        signed += [signer] if signer else []
    yield from _dmarc(names, domain, returned, signed, way)


def _mx(names: Names, domain: str) -> Check:
    found = names.lookup(domain, "MX")
    hosts = [value.split()[-1] for value in found]
    if hosts in (["."], ["0"]):
        cure = "publish the MX of a mailbox, or write From with a domain that has one"
        return failure("mx", f"{domain} says that it takes no mail: nobody can answer", cure)
    if found:
        return ok("mx", f"{domain}: {', '.join(sorted(found)[:3])}")
    if names.lookup(domain, "A") or names.lookup(domain, "AAAA"):
        return warning("mx", f"{domain} has no MX, only an address", "publish an MX: answers and bounces need one")
    cure = "publish the MX of the mailbox that reads answers; many servers refuse a From without one"
    return failure("mx", f"{domain} has neither MX nor address: nobody can answer", cure)


def _spf(names: Names, domain: str, way: Way) -> Iterator[Check]:
    spf = read_spf(names, domain)
    relay = relay_of(way.host or "")
    if not spf.records:
        record = DnsRecord(domain, "TXT", _fresh_spf(names, way, relay))
        yield failure("spf", f"{domain} has no SPF record", "publish one with all that sends for the domain", record)
        return
    if len(spf.records) > 1:
        cure = "keep one, with the mechanisms of all"
        yield failure("spf", f"{domain} has {len(spf.records)} SPF records: that is as good as none", cure)
        return
    for error in spf.errors:
        yield failure("spf", f"{domain}: {error}: that is as good as no SPF", "mend the record, drop what is not used")
    if spf.default == "+":
        record = DnsRecord(domain, "TXT", _with_all(spf.records[0], "~all"))
        yield failure("spf", f"{domain} allows everybody to send (+all)", "end it with ~all", record)
    elif not spf.default and "redirect=" not in spf.records[0].lower():
        record = DnsRecord(domain, "TXT", f"{spf.records[0]} ~all")
        yield warning("spf", f"the SPF record of {domain} does not end with all: it forbids nobody", "end it", record)
    if not spf.errors:
        yield _allowed(names, domain, spf, way, relay)


def _allowed(names: Names, domain: str, spf: Spf, way: Way, relay: Relay | None) -> Check:
    cost = f"{spf.lookups} of 10 lookups"
    if way.host is None:
        return ok("spf", f"{domain} has one, {cost}; which server sends is not known")
    if relay is not None:
        if relay.include in spf.includes:
            return ok("spf", f"{domain} includes {relay.include} for {relay.name}, {cost}")
        record = DnsRecord(domain, "TXT", _with_mechanism(spf.records[0], f"include:{relay.include}"))
        if relay.own_return_path and way.envelope_domain is None:
            return ok("spf", f"{domain} has one, {cost}; {relay.name} sends with a return path of its own")
        return warning("spf", f"the SPF record of {domain} does not include {relay.name}", "include it", record)
    addresses = _addresses(names, way.host)
    public = [address for address in addresses if address.is_global]
    if not public:
        hint = "see that it lists the address your mail leaves from: it can't be told from here"
        return warning("spf", f"{domain} has one, {cost}; {way.host} is not a public server", hint)
    if spf.allows(public):
        return ok("spf", f"{domain} allows {way.host}, {cost}")
    mechanism = " ".join(f"ip{address.version}:{address}" for address in public)
    record = DnsRecord(domain, "TXT", _with_mechanism(spf.records[0], mechanism))
    cure = "add it, unless mail leaves from another of its addresses that is listed"
    return warning("spf", f"the SPF record of {domain} does not allow {way.host} ({public[0]})", cure, record)


def _addresses(names: Names, host: str) -> list[Address]:
    try:
        return [ipaddress.ip_address(host.strip("[]"))]
    except ValueError:
        return [ipaddress.ip_address(text) for kind in ("A", "AAAA") for text in names.lookup(host, kind)]


def _fresh_spf(names: Names, way: Way, relay: Relay | None) -> str:
    if relay is not None:
        return f"v=spf1 include:{relay.include} ~all"
    public = [one for one in _addresses(names, way.host) if one.is_global] if way.host else []
    return " ".join(["v=spf1", *(f"ip{one.version}:{one}" for one in public), *([] if public else ["mx"]), "~all"])


def _with_mechanism(record: str, mechanism: str) -> str:
    terms = record.split()
    place = next((index for index, term in enumerate(terms) if term.lower().lstrip("+-~?") == "all"), len(terms))
    return " ".join([*terms[:place], mechanism, *terms[place:]])


def _with_all(record: str, wanted: str) -> str:
    return " ".join(wanted if term.lower().lstrip("+-~?") == "all" else term for term in record.split())


def _dkim(names: Names, domain: str, way: Way) -> Iterator[tuple[Check, str | None]]:
    """Checks, each with the domain that signs when it does so validly."""
    if way.dkim is not None:
        yield from _own_dkim(names, way.dkim)
        return
    relay = relay_of(way.host or "")
    selectors = (way.selector,) if way.selector else relay.selectors if relay else ()
    for selector in selectors:
        if found := names.lookup(f"{selector}._domainkey.{domain}", "TXT"):
            if _tags(found[0]).get("p") == "":
                continue
            yield ok("dkim", f"{selector}._domainkey.{domain} has a key"), domain
            return
    if way.selector:
        name = f"{way.selector}._domainkey.{domain}"
        yield failure("dkim", f"{name} has no key", "publish what your mail service shows for the domain"), None
        return
    who = relay.name if relay else "the mail server"
    cure = f"--selector NAME looks at the key of {who}; without one, let drip sign: smtp.dkim in drip.yaml"
    yield warning("dkim", f"whether {who} signs for {domain} can't be seen from here", cure), None


def _own_dkim(names: Names, dkim: DkimSettings) -> Iterator[tuple[Check, str | None]]:
    record = own_record(dkim)
    found = names.lookup(record.name, "TXT")
    if not found:
        yield failure("dkim", f"{record.name} has no key: signatures can't be checked", "publish it", record), None
    elif len(found) > 1:
        yield failure("dkim", f"{record.name} has {len(found)} records", "keep this one alone", record), None
    elif "".join(_tags(found[0]).get("p", "").split()) != dkim.key.public:
        message = f"{record.name} has another key than {dkim.key_file.name}: every signature is wrong"
        yield failure("dkim", message, "publish this one, or use the key that belongs to it", record), None
    else:
        yield ok("dkim", f"{record.name} has the key of {dkim.key_file.name}"), dkim.domain
    if dkim.key.algorithm.startswith("ed25519"):
        hint = "sign with RSA: openssl genrsa -out dkim.pem 2048"
        yield warning("dkim", "Gmail and others do not check Ed25519: to them nothing is signed", hint), None
    elif dkim.key.bits < GOOD_RSA:
        yield warning("dkim", f"the key has {dkim.key.bits} bits", "make one of 2048, with another selector"), None


def own_record(dkim: DkimSettings) -> DnsRecord:
    """What has to be published for the key that drip signs with."""
    return DnsRecord(f"{dkim.selector}._domainkey.{dkim.domain}", "TXT", dkim.key.record)


def _dmarc(names: Names, domain: str, returned: str, signed: list[str], way: Way) -> Iterator[Check]:
    found = _policy(names, domain)
    if found is None:
        record = DnsRecord(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=none")
        cure = "publish one: Gmail, Yahoo and Microsoft want it of everybody who sends much"
        yield failure("dmarc", f"{domain} has no DMARC record", cure, record)
        return
    place, texts = found
    tags = _tags(texts[0])
    if len(texts) > 1:
        yield failure("dmarc", f"_dmarc.{place} has {len(texts)} records: that is as good as none", "keep one")
        return
    if tags.get("p", "").lower() not in ("none", "quarantine", "reject"):
        record = DnsRecord(f"_dmarc.{place}", "TXT", "v=DMARC1; p=none")
        yield failure("dmarc", f"the DMARC record of {place} has no policy", "give it one", record)
        return
    yield ok("dmarc", f"_dmarc.{place} says p={tags['p']}")
    yield _alignment(domain, _Family(_top(names, place), tags), returned, signed, way)


def _top(names: Names, place: str) -> str:
    """The highest domain above that has a DMARC record too: all below it are one family."""
    labels = place.split(".")
    above = (".".join(labels[cut:]) for cut in range(len(labels) - 2, 0, -1))
    return next((one for one in above if _policy(names, one)), place)


@dataclass(frozen=True, slots=True)
class _Family:
    """What counts as aligned (RFC 7489, section 3.1)."""

    top: str
    tags: dict[str, str]

    def aligned(self, domain: str, other: str, mode: str) -> bool:
        domain, other = f".{domain.lower()}", f".{other.lower()}"
        if domain == other or self.tags.get(mode, "r").lower() == "s":
            return domain == other
        return domain.endswith(other) or other.endswith(domain) or (self._member(domain) and self._member(other))

    def _member(self, domain: str) -> bool:
        return domain.endswith(f".{self.top}")


def _policy(names: Names, domain: str) -> tuple[str, tuple[str, ...]] | None:
    """The nearest DMARC record at or above a domain: walking up needs no list of public suffixes."""
    labels = domain.split(".")
    for cut in range(len(labels) - 1):
        place = ".".join(labels[cut:])
        texts = names.lookup(f"_dmarc.{place}", "TXT")
        if found := tuple(text for text in texts if text.replace(" ", "").lower().startswith("v=dmarc1")):
            return place, found
    return None


def _alignment(domain: str, family: _Family, returned: str, signed: list[str], way: Way) -> Check:
    relay = relay_of(way.host or "")
    foreign = relay is not None and relay.own_return_path and way.envelope_domain is None
    by_spf = not foreign and family.aligned(domain, returned, "aspf")
    by_dkim = any(family.aligned(domain, signer, "adkim") for signer in signed)
    if by_dkim:
        return ok("alignment", f"DKIM speaks for {domain}" + (", and so does SPF" if by_spf else ""))
    if way.dkim is not None and not family.aligned(domain, way.dkim.domain, "adkim"):
        cure = f"sign with smtp.dkim.domain: {domain}, or write From with {way.dkim.domain}"
        level = warning if by_spf else failure
        return level("alignment", f"DKIM signs for {way.dkim.domain}, which does not speak for {domain}", cure)
    if by_spf:
        cure = "sign with DKIM too: SPF is lost when mail is forwarded"
        return warning("alignment", f"only SPF speaks for {domain}", cure)
    if foreign or way.host is None:
        cure = "see the Authentication-Results of a message to yourself: `drip doctor --send`"
        return warning("alignment", f"whether DKIM speaks for {domain} can't be seen from here", cure)
    cure = f"sign with DKIM for {domain}: smtp.dkim in drip.yaml, or in your mail service"
    return failure("alignment", f"neither SPF ({returned}) nor DKIM speaks for {domain}: DMARC fails", cure)


def _tags(record: str) -> dict[str, str]:
    """Tags and values, as DKIM and DMARC write them."""
    pairs = (tag.partition("=") for tag in record.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
