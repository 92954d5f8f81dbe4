"""Receivers of webhooks on loopback: one that records and answers by a script, and one that says raw octets."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from drip.core.webhooks import new_secret

SECRET = new_secret(b"0123456789abcdef0123456789abcdef")
OTHER_SECRET = new_secret(b"fedcba9876543210fedcba9876543210")


@dataclass(frozen=True, slots=True)
class Received:
    """One post, as it came."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """Of the monotonic clock."""

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str = SECRET) -> dict[str, Any]:
        """What it says, after the published verifier has accepted it."""
        found: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    wait: float = 0.0
    """Seconds before the answer."""


Script = Callable[[Received], Reply]


class Receiver:
    """A server that keeps what it gets."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.port: int = server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}/hooks"
        self.got: list[Received] = []
        self.script: Script = lambda received: Reply()
        self.connections = 0
        self._changed = threading.Condition()

    def take(self, received: Received) -> Reply:
        with self._changed:
            self.got.append(received)
            self._changed.notify_all()
        return self.script(received)

    def wait_for(self, count: int, seconds: float = 60) -> list[Received]:
        """What came, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.got) >= count, seconds), f"only {len(self.got)} came"
        return self.got

    @property
    def events(self) -> list[str]:
        return [received.verified()["event"] for received in self.got]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver that runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.take(Received(self.path, headers, body, time.monotonic()))
            time.sleep(reply.wait)
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST  # noqa: N815 a redirect that was followed would come as one

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

        def handle_error(self, *args: Any) -> None:
            """A client that hung up is no news."""

    server = Server((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server, "http" if tls is None else "https")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read_request(connection: socket.socket) -> None:
    """Whole, as closing a connection with unread octets resets it."""
    with connection.makefile("rb") as lines:
        length = 0
        while (line := lines.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        lines.read(length)


@contextmanager
def saying(talk: Callable[[socket.socket], object]) -> Iterator[tuple[str, list[int]]]:
    """A server that reads a request and then does as `talk` says; its URL, and a list that grows per connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    came: list[int] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            came.append(1)
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                _read_request(connection)
                talk(connection)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hooks", came
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
