"""Messages a second over one connection, as a ratio to a bare smtplib loop on the same server.

    python -m tests.benchmarks.bench_transport

Also once with Nagle's algorithm back on: the 44 ms a message that TCP_NODELAY saves (the dot waits for a delayed ACK).
"""

from __future__ import annotations

import smtplib
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from drip.core.settings import Security, SmtpSettings
from drip.engine.ports import Envelope
from drip.transport.outbox import OutboxTransport
from drip.transport.smtp import SmtpSession, SmtpTransport
from tests.smtp_server import spawn_server

COUNT = 1000
ENVELOPE = Envelope("a@example.org", "ana@example.com", "t")
CONTENT = b"Message-ID: <1@example.org>\r\n\r\n" + b"A line of text that is as long as lines are.\r\n" * 400


def bare(port: int) -> Callable[[], object]:
    client = smtplib.SMTP("127.0.0.1", port)
    return lambda: client.sendmail(ENVELOPE.sender, [ENVELOPE.recipient], CONTENT)


def drip(port: int) -> tuple[SmtpSession, Callable[[], object]]:
    session = SmtpTransport(SmtpSettings("127.0.0.1", port, Security.NONE)).session()
    return session, lambda: session.send(ENVELOPE, CONTENT, lambda: True)


def seconds_each(send: Callable[[], object], count: int = COUNT) -> float:
    send()
    begun = time.perf_counter()
    for _ in range(count):
        send()
    return (time.perf_counter() - begun) / count


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with spawn_server(Path(folder) / "log", "--no-fsync") as (port, _):
            base = seconds_each(bare(port))
            session, send = drip(port)
            ours = seconds_each(send)
            session._wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            nagle = seconds_each(send, 20)
            session.close()
        outbox = OutboxTransport(Path(folder) / "box").session()
        files = seconds_each(lambda: outbox.send(ENVELOPE, CONTENT, lambda: True))
    print(f"smtplib.sendmail   {base * 1000:7.2f} ms  1.00")
    for name, value in (("drip", ours), ("drip with Nagle", nagle), ("outbox", files)):
        print(f"{name:18} {value * 1000:7.2f} ms  {value / base:.2f}")


if __name__ == "__main__":
    main()
