"""A pytest plugin: the fixture `drip`, for an application that tests its own sequences. Only for tests, never at work.

The sequences are those of the project's files; the engine is the real one, on a database in memory and a clock that
the test moves. Nothing is sent, nothing is written, no drip.db is opened.

pytest loads this in every run of whoever has drip installed: nothing but pytest may be imported at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from email.message import EmailMessage

    from drip.core.subscription import Subscription
    from drip.engine.rehearsal import Happening, Rehearsal


@dataclass(frozen=True, slots=True)
class Mail:
    """One message that would have gone out."""

    sequence: str
    step: str
    to: str
    at: datetime
    """UTC."""
    subject: str
    text: str
    html: str | None
    message: EmailMessage = field(repr=False, compare=False)
    """The whole message, for its headers."""


class Drip:
    """What the fixture `drip` is: people, a clock, and what was sent."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self.outbox: list[Mail] = []
        """All that was sent so far, oldest first."""

    @property
    def now(self) -> datetime:
        """What the clock shows, UTC; it begins on Monday 2026-01-05 at 09:00."""
        return self._rehearsal.now

    def subscribe(
        self,
        sequence: str,
        email: str,
        *,
        name: str = "",
        variables: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> list[Mail]:
        """Subscribe somebody, and send what is due at once: those mails.

        Args:
            at: when they start, aware; None is now.

        Raises:
            NotFound: there is no such sequence.
            Refused: they may not be; the code says why.
        """
        from drip.engine.subscribe import Request

        self._rehearsal.subscribe(sequence, Request(email, name, variables or {}, at))
        return self.advance(timedelta(0))

    def advance(self, length: str | timedelta) -> list[Mail]:
        """Let time pass, as `3d` or a timedelta, and send what falls due: the mails of that time.

        Raises:
            ValueError: it is not a duration, or it is negative.
        """
        from drip.core.durations import parse_duration

        passing = parse_duration(length) if isinstance(length, str) else length
        if passing < timedelta(0):
            raise ValueError("the clock can't be moved back")
        sent = [_mail(one) for one in self._rehearsal.run(self.now + passing) if one.content is not None]
        self.outbox += sent
        return sent

    def subscription(self, sequence: str, email: str) -> Subscription:
        """Where somebody is: status, current step, what is next and when.

        Raises:
            NotFound: they are not in it.
        """
        from drip.engine.people import find_subscription

        row_id = find_subscription(self._rehearsal.store, sequence, email).person.id
        found: Subscription = self._rehearsal.store.overview.subscription(row_id)  # type: ignore[attr-defined]
        return found


def pytest_addoption(parser: pytest.Parser) -> None:
    """`drip_project = mail/` in pytest's settings: the folder of drip.yaml."""
    parser.addini("drip_project", "The folder of drip.yaml, from pytest's root; default: there, or above.", default=".")


@pytest.fixture
def drip(pytestconfig: pytest.Config) -> Iterator[Drip]:
    """The project's sequences, with nobody in them, on a clock of their own: see `drip.pytest_plugin.Drip`."""
    from drip.core.expectations import DEFAULT_START
    from drip.errors import FilesInvalid, Severity
    from drip.project import open_project

    project = open_project(Path(pytestconfig.rootpath) / pytestconfig.getini("drip_project"))
    files = project.files()
    errors = [problem for problem in files.problems if problem.severity is Severity.ERROR]
    if errors:
        raise FilesInvalid(errors)
    with project.rehearsal(DEFAULT_START) as rehearsal:
        rehearsal.take(files.definitions, files.templates.values())
        yield Drip(rehearsal)


def _mail(happening: Happening) -> Mail:
    from email import message_from_bytes, policy

    assert happening.content is not None  # only what was sent comes here
    message: EmailMessage = message_from_bytes(happening.content, policy=policy.default)
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    claim = happening.fact.claim
    return Mail(
        sequence=happening.sequence,
        step=happening.fact.step,
        to=claim.email,
        at=happening.at,
        subject=str(message["Subject"]),
        text="" if text is None else text.get_content().replace("\r\n", "\n"),
        html=None if html is None else html.get_content().replace("\r\n", "\n"),
        message=message,
    )
