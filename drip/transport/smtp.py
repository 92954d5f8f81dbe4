"""Handing messages to a mail server, one conversation at a time. No rendering, no retries, no database enters here.

The order is the promise: everything up to the body can be given up without harm, then `mark` says durably that the
message may be out, and only then does the final dot go (RFC 5321, section 4.1.1.4; RFC 1047 on why it matters).
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.settings import DkimSettings, SmtpSettings
from drip.engine.points import Point, reached
from drip.engine.ports import Envelope
from drip.transport.access import Access, prepare
from drip.transport.answers import (
    Stage,
    Unusable,
    classify,
    expected,
    from_exception,
    in_step,
    misconfigured,
)
from drip.transport.door import LOGIN_PAUSE, Door

DOT_TIMEOUT = timedelta(seconds=600)
"""RFC 5321, section 4.5.3.2.6: an answer given up on too early is a second copy, or an unknown."""
IDLE_LIMIT = timedelta(seconds=30)
IDLE_CHECK = timedelta(seconds=5)
MESSAGES_PER_CONNECTION = 1000
QUIT_SECONDS = 2.0

_ADDRESS = re.compile(
    r"[^\s<>()\[\],;:\"\\@\x00-\x20\x7f-\x9f\ud800-\udfff]+@[^\s<>(),;\"\\@\x00-\x20\x7f-\x9f\ud800-\udfff]+"
)
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_POINTS = {
    Stage.MAIL: (Point.MAIL, Point.MAIL_ANSWERED),
    Stage.RCPT: (Point.RCPT, Point.RCPT_ANSWERED),
    Stage.DATA: (Point.DATA, Point.DATA_ANSWERED),
}


@dataclass(frozen=True, slots=True)
class Habits:
    """How a session uses its connection."""

    dot_timeout: timedelta = DOT_TIMEOUT
    """For the answer to the final dot."""
    idle_limit: timedelta = IDLE_LIMIT
    """A connection unused for longer is closed at its next use."""
    idle_check: timedelta = IDLE_CHECK
    """One unused for longer is tried with NOOP first."""
    messages: int = MESSAGES_PER_CONNECTION
    """After so many the connection is closed."""
    login_pause: timedelta = LOGIN_PAUSE
    """After a refused login no session of the transport tries again for so long."""


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
        return SmtpSession(lambda: self._door.enter(self._connect), self._habits, self._monotonic, self._sign)

    def _connect(self) -> Any:
        from drip.transport import wire  # yagmail takes 100 ms to import; needed only when something is sent

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
    """One connection at a time, for one thread; fulfils `engine.ports.Session`."""

    def __init__(
        self,
        connect: Callable[[], Any],
        habits: Habits,
        monotonic: Callable[[], float],
        sign: Callable[[bytes], bytes],
    ) -> None:
        self._connect = connect
        self._sign = sign
        self._habits = habits
        self._monotonic = monotonic
        self._wire: Any = None
        self._messages = 0
        self._used_at = 0.0
        self._open_transaction = False

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        """Hand one message over; see `engine.ports.Session.send`."""
        try:
            outcome = self._send(envelope, self._sign(with_crlf(content)), mark)
        except BaseException:
            self._drop()
            raise
        self._used_at = self._monotonic()
        return outcome

    def close(self) -> None:
        """Say QUIT, wait two seconds at most for the answer, and close; never raises."""
        wire, self._wire = self._wire, None
        if wire is not None:
            reached(Point.QUIT)
            wire.quit_within(QUIT_SECONDS)

    def _send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        unfit = unfit_envelope(envelope)
        if unfit is not None:
            return unfit
        stopped = self._begin(envelope, len(content)) or self._hand_over(envelope.recipient, content)
        if stopped is not None:
            return stopped
        if not mark():
            self._drop()
            return Outcome(OutcomeKind.NOT_MARKED, text="given up before the final dot")
        return self._finish()

    def _begin(self, envelope: Envelope, size: int) -> Outcome | None:
        reused = self._reuse()
        stopped = (None if reused else self._open()) or self._say_sender(envelope, size)
        if stopped is None or not reused or self._wire is not None:
            return stopped
        # Servers end a connection after so many messages or seconds, at MAIL or between: no one's fault, begin anew.
        return self._open() or self._say_sender(envelope, size)

    def _open(self) -> Outcome | None:
        reached(Point.CONNECT)
        try:
            self._wire = self._connect()
        except Unusable as error:
            return error.outcome
        reached(Point.CONNECTED)
        self._messages = 0
        self._open_transaction = False
        return None

    def _reuse(self) -> bool:
        if self._wire is None:
            return False
        idle = timedelta(seconds=self._monotonic() - self._used_at)
        if idle > self._habits.idle_limit or self._messages >= self._habits.messages:
            self.close()
            return False
        if self._wire.quiet() and self._renewed(idle):
            return True
        self._drop()
        return False

    def _renewed(self, idle: timedelta) -> bool:
        if not self._open_transaction and idle <= self._habits.idle_check:
            return True
        reached(Point.RENEW_CONNECTION)
        try:
            code, _ = self._wire.rset() if self._open_transaction else self._wire.noop()
        except OSError:
            return False
        reached(Point.CONNECTION_RENEWED)
        self._open_transaction = False
        return bool(code // 100 == 2)

    def _say_sender(self, envelope: Envelope, size: int) -> Outcome | None:
        wire = self._wire
        features: dict[str, str] = wire.esmtp_features
        unfit = _unfit_for_server(envelope, size, features)
        if unfit is not None:
            return unfit
        options = [f"SIZE={size}"] if "size" in features else []
        if not (envelope.sender + envelope.recipient).isascii():
            options.append("SMTPUTF8")
        self._messages += 1
        return self._say(Stage.MAIL, lambda: wire.mail(envelope.sender, options))

    def _hand_over(self, recipient: str, content: bytes) -> Outcome | None:
        wire = self._wire
        return (
            self._say(Stage.RCPT, lambda: wire.rcpt(recipient))
            or self._say(Stage.DATA, lambda: wire.docmd("DATA"))
            or self._say_body(dot_stuffed(content))
        )

    def _say(self, stage: Stage, command: Callable[[], tuple[int, bytes]]) -> Outcome | None:
        before, after = _POINTS[stage]
        reached(before)
        try:
            code, text = command()
        except OSError as error:
            self._drop()
            return from_exception(stage, error)
        reached(after)
        if expected(stage, code):
            return None
        self._after_refusal(code)
        return classify(stage, code, text)

    def _say_body(self, stuffed: bytes) -> Outcome | None:
        reached(Point.BODY)
        try:
            self._wire.send(stuffed)
        except OSError as error:
            self._drop()
            return from_exception(Stage.BODY, error)
        reached(Point.BODY_SENT)
        return self._interrupted()

    def _interrupted(self) -> Outcome | None:
        # What came before the dot is not the answer to it: an early refusal, or the end of the connection.
        if self._wire.quiet():
            return None
        try:
            code, text = self._wire.getreply()
        except OSError as error:
            return from_exception(Stage.BODY, error)
        else:
            return classify(Stage.BODY, code, text)
        finally:
            self._drop()

    def _finish(self) -> Outcome:
        interrupted = self._interrupted()
        if interrupted is not None:
            return interrupted
        reached(Point.DOT)
        try:
            self._wire.send(b".\r\n")
        except OSError as error:
            self._drop()
            return from_exception(Stage.BODY, error)  # the system did not take the whole dot: it never left
        reached(Point.DOT_SENT)
        try:
            code, text = self._wire.reply_within(self._habits.dot_timeout.total_seconds())
        except OSError as error:
            self._drop()
            return from_exception(Stage.DOT, error)
        reached(Point.DOT_ANSWERED)
        if not expected(Stage.DOT, code):
            self._after_refusal(code)
        return classify(Stage.DOT, code, text)

    def _after_refusal(self, code: int) -> None:
        self._open_transaction = True
        if not in_step(code):
            self._drop()

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()


def _signer(settings: DkimSettings) -> Callable[[bytes], bytes]:
    def signed(message: bytes) -> bytes:
        from drip.render.dkim import sign  # with dkimpy; needed only when something is sent

        return sign(message, settings.key, settings.domain, settings.selector, time.time())

    return signed


def _unsigned(message: bytes) -> bytes:
    return message


def with_crlf(content: bytes) -> bytes:
    """The content with CRLF line ends and nothing else: a bare CR or LF can hide a second message (CVE-2023-51764)."""
    lines = content.count(b"\r\n")
    if content.count(b"\n") != lines or content.count(b"\r") != lines:
        content = _ANY_LINE_END.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def dot_stuffed(content: bytes) -> bytes:
    """The content as it goes over the wire: a dot more where a line begins with one (RFC 5321, section 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def unfit_envelope(envelope: Envelope) -> Outcome | None:
    """What is wrong with the envelope for any server; None when nothing is."""
    if not _ADDRESS.fullmatch(envelope.sender):
        return misconfigured(
            f"the envelope sender {envelope.sender!r} is no address: check from and smtp.envelope_from"
        )
    if not _ADDRESS.fullmatch(envelope.recipient):
        return Outcome(OutcomeKind.BAD_ADDRESS, text=f"{envelope.recipient!r} is no address a server could take"[:500])
    return None


def _unfit_for_server(envelope: Envelope, size: int, features: dict[str, str]) -> Outcome | None:
    offered_size = features.get("size", "")
    limit = int(offered_size) if offered_size.isascii() and offered_size.isdigit() else 0  # 0: no limit (RFC 1870)
    if 0 < limit < size:
        return Outcome(OutcomeKind.REFUSED, text=f"the message has {size} octets, the server takes at most {limit}")
    if "smtputf8" in features:
        return None
    if not envelope.sender.isascii():
        return misconfigured(f"the server can't take a From like {envelope.sender} (no SMTPUTF8): check from")
    if not envelope.recipient.isascii():
        text = f"the server can't take an address like {envelope.recipient} (it does not offer SMTPUTF8)"
        return Outcome(OutcomeKind.BAD_ADDRESS, text=text)
    return None
