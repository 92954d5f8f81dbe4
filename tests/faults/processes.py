"""Processes that are forked from a warm interpreter, so that a trial costs no start: workers to kill, and the server.

The forking process must have no threads of its own and no open database. `drip` is imported before, not after.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.smtp_server import SmtpServer

PATIENCE = 60.0
"""Seconds after which a process that should have ended is a breach."""
_LOOK_EVERY = 50
"""Milliseconds after which is noted again for how long a process had no processor."""
RAISED = 70
"""The exit code of a process that ended with an exception."""
_SET_DEATH_SIGNAL = 1  # prctl(2), PR_SET_PDEATHSIG


class Child:
    """A process of ours."""

    def __init__(self, pid: int, errors: Path | None) -> None:
        self.pid = pid
        self._errors = errors
        self._code: int | None = None
        self._starved = 0.0

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code.

        Raises:
            TimeoutError: it did not end in time, and was killed.
        """
        deadline = time.monotonic() + seconds
        if self._code is not None:
            return self._code
        with _end_of(self.pid) as ended:
            while (code := self.poll()) is None:
                if time.monotonic() > deadline:
                    self.signal(signal.SIGKILL)
                    os.waitpid(self.pid, 0)
                    raise TimeoutError(f"a process did not end within {seconds} seconds")
                ended.poll(_LOOK_EVERY)
                self.starved  # noqa: B018
        return code

    @property
    def starved(self) -> float:
        """Seconds for which its threads were ready and had no processor, until it was last waited for or asked.

        Of all threads together (the second field of schedstat, in nanoseconds); 0 where the system does not count.
        """
        with contextlib.suppress(OSError, IndexError, ValueError):
            threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
            self._starved = max(self._starved, sum(int(path.read_text().split()[1]) for path in threads) / 1e9)
        return self._starved

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> bool:
        """`kill -9`; whether it was that which ended it."""
        self.signal(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        return self._errors.read_text("utf-8", "replace") if self._errors and self._errors.exists() else ""


@contextlib.contextmanager
def _end_of(pid: int) -> Iterator[select.poll]:
    """What says at once that a process has ended, and costs nothing meanwhile; it must not have been waited for."""
    handle = os.pidfd_open(pid)
    try:
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        yield ended
    finally:
        os.close(handle)


def processor_seconds() -> float:
    """Of this process so far, with all of its children that have ended and were waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def fork(work: Callable[[], Any], errors: Path | None = None) -> Child:
    """Run `work` in a process of its own; its exit code is what `work` returns (None is 0)."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Child(pid, errors)
    code = RAISED
    try:
        end_with_the_parent()
        if os.getppid() != parent:
            os._exit(RAISED)
        target = os.open(errors or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(target, 2)
        os.dup2(target, 1)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        code = work() or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def end_with_the_parent() -> None:
    """Whatever ends the process that started this one ends it too."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


@contextlib.contextmanager
def a_server(log: Path, **options: Any) -> Iterator[int]:
    """The fault server in a process of its own, its log synced; gives its port."""
    reading, writing = os.pipe()

    def serve() -> None:
        os.close(reading)
        with SmtpServer(log=log, fsync=True, **options) as server:
            os.write(writing, str(server.port).encode() + b"\n")
            signal.sigwait({signal.SIGTERM})

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        child = fork(serve, log.with_suffix(".errors"))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            line = pipe.readline()
        if not line:
            raise RuntimeError(f"the SMTP server did not start: {child.errors}")
        yield int(line)
    finally:
        child.kill()
