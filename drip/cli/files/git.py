"""Which commit the files are from. Asked of git itself; outside of a repository, or without git, nothing is known."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Sequence
from pathlib import Path

from drip.engine.apply import Origin

PATIENCE = 10
"""Seconds; a repository on a slow disk must not hold up an apply."""


def origin_of(folder: Path, paths: Sequence[Path]) -> Origin:
    """The commit of a folder, and whether these paths in it differ from that."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return Origin(author=_user())
    # What git can't say counts as changed.
    changes = _git(folder, "status", "--porcelain", "--", *(str(path) for path in paths))
    return Origin(author=_user(), commit=commit, dirty=changes is None or bool(changes))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "--no-optional-locks", *arguments],
            capture_output=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None
