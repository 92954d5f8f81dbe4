"""A certificate authority for the whole session, and short ways to a server and a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drip.core.settings import Security, SmtpSettings
from drip.transport.smtp import Habits, SmtpSession, SmtpTransport
from tests.smtp_server import Authority, Certificate, SmtpServer

USER, PASSWORD = "apikey", "a secret"


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
    """Plain SMTP on loopback with a short timeout, unless the values say otherwise."""
    plain: dict[str, Any] = {"host": "localhost", "security": Security.NONE, "timeout": timedelta(seconds=5)}
    return SmtpSettings(port=port, **{**plain, **values})


@pytest.fixture
def connect() -> Iterator[Callable[..., SmtpSession]]:
    """A session that is closed with the test; takes a port, and what differs from plain SMTP."""
    sessions: list[SmtpSession] = []

    def session(port: int, habits: Habits | None = None, **values: Any) -> SmtpSession:
        sessions.append(SmtpTransport(settings_for(port, **values), habits=habits).session())
        return sessions[-1]

    yield session
    for opened in sessions:
        opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox"
