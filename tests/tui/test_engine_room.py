"""The worker inside the dashboard: it sends, ends politely with the dashboard, however that ends, and is heard."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from drip.project import system_clock
from drip.tui.engine_room import EngineRoom
from tests.tui.room import Room

PATIENCE = 120.0


@pytest.fixture
def rooms() -> Iterator[list[EngineRoom]]:
    started: list[EngineRoom] = []
    yield started
    for one in started:
        one.stop()


def command(room: Room) -> list[str]:
    return [sys.executable, "-m", "drip", "-C", str(room.folder), "run"]


def until_sent(room: Room) -> None:
    deadline = time.monotonic() + PATIENCE
    while room.sql("SELECT COUNT(*) FROM delivery WHERE state = 'sent'") != [(1,)]:
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def at_work(room: Room) -> bool:
    return room.sql("SELECT COUNT(*) FROM worker WHERE ended_at IS NULL") != [(0,)]


def test_it_sends_and_stops_when_told_to(room: Room, rooms: list[EngineRoom]) -> None:
    room.now = system_clock()
    room.subscribe("ada@example.com")
    engine = EngineRoom(command(room), pytest.fail)
    rooms.append(engine)
    engine.start()
    until_sent(room)
    assert at_work(room)
    engine.stop()
    assert not at_work(room)
    assert engine.last_words == ""


def test_it_ends_politely_when_the_dashboard_is_killed(room: Room) -> None:
    room.now = system_clock()
    room.subscribe("ada@example.com")
    dashboard = (
        "import sys, time; from drip.tui.engine_room import EngineRoom;"
        " EngineRoom(sys.argv[1:], print).start(); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", dashboard, *command(room)])
    try:
        until_sent(room)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + PATIENCE
    while at_work(room):
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def test_what_it_says_and_how_it_ended_is_told(room: Room, rooms: list[EngineRoom]) -> None:
    room.write("drip.db", "no database " * 1000)
    said: queue.Queue[str] = queue.Queue()
    engine = EngineRoom(command(room), said.put)
    rooms.append(engine)
    engine.start()
    assert "not a database" in said.get(timeout=PATIENCE)
    assert said.get(timeout=PATIENCE).startswith("the worker has stopped (code 3)")
    engine.stop()
    assert "not a database" in engine.last_words


def test_before_it_has_begun_there_is_nothing_to_stop(room: Room) -> None:
    engine = EngineRoom(command(room), pytest.fail)
    engine.stop()
    engine.start()
    assert engine.last_words == ""
    assert not at_work(room)
