"""Handing messages to a mail server: who connects where, and one conversation for one thread.

No rendering, no retries, no database enters here. What is said is in `conversation.py`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.settings import DkimSettings, SmtpSettings
from drip.engine.ports import Envelope
from drip.transport.access import Access, prepare
from drip.transport.answers import Stage, Unusable, classify, expected, from_exception, misconfigured
from drip.transport.conversation import (
    QUIT_SECONDS,
    Ask,
    Conversation,
    Habits,
    Say,
    Want,
)
from drip.transport.door import Door
from drip.transport.fleet import SmtpFleet


class SmtpTransport:
    """Messages leave through the mail server of `smtp:`."""

    def __init__(
        self, settings: SmtpSettings, *, habits: Habits | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._habits = habits or Habits()
        self._monotonic = monotonic
        self._access: Access | None = None
        self._door = Door(self._habits.login_pause, monotonic)
        self._sign = _signer(settings.dkim) if settings.dkim is not None else _unsigned

    @property
    def connections(self) -> int:
        """How many sessions may be used side by side."""
        return self._settings.connections

    def session(self) -> SmtpSession:
        """A new session for one thread; nothing is opened before the first message."""
        return SmtpSession(self._conversation())

    def fleet(self) -> SmtpFleet:
        """All connections, led by one thread; nothing is opened before the first message."""
        return SmtpFleet([self._conversation() for _ in range(self.connections)])

    def _conversation(self) -> Conversation:
        return Conversation(lambda: self._door.enter(self._connect), self._habits, self._monotonic, self._sign)

    def try_out(self, sender: str) -> Outcome:
        """Connect, log in, name a sender, take it back: all but a message. SENT stands for "it would go".

        Args:
            sender: as MAIL FROM.
        """
        try:
            wire = self._connect()
        except Unusable as error:
            return error.outcome
        stage = Stage.MAIL
        try:
            code, text = wire.mail(sender, [] if sender.isascii() else ["SMTPUTF8"])
            if expected(stage, code):
                stage = Stage.IDLE
                code, text = wire.rset()
        except OSError as error:
            return from_exception(stage, error)
        else:
            return Outcome(OutcomeKind.SENT, code) if expected(stage, code) else classify(stage, code, text)
        finally:
            wire.quit_within(QUIT_SECONDS)

    def _connect(self) -> Any:
        if self._settings.dkim is not None:
            from drip.render import dkim  # noqa: F401  # before yagmail, which is kept from loading it
        from drip.transport import wire  # yagmail takes 50 ms to import; needed only when something is sent

        progress = wire.Progress()
        try:
            if self._access is None:  # two threads may both do it: no harm, and the same outcome
                self._access = prepare(self._settings)
            return wire.connect(self._settings, self._access, progress)
        except (OSError, ValueError) as error:
            self._access = None  # a file may be another one by the next time
            raise Unusable(self._failure(progress.stage, error)) from error

    def _failure(self, stage: Stage, error: Exception) -> Outcome:
        if isinstance(error, UnicodeError) and stage is Stage.CONNECT:
            return misconfigured(f"smtp.host {self._settings.host!r} is no host name")
        outcome = from_exception(Stage.TLS if isinstance(error, ssl.SSLError) else stage, error)
        if outcome.kind is not OutcomeKind.DOWN:
            return outcome
        return replace(outcome, text=f"{self._settings.host}:{self._settings.port}: {outcome.text}"[:500])


class SmtpSession:
    """One conversation for one thread, which waits for each answer; fulfils `engine.ports.Session`."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def _wire(self) -> Any:
        return self._conversation.wire

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        """Hand one message over; see `engine.ports.Session.send`."""
        talk = self._conversation.message(envelope, content)
        try:
            want = next(talk)
            while True:
                try:
                    came = self._do(want, mark)
                except BaseException as error:
                    want = talk.throw(error)
                else:
                    want = talk.send(came)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    def close(self) -> None:
        """Say QUIT, wait two seconds at most for the answer, and close; never raises."""
        self._conversation.quit()

    def _do(self, want: Want, mark: Callable[[], bool]) -> Any:
        if want is Ask.CONNECT:
            return self._conversation.connect()
        if want is Ask.MARK:
            return mark()
        wire = self._conversation.wire
        return wire.send(want.octets) if isinstance(want, Say) else wire.reply_within(want.seconds)


def _signer(settings: DkimSettings) -> Callable[[bytes], bytes]:
    def signed(message: bytes) -> bytes:
        from drip.render.dkim import sign  # with dkimpy; needed only when something is sent

        return sign(message, settings.key, settings.domain, settings.selector, time.time())

    return signed


def _unsigned(message: bytes) -> bytes:
    return message
