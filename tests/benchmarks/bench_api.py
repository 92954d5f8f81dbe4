"""How fast people are subscribed over HTTP, beside a FastAPI endpoint that only parses the same body.

    python -m tests.benchmarks.bench_api

Both servers are uvicorn in a process of their own, each asked over 8 connections, in turn, so that a noisy machine
is noisy to both. The client is the same code for both and shares the machine.

A single request waits for its commit, so the ratio depends on what the disk takes for one, which is measured beside
it; `TMPDIR=/dev/shm` shows the rest. Processor time does not depend on who else is on the machine.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from drip.api.app import create_app
from drip.api.server import serving
from drip.engine.keys import create_key
from drip.project import Project, system_clock
from tests.lab import Lab, a_sequence, a_step

CONNECTIONS = 8
ROUNDS = 5
ONE_BY_ONE = 2000
BATCHES, BATCH = 24, 1000
PATH = "/v1/bulk/sequences/welcome/subscribers"
_numbers = count()


class Person(BaseModel):
    """The body that both parse."""

    email: str
    name: str | None = None
    variables: dict[str, Any] | None = None


class People(BaseModel):
    """A batch."""

    subscribers: list[Person]


def bare_app() -> FastAPI:
    """An endpoint that parses, and does nothing."""
    app = FastAPI()

    @app.post(PATH, status_code=201)
    async def one(body: Person) -> dict[str, bool]:
        return {"ok": True}

    @app.post(PATH + "/batch")
    async def many(body: People) -> dict[str, bool]:
        return {"ok": True}

    return app


def serve_bare(pipe: Connection) -> None:
    """A process with the bare endpoint."""
    with serving(bare_app(), "127.0.0.1", 0) as server:
        pipe.send((server.port, ""))
        _tell_time(pipe)


def serve_drip(pipe: Connection) -> None:
    """A process with drip's API on a fresh database."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), database=f"sqlite:///{folder}/drip.db")
        project = Project(lab.settings)
        with project.store.opened():
            lab.store = project.store
            lab.apply(a_sequence(a_step("first"), a_step("second", "3d")))
            key = create_key(project.store, "bench", system_clock()).secret
            with serving(create_app(project), "127.0.0.1", 0) as server:
                pipe.send((server.port, key))
                _tell_time(pipe)


def _tell_time(pipe: Connection) -> None:
    """Say how much processor time was used, as often as it is asked for."""
    while pipe.recv():
        pipe.send(time.process_time())


@contextmanager
def running(target: Any) -> Iterator[tuple[int, str, Callable[[], float]]]:
    """A server's port and key, and what tells its processor time, while it runs."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(theirs,))
    process.start()

    def processor() -> float:
        ours.send(True)
        seconds: float = ours.recv()
        return seconds

    try:
        port, key = ours.recv()
        yield port, key, processor
        ours.send(None)
    finally:
        process.join(20)
        process.terminate()


def person() -> dict[str, Any]:
    """Somebody new."""
    number = next(_numbers)
    return {"email": f"person{number}@example{number % 20}.com", "name": "Ana", "variables": {"plan": "pro"}}


def measure(port: int, key: str, path: str, bodies: list[bytes]) -> float:
    """Seconds for all bodies, over 8 connections."""

    async def connection(mine: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        head += "Content-Type: application/json\r\n"
        for body in mine:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert answer.startswith((b"http/1.1 201", b"http/1.1 200")), answer
            length = answer.split(b"content-length:")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()
        await writer.wait_closed()

    async def all_connections() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(connection(bodies[mine::CONNECTIONS]) for mine in range(CONNECTIONS)))
        return time.perf_counter() - started

    return asyncio.run(all_connections())


def commit_seconds() -> float:
    """What the disk takes to make a few pages durable."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(50):
            file.write(b"x" * 16_384)
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    """Measure both in turn and print the medians."""
    figures: dict[str, list[float]] = {"bare": [], "drip": [], "bare batch": [], "drip batch": []}
    used: dict[str, list[float]] = {"bare": [], "drip": []}
    with running(serve_bare) as bare, running(serve_drip) as drip:
        for turn in range(ROUNDS + 1):
            for name, (port, key, processor) in (("bare", bare), ("drip", drip)):
                ones = [json.dumps(person()).encode() for _ in range(ONE_BY_ONE)]
                before = processor()
                one = ONE_BY_ONE / measure(port, key, PATH, ones)
                spent = (processor() - before) / ONE_BY_ONE
                groups = [{"subscribers": [person() for _ in range(BATCH)]} for _ in range(BATCHES)]
                batches = [json.dumps(group).encode() for group in groups]
                many = BATCHES * BATCH / measure(port, key, PATH + "/batch", batches)
                if turn:  # the first warms up
                    figures[name].append(one)
                    used[name].append(spent)
                    figures[f"{name} batch"].append(many)
    middle = {name: statistics.median(values) for name, values in figures.items()}
    ratios = [ours / theirs for ours, theirs in zip(figures["drip"], figures["bare"], strict=True)]
    print(f"one by one   bare {middle['bare']:8,.0f}/s   drip {middle['drip']:8,.0f}/s   ", end="")
    print(f"ratio {statistics.median(ratios):.2f} (of {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    cost = {name: statistics.median(values) * 1e6 for name, values in used.items()}
    ratio = cost["bare"] / cost["drip"]
    print(f"processor    bare {cost['bare']:7,.0f} µs    drip {cost['drip']:7,.0f} µs    ratio {ratio:.2f}   ", end="")
    print(f"a commit waits {commit_seconds() * 1e3:.2f} ms for the disk")
    print(f"batches      bare {middle['bare batch']:8,.0f}/s   drip {middle['drip batch']:8,.0f}/s subscribers")


if __name__ == "__main__":
    main()
