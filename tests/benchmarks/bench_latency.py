"""What slow servers and long ways cost: a server that takes 50 ms per message, and a network of 20 ms each way.

    python -m tests.benchmarks.bench_latency [--count N]

The slow server is asyncio on loopback; the long way is a relay that holds every octet for 20 ms, in front of Postfix's
`smtp-sink` (apt install postfix), once as it is and once with `-p`, without PIPELINING. All of
`drip run --once` counts.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.benchmarks.bench_sending import run_drip, sink
from tests.benchmarks.sending.letter import make_project

THINK = 0.05
"""Seconds that the server takes for a message."""
WAY = 0.02
"""Seconds one way."""
CONNECTIONS = 50

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def served(talk: Talk) -> Iterator[int]:
    """A server in a thread; yields its port."""
    loop = asyncio.new_event_loop()
    port = 0

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    async def run() -> None:
        nonlocal port
        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

    loop.run_until_complete(run())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def slow_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """SMTP that takes its time after the final dot."""
    writer.write(b"220 slow ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(b"250-slow\r\n250 PIPELINING\r\n")
        elif verb == b"DATA":
            writer.write(b"354 go\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            await asyncio.sleep(THINK)
            writer.write(b"250 2.0.0 Ok\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 bye\r\n")
            return
        else:
            writer.write(b"250 Ok\r\n")


def relay_to(port: int) -> Talk:
    """A relay that hands every octet on `WAY` later."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_later(reader, there_writer), _later(there_reader, writer))

    return relay


async def _later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while octets := await reader.read(65536):
        loop.call_later(WAY, writer.write, octets)
    loop.call_later(WAY, writer.close)


def rate(port: int, count: int, connections: int, *options: str) -> float:
    """Messages a second of one pass."""
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder), port, count, connections=connections)
        return count / run_drip(Path(folder), count, *options)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench_latency")
    parser.add_argument("--count", type=int, default=20_000)
    count = parser.parse_args().count
    most = CONNECTIONS / THINK
    with served(slow_server) as port:
        for setting in ([], ["--workers", "1"]):
            found = rate(port, count, CONNECTIONS, *setting)
            name = " ".join(["50 connections", *setting])
            print(f"50 ms a message, {name}: {found:.0f}/s, {found / most:.1%} of what can be (goal 90%)")
    rates = {}
    for name, options in (("with", ()), ("without", ("-p",))):
        with sink(*options) as behind, served(relay_to(behind)) as port:
            rates[name] = rate(port, max(200, count // 50), 4)
    print(f"20 ms each way: {rates['with'] / rates['without']:.2f}x with PIPELINING (goal 1.7x)")


if __name__ == "__main__":
    main()
