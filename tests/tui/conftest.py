"""Tests of the dashboard are coroutines; a real SQLite, a frozen clock, no sleeps."""

from __future__ import annotations

import asyncio
import inspect
import shutil
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

import pytest
from textual.notifications import Notification

from drip.tui.app import HEAVY, LATER
from tests.tui.room import Room
from tests.tui.scene import make_bare, make_busy, make_files, make_lively, make_room, make_unknown

# pytest rewrites the modules of a plugin's package as they are imported; Python 3.11 can't parse in two threads at once
# (gh-106905), and the dashboard imports these in a thread.
for module in (*(f"drip.tui.{name}" for name in LATER), *HEAVY):
    import_module(module)


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


@pytest.fixture(autouse=True)
def _lasting_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice stands until the test is over: nobody has to look within its four seconds."""
    monkeypatch.setattr(Notification, "time_left", property(lambda _: 3600.0))


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each scene is made once, in a folder of its name; tests get copies."""
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture
def scene(scenes: Path, tmp_path: Path) -> Callable[[Callable[[Room], None]], Room]:
    """A copy of what a function makes of an empty room."""

    def copied(make: Callable[[Room], None]) -> Room:
        made = Room(scenes / make.__name__ / "lab")
        if not made.folder.exists():
            make(made)
            (made.folder / "now").write_text(made.now.isoformat())
        room = Room(tmp_path / "lab")
        shutil.copytree(made.folder, room.folder)
        room.now = datetime.fromisoformat((room.folder / "now").read_text())
        (room.folder / "now").unlink()
        return room

    return copied


Scene = Callable[[Callable[[Room], None]], Room]


@pytest.fixture
def bare(scene: Scene) -> Room:
    """A drip.yaml and nothing else."""
    return scene(make_bare)


@pytest.fixture
def files(scene: Scene) -> Room:
    """Two sequence files; nothing is applied."""
    return scene(make_files)


@pytest.fixture
def room(scene: Scene) -> Room:
    """They, applied."""
    return scene(make_room)


@pytest.fixture
def lively(scene: Scene) -> Room:
    """People in every state but unknown."""
    return scene(make_lively)


@pytest.fixture
def unknown(scene: Scene) -> Room:
    """And one whose fate nobody knows."""
    return scene(make_unknown)


@pytest.fixture
def busy(scene: Scene) -> Room:
    """A busy day."""
    return scene(make_busy)
