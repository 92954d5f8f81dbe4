"""A certificate authority for the whole session, and short ways to a server and a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drip.core.delivery import Outcome
from drip.core.settings import Security, SmtpSettings
from drip.engine.ports import Envelope
from drip.transport.conversation import Habits
from drip.transport.fleet import SmtpFleet
from drip.transport.smtp import SmtpSession, SmtpTransport
from tests.smtp_server import Authority, Certificate, SmtpServer

USER, PASSWORD = "apikey", "a secret"
PATIENCE = timedelta(seconds=60)
"""For what will come, however busy the machine is."""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    return authority.certificate()


@pytest.fixture
def serve() -> Iterator[Callable[..., SmtpServer]]:
    """Start a server that ends with the test."""
    with ExitStack() as stack:
        yield lambda *faults, **options: stack.enter_context(SmtpServer(faults=faults, **options))


def settings_for(port: int, **values: Any) -> SmtpSettings:
    """Plain SMTP on loopback, with patience for a busy machine, unless the values say otherwise."""
    plain: dict[str, Any] = {"host": "localhost", "security": Security.NONE, "timeout": PATIENCE}
    return SmtpSettings(port=port, **{**plain, **values})


class OneAtATime:
    """A fleet's session for the tests: one message, one desk."""

    def __init__(self, fleet: SmtpFleet) -> None:
        self._fleet = fleet
        self._conversation = fleet._lanes[0].conversation

    @property
    def _wire(self) -> Any:
        return self._conversation.wire

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        desk = _OneParcel(envelope, content, mark)
        self._fleet.carry(desk)
        (outcome,) = desk.outcomes
        return outcome

    def close(self) -> None:
        self._fleet.rest()


def hurry(session: Any, seconds: float, *, opening: bool = False) -> None:
    """Wait only so long for what is said over the first connection, or while it is opened; no later one is hurried."""
    conversation, patient = session._conversation, session._conversation.connect
    transport = session.transport

    def connect() -> Any:
        conversation.connect = patient
        settings = transport._settings
        if opening:
            transport._settings = replace(settings, timeout=timedelta(seconds=seconds))
        try:
            wire = patient()
        finally:
            transport._settings = settings
        wire.timeout = seconds
        return wire

    conversation.connect = connect


@dataclass
class _OneParcel:
    """A desk with one parcel, which is its own."""

    envelope: Envelope
    content: bytes
    answer: Callable[[], bool]
    holds = False
    given = False
    outcomes: list[Outcome] = field(default_factory=list)

    def take(self, _count: int) -> list[_OneParcel]:
        given, self.given = self.given, True
        return [] if given else [self]

    def prepare(self) -> bool:
        return False

    def still(self, _parcel: _OneParcel) -> bool:
        return True

    def mark(self, parcels: Sequence[_OneParcel]) -> list[bool]:
        return [self.answer() for _ in parcels]

    def try_mark(self, parcels: Sequence[_OneParcel]) -> list[bool] | None:
        return self.mark(parcels)

    def done(self, _parcel: _OneParcel, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def flush(self) -> None:
        pass


@pytest.fixture(params=["fleet", "session"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., SmtpSession]]:
    """A session that is closed with the test; takes a port, and what differs from plain SMTP.

    Once as the worker sends, many conversations in a thread and commands together, and once word by word.
    """
    with ExitStack() as stack:

        def session(port: int, habits: Habits | None = None, **values: Any) -> Any:
            habits = replace(habits or Habits(), pipelining=request.param == "fleet")
            transport = SmtpTransport(settings_for(port, **{"connections": 1, **values}), habits=habits)
            made: Any
            if request.param == "fleet":
                made = OneAtATime(stack.enter_context(closing(transport.fleet())))
            else:
                made = stack.enter_context(closing(transport.session()))
            made.transport = transport
            return made

        yield session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox"
