"""Reading SMTP answers within a time and a size, whatever a server does. Knows sockets, and no mail library."""

from __future__ import annotations

import select
import ssl
import time
from socket import socket

LONGEST_REPLY = 10_000
"""Octets of one answer, all lines together; RFC 5321, section 4.5.3.1.5, wants 512 a line."""
BLOCK = 256 * 1024
"""Octets of a message that must be taken within one timeout (RFC 5321, section 4.5.3.2.5)."""
_RECEIVE = 4096


class Answered(OSError):
    """The server gave an answer that ends the attempt; carries it the way smtplib's exceptions do."""

    def __init__(self, code: int, text: bytes) -> None:
        super().__init__(f"{code} {text!r}")
        self.smtp_code = code
        self.smtp_error = text


class Garbled(OSError):
    """What came is no SMTP answer; nothing that follows on this connection can be trusted."""


class ReplyReader:
    """The answers on one socket. Each has one deadline for all of its octets, not one for each read."""

    __slots__ = ("_buffer", "_lines", "_poll", "_size")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._size = 0
        self._poll: select.poll | None = None

    def read(self, sock: socket, seconds: float) -> tuple[int, bytes]:
        """The next answer: its code, and its lines joined by LF without their codes.

        Raises:
            TimeoutError: it was not complete within `seconds`.
            Garbled: it is longer than 10 kB, has no code, or its lines disagree about the code.
            OSError: the connection ended.
        """
        deadline = time.monotonic() + seconds
        while (answer := self.take()) is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("no complete answer in time")
            sock.settimeout(remaining)
            self.receive(sock)
        return answer

    def take(self) -> tuple[int, bytes] | None:
        """The next answer of those received, as `read` gives it; None when it is not complete.

        Raises:
            Garbled: as `read`.
        """
        while (end := self._buffer.find(b"\n", 0, LONGEST_REPLY - self._size)) >= 0:
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            if not _is_reply(line) or (self._lines and line[:3] != self._lines[0][:3]):
                raise Garbled("an answer that is not SMTP")
            self._lines.append(line)
            self._size += len(line)
            if line[3:4] != b"-":
                lines, self._lines, self._size = self._lines, [], 0
                return int(line[:3]), b"\n".join([one[4:].strip() for one in lines])
        if len(self._buffer) >= LONGEST_REPLY - self._size:
            raise Garbled("an answer longer than 10 kB")
        return None

    def receive(self, sock: socket) -> None:
        """Receive what is there, or what comes within the socket's timeout; raises OSError at the end."""
        received = sock.recv(_RECEIVE)
        if not received:
            raise ConnectionError("the server hung up")
        self._buffer += received

    def quiet(self, sock: socket) -> bool:
        """Whether nothing came unasked and the other side has not hung up; waits for nothing.

        An answer nobody asked for would be taken as the answer to the next command.
        """
        if self.pending:
            return False
        if not isinstance(sock, ssl.SSLSocket):
            return self._shows_nothing(sock)
        if sock.gettimeout() != 0:
            sock.settimeout(0)
        try:
            self._buffer += sock.recv(_RECEIVE)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False

    def _shows_nothing(self, sock: socket) -> bool:
        """As a read that finds nothing costs four times as much."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(sock, select.POLLIN)
        return not self._poll.poll(0)

    @property
    def pending(self) -> bool:
        """Whether more was received than was read."""
        return bool(self._buffer or self._lines)


def _is_reply(line: bytes) -> bool:
    return line[:1] in b"2345" and line[:3].isdigit() and line[3:4] in (b" ", b"-", b"\r", b"\n")
