"""What every test needs, whoever started pytest."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def pytest_configure() -> None:
    """Put this Python's `drip` and `python` in front: the README calls `.venv/bin/python`, nothing is activated."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
