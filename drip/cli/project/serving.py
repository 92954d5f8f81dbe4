"""`serve`, and the HTTP side of `run`: where the API listens, and what is said about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

from drip.cli.arguments import PLACE
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.api.server import Server


@click.command("serve")
@click.argument("place", metavar="[HOST:PORT]", type=PLACE, default="127.0.0.1:8025")
@pass_invocation
def serve_command(invocation: Invocation, place: tuple[str, int]) -> None:
    """Serve the API and the unsubscribe page.

    Nothing is sent: `drip run --http HOST:PORT` does both in one process. A stop signal finishes the requests in
    hand. Put a proxy with TLS in front of it before it is reached from outside.

    \b
    Example:
      drip keys create app
      drip serve
      drip serve 127.0.0.1:8025
    """
    from drip.cli.stopping import stopped_by_signals

    waiting = _Waiting()
    with invocation.opened(), stopped_by_signals(waiting), listening(invocation, place) as server:
        while not waiting.stopped.wait(1.0):
            server.check()


@contextmanager
def listening(
    invocation: Invocation,
    place: tuple[str, int],
    clock: Callable[[], datetime] | None = None,
    worker_silence: Callable[[], float] | None = None,
) -> Iterator[Server]:
    """Serve the API until the block ends; the database is open.

    Args:
        clock: the moment as schedules see it; None is the system's.
        worker_silence: seconds since the worker of this process showed that it is alive; None: it has none.
    """
    from drip.api.app import create_app
    from drip.api.server import serving
    from drip.cli.output import note

    host, port = place
    _warn(invocation, host)
    app = create_app(invocation.project, clock=clock or invocation.now, worker_silence=worker_silence)
    with serving(app, host, port) as server:
        note(f"drip: listening on http://{f'[{host}]' if ':' in host else host}:{server.port}")
        yield server


class _Waiting:
    """Something that a signal stops."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()


def _warn(invocation: Invocation, host: str) -> None:
    """Say what would surprise: a key in the clear, or nobody who could ask."""
    from drip.cli.output import note
    from drip.core.networks import is_loopback

    if not is_loopback(host):
        note(
            f"drip: warning: {host} can be reached from outside, and what is said there is not encrypted:"
            " put a proxy with TLS in front of it"
        )
    if not invocation.project.store.keys.any_good():
        note(
            "drip: warning: there is no API key yet, so every request to /v1 is refused:"
            " `drip keys create NAME` makes one"
        )
