"""A DNS server on loopback with the records it is given: what the tests ask instead of the world.

with DnsServer({("example.com", "TXT"): ['"v=spf1 -all"']}) as dns:
    ...  # dns.port, dns.asked
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Records = Mapping[tuple[str, str], Iterable[str]]
"""(name, type) -> values as in a zone file."""


class DnsServer:
    """Answers over UDP; what it has no record of does not exist. Records may be changed while it runs."""

    def __init__(self, records: Records | None = None) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.add(records or {})
        self.asked: list[tuple[str, str]] = []
        self.rcode: dns.rcode.Rcode | None = None
        """What every question is answered with; None answers them."""
        self.silent = False
        """Whether nothing is answered."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def add(self, records: Records) -> None:
        """Add records, or replace those of the same name and type."""
        for (name, kind), values in records.items():
            self.records[name.lower().rstrip("."), kind] = list(values)

    def __enter__(self) -> DnsServer:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        # An empty datagram ends the loop: closing alone would not wake it.
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            octets, client = self._socket.recvfrom(4096)
            if not octets:
                return
            if not self.silent:
                self._socket.sendto(self._answer(octets), client)

    def _answer(self, octets: bytes) -> bytes:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.rcode is not None:
            response.set_rcode(self.rcode)
        elif values := self.records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(question.name, 300, "IN", kind, *values))
        elif not any(known == name or known.endswith("." + name) for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire(max_size=65535)


def txt(value: str) -> str:
    """A TXT value as a zone file has it: strings of at most 255 octets."""
    return " ".join(f'"{value[start : start + 255]}"' for start in range(0, len(value), 255))
