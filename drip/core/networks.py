"""Which addresses are public, and which are this machine. Pure.

Public is an explicit list, as `ipaddress.is_global` lets NAT64, 6to4 and multicast pass.

Sources: the special-purpose registries of IANA (https://www.iana.org/assignments/iana-ipv4-special-registry and
…/iana-ipv6-special-registry), RFC 6890, and Svix's `webhook_http_client.rs`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_INNER_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; the metadata services of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
    )
)

_OUTER_6 = IPv6Network("2000::/3")
"""What is given out for use on the internet. Everything else is loopback, unique local, link-local, site-local,
multicast, v4-compatible, discard (100::/64), NAT64 (64:ff9b::/96, 64:ff9b:1::/48), SRv6 (5f00::/16) or reserved."""

_INNER_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocols: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def is_public(address: str) -> bool:
    """Whether an address, as a resolver gives it, may be posted to by somebody who is not trusted.

    An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is looked at as what it is. What is no address is not public.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return _is_public_6(parsed)
        parsed = parsed.ipv4_mapped
    return _is_public_4(parsed)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in _INNER_4)


def _is_public_6(address: IPv6Address) -> bool:
    return address.scope_id is None and address in _OUTER_6 and not any(address in network for network in _INNER_6)


def is_address(host: str) -> bool:
    """Whether a host is written as an address, not as a name.

    Resolvers read `127.1`, `0x7f000001` and `2130706433` as one too: a host that ends in a number (WHATWG URL, "ends in
    a number").
    """
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone; nothing is looked up."""
    name = host.lower().rstrip(".").strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
