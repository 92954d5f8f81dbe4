"""The user's own editor, in the terminal that the dashboard leaves to it meanwhile."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

_PLUS = {"vi", "vim", "nvim", "nano", "emacs", "micro", "kak", "ed", "joe", "mg"}
"""Editors that take the line as `+7`."""
_COLON = {"hx", "helix", "subl", "zed"}
"""Editors that take it as `file:7`."""


def command(path: Path, line: int = 0) -> list[str]:
    """What opens a file at a line (0: none): of VISUAL, EDITOR, or vi."""
    chosen = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    name = Path(chosen[0]).name
    if line and name in _PLUS:
        return [*chosen, f"+{line}", str(path)]
    if line and name in _COLON:
        return [*chosen, f"{path}:{line}"]
    if line and name in ("code", "codium"):
        return [*chosen, "--wait", "--goto", f"{path}:{line}"]
    return [*chosen, str(path)]


def edit(path: Path, line: int = 0) -> str | None:
    """Run the editor until it ends; what went wrong in words, or None."""
    try:
        done = subprocess.run(command(path, line), check=False)
    except OSError as error:
        return f"the editor can't be started: {(error.strerror or str(error)).lower()}"
    return f"the editor ended with {done.returncode}" if done.returncode else None
