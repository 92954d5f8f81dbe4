"""The server in a process of its own, for tests that kill the client's side and must not lose the oracle."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[2]


@contextmanager
def spawn_server(log: Path, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Start `python -m tests.smtp_server` and wait until it listens; gives its port and process, ends it afterwards."""
    command = [sys.executable, "-m", "tests.smtp_server", "--until-eof", "--log", str(log), *arguments]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, "the SMTP server did not start"
        yield int(json.loads(first)["port"]), process
    finally:
        process.terminate()
        process.wait(10)
        for pipe in (process.stdout, process.stdin):
            if pipe is not None:
                pipe.close()
