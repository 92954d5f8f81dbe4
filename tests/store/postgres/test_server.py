"""The server that the tests run leaves nothing behind, also when they are killed."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

import pytest

from tests.postgres_server import forget_the_dead


def test_the_folders_of_killed_tests_are_removed_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, at_work, starting = (tmp_path / f"drip-postgres-{name}" for name in ("killed", "at-work", "starting"))
    for folder in (killed, at_work, starting):
        folder.mkdir()
    (killed / "alive").touch()
    with (at_work / "alive").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        forget_the_dead()
    assert {path.name for path in tmp_path.iterdir()} == {"drip-postgres-at-work", "drip-postgres-starting"}
