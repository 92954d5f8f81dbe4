"""One connection's octets: lines in, answers out, and all the ways of doing it badly."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading

from tests.smtp_server.script import Action, Fault

LONG_LINE = 10 * 1024 * 1024


class Gone(Exception):
    """The conversation is over, by the script or by the client."""


class Channel:
    """A socket with a buffer; `stopping` ends every wait."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.sock = sock
        self._stopping = stopping
        self._buffer = bytearray()
        self.tls = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def line(self, limit: int = 65536) -> bytes:
        """The next line without its end.

        Raises:
            Gone: the client hung up.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > limit:
                raise Gone
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def some(self) -> None:
        """Wait until at least one octet is there.

        Raises:
            Gone: the client hung up.
        """
        if not self._buffer:
            self._fill()

    def content(self) -> bytes:
        """All up to the final dot, unstuffed, with its last CRLF; only CRLF ends a line here (no smuggling).

        Raises:
            Gone: the client hung up before the dot.
        """
        seen = 0
        while not self._buffer.startswith(b".\r\n"):
            end = self._buffer.find(b"\r\n.\r\n", seen)
            if end >= 0:
                content = bytes(self._buffer[: end + 2])
                del self._buffer[: end + 5]
                return (b"\r\n" + content).replace(b"\r\n..", b"\r\n.")[2:]
            seen = max(0, len(self._buffer) - 4)
            self._fill()
        del self._buffer[:3]
        return b""

    def say(self, code: int, text: str) -> None:
        """Answer; a line end in the text makes several lines."""
        self.write(reply(code, text))

    def write(self, octets: bytes) -> None:
        """Send.

        Raises:
            Gone: the client hung up.
        """
        try:
            self.sock.settimeout(120)
            self.sock.sendall(octets)
        except OSError:
            raise Gone from None

    def start_tls(self, context: ssl.SSLContext) -> None:
        """The server's side of the handshake.

        Raises:
            Gone: it failed, as it does when the client does not trust us.
        """
        try:
            self.sock.settimeout(120)
            self.sock = context.wrap_socket(self.sock, server_side=True)
        except (OSError, ValueError):
            raise Gone from None
        self._buffer.clear()
        self.tls = True

    def misbehave(self, fault: Fault, usual: bytes) -> None:
        """Do what the fault says; returns when the conversation goes on as if the usual answer had been given.

        Raises:
            Gone: it does not go on.
        """
        match fault.action:
            case Action.DELAY:
                self._stopping.wait(fault.seconds)
                self.write(usual)
            case Action.TWICE:
                self.write(usual * 2)
            case Action.DEAF:
                self._buffer.clear()
                self.write(usual)
            case Action.STOP_READING:
                self.write(usual)
                self._stopping.wait()
                raise Gone
            case Action.RAW:
                self.write(fault.text.encode())
            case Action.BYTEWISE:
                self._bytewise(usual)
            case Action.LONG:
                self.write(b"250 " + b"x" * LONG_LINE + b"\r\n")
            case Action.GARBAGE:
                self.write(b"\x00\xff\xfe not smtp \x1b[2J\r\n\r\n")
                self.stall()
            case Action.ENDLESS:
                self._endless()
            case Action.STALL:
                self.stall()
            case Action.RESET:
                self.reset()
            case _:
                raise Gone

    def stall(self) -> None:
        """Read and say nothing until the client is gone.

        Raises:
            Gone: always, in the end.
        """
        while True:
            self._buffer.clear()
            self._fill()

    def reset(self) -> None:
        """Close with a RST.

        Raises:
            Gone: always.
        """
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def _bytewise(self, octets: bytes) -> None:
        for octet in octets:
            self.write(bytes([octet]))
            self._stopping.wait(0.0002)

    def _endless(self) -> None:
        self.write(b"250-")
        while not self._stopping.wait(0.02):
            self.write(b"x")
        raise Gone

    def _fill(self) -> None:
        while True:
            if self._stopping.is_set():
                raise Gone
            try:
                self.sock.settimeout(0.5)
                received = self.sock.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                raise Gone from None
            if not received:
                raise Gone
            self._buffer += received
            return


def reply(code: int, text: str) -> bytes:
    """An answer on the wire, one line or several (RFC 5321, section 4.2.1)."""
    *before, last = text.split("\n")
    return ("".join(f"{code}-{line}\r\n" for line in before) + f"{code} {last}\r\n").encode()
