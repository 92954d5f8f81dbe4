"""The worker inside the dashboard: a `drip run` of its own process, that ends when the dashboard does.

A thread would share one interpreter with the screen: each would wait for the other, at half the speed.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

KEPT = 100
"""Lines of what it said that are kept until the end."""


class EngineRoom:
    """Starts and stops it."""

    def __init__(self, command: Sequence[str], trouble: Callable[[str], None]) -> None:
        """
        Args:
            command: starts a worker; it takes `--tied`.
            trouble: called with what it says, on a thread of ours.
        """
        self._command = command
        self._trouble = trouble
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        # Whoever holds the other end learns that this process is gone, however it went.
        self._tie, self._held = os.pipe()
        self._stopped = False
        self._said: deque[str] = deque(maxlen=KEPT)

    @property
    def last_words(self) -> str:
        """What it said, where it ended as no worker should; empty while all is well."""
        code = self._process.poll() if self._process is not None else None
        return "\n".join(self._said) if code else ""

    def start(self) -> None:
        """Begin to send."""
        if self._stopped:
            return
        self._process = subprocess.Popen(
            [*self._command, "--tied", str(self._tie)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[self._tie],
            start_new_session=True,  # the terminal's signals come to us
        )
        assert self._process.stderr is not None  # it was asked for
        self._listener = threading.Thread(
            target=self._listen, args=(self._process, self._process.stderr), name="drip-engine-room", daemon=True
        )
        self._listener.start()

    def stop(self) -> None:
        """Have it finish the messages in hand; returns when they are recorded."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if self._listener is not None and self._listener is not threading.current_thread():
            self._listener.join()

    def _listen(self, process: subprocess.Popen[bytes], words: IO[bytes]) -> None:
        with words:
            for line in words:
                self._said.append(line.decode("utf-8", "replace").rstrip())
                if self._said[-1].startswith("drip: "):
                    self._say(self._said[-1].removeprefix("drip: "))
        code = process.wait()
        ended = f"signal {-code}" if code < 0 else f"code {code}"
        self._say(f"the worker has stopped ({ended}): {self._said[-1] if self._said else 'it said nothing'}")

    def _say(self, words: str) -> None:
        if not self._stopped:
            self._trouble(words)
