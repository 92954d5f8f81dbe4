"""The app on a socket: uvicorn on a thread of its own, so that a worker can have the main one."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from drip.api.connection import Connection
from drip.errors import Invalid, Unavailable

GRACE = 5
"""Seconds that requests in hand are waited for at the end."""
_CURES = {
    errno.EADDRNOTAVAIL: "it is no address of this machine: 0.0.0.0 and [::] are all it has",
    errno.EACCES: "ports below 1024 need a permission: choose a higher one",
}


class Server:
    """A server that runs."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="drip-http", daemon=True)
        self._broken: BaseException | None = None

    @property
    def port(self) -> int:
        """Where it listens, also when any port was asked for."""
        port: int = self._listener.getsockname()[1]
        return port

    def check(self) -> None:
        """Raise what ended the server, if anything did."""
        if self._broken is not None:
            raise self._broken
        if not self._thread.is_alive() and not self._server.should_exit:
            raise Unavailable("the HTTP server has ended")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._thread.start()
        while not self._server.started:
            self.check()
            time.sleep(0.005)

    def stop(self) -> None:
        """Take no more requests, finish those in hand, and end."""
        self._server.should_exit = True
        self._thread.join(GRACE + 5)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as error:
            self._broken = error


@contextmanager
def serving(app: FastAPI, host: str, port: int) -> Iterator[Server]:
    """Serve an app until the block ends.

    Raises:
        Invalid: there is no such host.
        Unavailable: the port is taken, or may not be used.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="on",
        server_header=False,
        http=Connection,
        ws="none",
        # What a proxy on this machine says of the scheme and host is believed: links to the next page need it.
        proxy_headers=True,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE,
    )
    with contextlib.closing(_listen(host, port)) as listener:
        server = Server(config, listener)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise Invalid(f"there is no host {host!r}", "write 127.0.0.1:8025, or [::1]:8025") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        why = (error.strerror or str(error)).lower()
        hint = _CURES.get(error.errno or 0, "choose another port")
        raise Unavailable(f"{host}:{port} can't be listened on: {why}", hint) from error
    return listener
