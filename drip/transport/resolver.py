"""DNS through dnspython; its only home but dkimpy's. Loaded by `drip doctor` alone."""

from __future__ import annotations

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from drip.engine.names import NoResolver

SECONDS = 3.0
"""For one question, over all servers."""


class Resolver:
    """Asks the system's servers, or one that is named; remembers what it was told."""

    def __init__(self, server: tuple[str, int] | None = None, *, seconds: float = SECONDS) -> None:
        """
        Args:
            server: address and port; None takes those of the system.

        Raises:
            NoResolver: the system names none.
        """
        try:
            self._resolver = dns.resolver.Resolver(configure=server is None)
        except dns.resolver.NoResolverConfiguration as error:
            raise NoResolver("this machine has no resolver", "set one in /etc/resolv.conf") from error
        if server is not None:
            self._resolver.nameservers = [server[0]]
            self._resolver.port = server[1]
        self._resolver.lifetime = seconds
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        """See `engine.names.Names.lookup`."""
        key = (name.lower().rstrip("."), kind)
        if key not in self._known:
            self._known[key] = self._ask(*key)
        return self._known[key]

    def _ask(self, name: str, kind: str) -> tuple[str, ...]:
        try:
            answer = self._resolver.resolve(dns.name.from_text(name), kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.YXDOMAIN, dns.name.LabelTooLong):
            return ()
        except (dns.name.EmptyLabel, dns.name.NameTooLong, dns.name.BadEscape):
            return ()
        except (dns.resolver.NoNameservers, dns.exception.Timeout, OSError) as error:
            raise NoResolver(f"no resolver answers for {name}", "see that this machine can ask the DNS") from error
        return tuple(_text(value) for value in answer)


def _text(value: object) -> str:
    strings = getattr(value, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    return str(value).rstrip(".")
