"""Which processes of this machine are alive: a worker that is gone need not be waited for."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path

from drip.engine.records import Worker


class LocalProcesses:
    """Asks the operating system."""

    def identity(self) -> tuple[str, int, str]:
        """This process: machine, pid, birth."""
        return _machine(), os.getpid(), _birth(os.getpid()) or ""

    def is_gone(self, worker: Worker) -> bool:
        """Whether a worker of this machine has ended, or its pid is another process by now."""
        return worker.machine == _machine() and _birth(worker.pid) != (worker.birth or None)


@lru_cache(maxsize=1)
def _machine() -> str:
    """This boot of this machine, and its pid namespace: pids mean something only inside of both."""
    parts = [socket.gethostname()]
    for source in ("/proc/sys/kernel/random/boot_id",):
        try:
            parts.append(Path(source).read_text("ascii").strip())
        except OSError:
            parts.append("")
    try:
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        parts.append("")
    return "/".join(parts)


def _birth(pid: int) -> str | None:
    """When a process started, in clock ticks since boot (proc(5), stat, field 22); None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return _signalled(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _signalled(pid: int) -> str | None:
    """For systems without /proc: only whether it is there."""
    if Path("/proc").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "alive"
    return "alive"
