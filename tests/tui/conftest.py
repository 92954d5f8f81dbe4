"""Tests of the dashboard are coroutines; a real SQLite, a frozen clock, no sleeps."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from tests.tui.room import CONFIG, NURTURE, WELCOME, Room


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine to its end."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bare(tmp_path: Path) -> Room:
    """A drip.yaml and nothing else."""
    room = Room(tmp_path / "lab")
    room.write("drip.yaml", CONFIG)
    return room


@pytest.fixture
def files(bare: Room) -> Room:
    """Two sequence files; nothing is applied."""
    bare.write("sequences/welcome.yaml", WELCOME)
    bare.write("sequences/nurture.yaml", NURTURE)
    return bare


@pytest.fixture
def room(files: Room) -> Room:
    """They, applied."""
    files.apply()
    return files


@pytest.fixture
def lively(room: Room) -> Room:
    """People in every state but unknown."""
    room.subscribe("ada@example.com", name="Ada", variables={"plan": "free", "timezone": "America/New_York"})
    room.subscribe("grace@example.com", name="Grace")
    room.tick()
    room.move("2h")
    for name in ("paul", "carl", "fay"):
        room.subscribe(f"{name}@example.com", name=name.title())
    room.sql("UPDATE subscription SET status = 'paused', paused_at = updated_at WHERE id = 3")
    room.sql(
        "UPDATE subscription SET status = 'cancelled', cancel_reason = 'manual', cancelled_at = updated_at,"
        " next_step_id = NULL, next_send_at = NULL WHERE id = 4"
    )
    room.sql("UPDATE subscription SET status = 'failed', next_send_at = NULL WHERE id = 5")
    room.sql(
        "INSERT INTO delivery (subscription_id, step_id, state, reason, attempts, at, revision, code, answer)"
        " SELECT id, next_step_id, 'failed', 'refused', 1, updated_at, 1, 554, '5.7.1 not wanted here'"
        " FROM subscription WHERE id = 5"
    )
    room.subscribe("kate@example.com", name="Kate")
    return room


@pytest.fixture
def unknown(lively: Room) -> Room:
    """And one whose fate nobody knows: kate's first step."""
    lively.sql("UPDATE subscription SET next_send_at = NULL WHERE id = 6")
    lively.sql(
        "INSERT INTO delivery (subscription_id, step_id, state, reason, attempts, claim, at, revision)"
        " SELECT id, next_step_id, 'unknown', 'no_answer', 1, claim, updated_at, 1 FROM subscription WHERE id = 6"
    )
    return lively
