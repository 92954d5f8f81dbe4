"""How much slower mail goes out while webhooks are slow, in pairs of runs by turns.

One endpoint answers an octet a second, the other at once; both are told the same.

python -m tests.benchmarks.bench_webhooks
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from tests.faults.campaign import apart
from tests.faults.processes import fork
from tests.faults.registry import Case
from tests.faults.trial import a_trial, run_drip
from tests.notify.receiver import SECRET

PEOPLE = 300
PAIRS = 15
CONNECTIONS = 4
LATENCY = 0.004
"""Seconds that the mail server thinks at each step."""
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def seconds(folder: Path, *, slow: bool) -> float:
    """From the first to the last message that the server took, of a `drip run --once` that tells of each."""
    case = Case(folder, 0, Random(1))
    with a_trial(case, due=PEOPLE, connections=CONNECTIONS, latency=LATENCY) as one, _an_endpoint(slow=slow) as port:
        with (one.folder / "drip.yaml").open("a") as config:
            config.write(f"webhooks:\n  - {{url: 'http://127.0.0.1:{port}/hooks', secret: {SECRET}}}\n")
        child = run_drip(one, "run", "--once", "--workers", "1")
        one.wait_for(PEOPLE, child)
        child.kill()
        times = [message.time for message in one.messages()]
    assert len(times) == PEOPLE
    return max(times) - min(times)


@contextmanager
def _an_endpoint(*, slow: bool) -> Iterator[int]:
    """One in a process of its own; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            while client.recv(1 << 20):
                if not slow:
                    client.sendall(ANSWER)
                for octet in ANSWER if slow else b"":
                    client.sendall(bytes([octet]))
                    time.sleep(1)

    def serve() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    child = fork(serve)
    try:
        with listener:
            yield listener.getsockname()[1]
    finally:
        child.signal(signal.SIGKILL)
        child.wait()


def pairs() -> list[tuple[float, float]]:
    """Seconds with the slow one and with the quick one, the first of the two by turns."""
    found = []
    for number in range(PAIRS):
        took = {}
        for slow in (number % 2 == 0, number % 2 == 1):
            with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
                took[slow] = seconds(Path(name), slow=slow)
        found.append((took[True], took[False]))
    return found


def main() -> None:
    """Print the table."""
    found = apart(pairs)
    ratios = sorted(slow / quick for slow, quick in found)
    print(f"{PEOPLE} messages over {CONNECTIONS} connections, {PAIRS} pairs")
    for name, place in (("slow webhooks", 0), ("quick webhooks", 1)):
        rate = statistics.median((PEOPLE - 1) / pair[place] for pair in found)
        print(f"{name:15} {rate:6.0f} messages a second")
    print(f"time with slow over time with quick ones: median {statistics.median(ratios):.3f}", end="")
    print(f" ({ratios[len(ratios) // 4]:.3f} to {ratios[-len(ratios) // 4]:.3f} in the middle half)")


if __name__ == "__main__":
    main()
