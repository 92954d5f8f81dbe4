"""Reading SMTP answers within a time and a size, whatever a server does. Knows sockets, and no mail library."""

from __future__ import annotations

import ssl
import time
from socket import socket

LONGEST_REPLY = 10_000
"""Octets of one answer, all lines together; RFC 5321, section 4.5.3.1.5, wants 512 a line."""
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

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def read(self, sock: socket, seconds: float) -> tuple[int, bytes]:
        """The next answer: its code, and its lines joined by LF without their codes.

        Raises:
            TimeoutError: it was not complete within `seconds`.
            Garbled: it is longer than 10 kB, has no code, or its lines disagree about the code.
            OSError: the connection ended.
        """
        deadline = time.monotonic() + seconds
        lines: list[bytes] = []
        code = b""
        size = 0
        while True:
            line = self._line(sock, deadline, LONGEST_REPLY - size)
            size += len(line)
            if not _is_reply(line) or (code and line[:3] != code):
                raise Garbled("an answer that is not SMTP")
            code = line[:3]
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(code), b"\n".join(lines)

    def quiet(self, sock: socket) -> bool:
        """Whether nothing came unasked and the other side has not hung up; waits for nothing.

        An answer nobody asked for would be taken as the answer to the next command.
        """
        if self._buffer:
            return False
        sock.settimeout(0)
        try:
            self._buffer += sock.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    @property
    def pending(self) -> bool:
        """Whether more was received than was read."""
        return bool(self._buffer)

    def _line(self, sock: socket, deadline: float, limit: int) -> bytes:
        while (end := self._buffer.find(b"\n", 0, limit)) < 0:
            if len(self._buffer) >= limit:
                raise Garbled("an answer longer than 10 kB")
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("no complete answer in time")
            sock.settimeout(remaining)
            received = sock.recv(_RECEIVE)
            if not received:
                raise ConnectionError("the server hung up")
            self._buffer += received
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line


def _is_reply(line: bytes) -> bool:
    return line[:1] in b"2345" and line[:3].isdigit() and line[3:4] in (b" ", b"-", b"\r", b"\n")
