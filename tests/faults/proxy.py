"""Between drip and a PostgreSQL server: cuts a connection at a COMMIT, before it arrives or after it went through."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.processes import fork

_DONE = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""CommandComplete, as the server says it (PostgreSQL 15, 55.7)."""


@contextmanager
def a_proxy(port: int, cuts: Collection[int], log: Path, *, arrives: bool, told: bool = True) -> Iterator[int]:
    """A proxy in a process of its own before the server at `port`; gives its port.

    Args:
        cuts: at the how many-th COMMIT it cuts, counted over all connections from 1.
        log: gets a line for each cut.
        arrives: the server gets that COMMIT, and its answer is lost. False: it never gets it.
        told: the server learns that the connection has ended. False: it waits in the transaction, as with a cut cable.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(port, cuts, log, arrives=arrives, told=told)
    child = fork(lambda: proxy.serve(listener), log.with_suffix(".errors"))
    try:
        with listener:
            yield listener.getsockname()[1]
    finally:
        child.signal(signal.SIGKILL)
        child.wait()


class Proxy:
    """Carries connections to the server at `port`; see `a_proxy` for what it is told."""

    def __init__(
        self, port: int, cuts: Collection[int], log: Path | None = None, *, arrives: bool, told: bool = True
    ) -> None:
        self._port = port
        self._cuts = set(cuts)
        self._log = log
        self._arrives = arrives
        self._told = told
        self._kept: list[socket.socket] = []
        self._commits = 0
        self._lock = threading.Lock()

    def cut_the_next(self) -> None:
        """Cut at the COMMIT that comes next."""
        with self._lock:
            self._cuts.add(self._commits + 1)

    def serve(self, listener: socket.socket) -> None:
        """Take connections, each in a thread of its own, until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client: socket.socket) -> None:
        """One connection, until either side closes it or it is cut."""
        server = socket.create_connection(("127.0.0.1", self._port))
        cutting = threading.Event()
        back = threading.Thread(target=self._answers, args=(server, client, cutting), daemon=True)
        back.start()
        with client, server, contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._cuts_at(data):
                    cutting.set()
                    if self._arrives:
                        server.sendall(data)
                        back.join()
                    self._note()
                    if self._told:
                        server.shutdown(socket.SHUT_RDWR)
                    else:
                        self._kept.append(server.dup())
                    return
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _cuts_at(self, data: bytes) -> bool:
        # psycopg sends it as a message of its own: Query, its length, the word.
        if data[:1] != b"Q" or data[5:11] != b"COMMIT":
            return False
        with self._lock:
            self._commits += 1
            return self._commits in self._cuts

    def _answers(self, server: socket.socket, client: socket.socket, cutting: threading.Event) -> None:
        swallowed = b""
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not cutting.is_set():
                    client.sendall(data)
                    continue
                swallowed += data
                if _DONE in swallowed:
                    return

    def _note(self) -> None:
        if self._log is None:
            return
        handle = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(handle, b"cut\n")
        os.close(handle)
