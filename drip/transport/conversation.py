"""What is said to a mail server, and in which order. No socket is read, written or waited for here.

The order is the promise: everything up to the body can be given up without harm, then the mark says durably that the
message may be out, and only then does the final dot go (RFC 5321, section 4.1.1.4; RFC 1047 on why it matters).

Each message is a generator: it yields what it wants done, and is sent what came of it, so that one thread may lead one
conversation (`smtp.py`) or many (`fleet.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine.points import Point, reached
from drip.engine.ports import Envelope
from drip.transport.answers import Stage, Unusable, classify, expected, from_exception, in_step, misconfigured
from drip.transport.door import LOGIN_PAUSE

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
    pipelining: bool = True
    """Whether MAIL, RCPT and DATA are said together where the server takes it (RFC 2920)."""
    login_pause: timedelta = LOGIN_PAUSE
    """After a refused login no session of the transport tries again for so long."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send these octets; OSError when the connection did not take them all in time."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait for an answer: its code and text; OSError when there is none within so many seconds."""

    seconds: float


class Ask(Enum):
    """What else may be wanted."""

    CONNECT = auto()  # a connection from `Conversation.connect`; raises Unusable
    MARK = auto()  # whether the message may be sent, durably


Want = Say | Hear | Ask
Talk = Generator[Want, Any, Outcome]
"""One message from its first command to what came of it."""
_Part = Generator[Want, Any, Outcome | None]
"""A part of it: None when it may go on."""


class Conversation:
    """One connection at a time, and the messages that go over it one after another."""

    def __init__(
        self,
        connect: Callable[[], Any],
        habits: Habits,
        monotonic: Callable[[], float],
        sign: Callable[[bytes], bytes],
    ) -> None:
        self.connect = connect
        self._sign = sign
        self.wire: Any = None
        """The connection, or None."""
        self._habits = habits
        self._monotonic = monotonic
        self._messages = 0
        self._used_at = 0.0
        self._open_transaction = False

    def message(self, envelope: Envelope, content: bytes) -> Talk:
        """Hand one message over; see `engine.ports.Session.send`. The connection is dropped when it is closed early."""
        try:
            outcome = yield from self._message(envelope, self._sign(with_crlf(content)))
        except BaseException:
            self.drop()
            raise
        self._used_at = self._monotonic()
        return outcome

    def drop(self) -> None:
        """End the connection without a word."""
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()

    def quit(self, seconds: float = QUIT_SECONDS) -> None:
        """Say QUIT, wait so long at most for the answer, and close; never raises for what a server does."""
        wire, self.wire = self.wire, None
        if wire is not None:
            reached(Point.QUIT)
            wire.quit_within(seconds)

    @property
    def _pipelines(self) -> bool:
        return self._habits.pipelining and "pipelining" in self.wire.esmtp_features

    def _message(self, envelope: Envelope, content: bytes) -> Talk:
        unfit = unfit_envelope(envelope)
        if unfit is not None:
            return unfit
        stopped = yield from self._begin(envelope, len(content))
        stopped = stopped or (yield from self._say_rest(envelope))
        stopped = stopped or (yield from self._say_body(dot_stuffed(content)))
        if stopped is not None:
            return stopped
        if not (yield Ask.MARK):
            self.drop()
            return Outcome(OutcomeKind.NOT_MARKED, text="given up before the final dot")
        return (yield from self._finish())

    def _begin(self, envelope: Envelope, size: int) -> _Part:
        reused = yield from self._reuse()
        stopped = None if reused else (yield from self._open())
        stopped = stopped or (yield from self._say_sender(envelope, size))
        if stopped is None or not reused or self.wire is not None:
            return stopped
        # Servers end a connection after so many messages or seconds, at MAIL or between: no one's fault, begin anew.
        return (yield from self._open()) or (yield from self._say_sender(envelope, size))

    def _open(self) -> _Part:
        reached(Point.CONNECT)
        try:
            self.wire = yield Ask.CONNECT
        except Unusable as error:
            return error.outcome
        reached(Point.CONNECTED)
        self._messages = 0
        self._open_transaction = False
        return None

    def _reuse(self) -> Generator[Want, Any, bool]:
        if self.wire is None:
            return False
        idle = timedelta(seconds=self._monotonic() - self._used_at)
        if idle > self._habits.idle_limit or self._messages >= self._habits.messages:
            yield from self._leave()
            return False
        if self.wire.quiet() and (yield from self._renewed(idle)):
            return True
        self.drop()
        return False

    def _leave(self) -> Generator[Want, Any, None]:
        reached(Point.QUIT)
        try:
            yield Say(b"QUIT\r\n")
            yield Hear(QUIT_SECONDS)
        except OSError:
            pass  # it is closed all the same
        self.drop()

    def _renewed(self, idle: timedelta) -> Generator[Want, Any, bool]:
        if not self._open_transaction and idle <= self._habits.idle_check:
            return True
        reached(Point.RENEW_CONNECTION)
        try:
            yield Say(b"RSET\r\n" if self._open_transaction else b"NOOP\r\n")
            code, _ = yield Hear(self.wire.timeout)
        except OSError:
            return False
        reached(Point.CONNECTION_RENEWED)
        self._open_transaction = False
        return bool(code // 100 == 2)

    def _say_sender(self, envelope: Envelope, size: int) -> _Part:
        """MAIL, and where the server takes it (RFC 2920) RCPT and DATA behind it; the answer to MAIL."""
        features: dict[str, str] = self.wire.esmtp_features
        unfit = _unfit_for_server(envelope, size, features)
        if unfit is not None:
            return unfit
        command = _mail(envelope, size, features)
        self._messages += 1
        reached(Point.MAIL)
        if not self._pipelines:
            return (yield from self._answer(Stage.MAIL, command))
        reached(Point.RCPT)
        reached(Point.DATA)
        stopped = yield from self._answer(Stage.MAIL, command + _rcpt(envelope) + b"DATA\r\n")
        if stopped is not None:
            yield from self._hear_rest(Stage.RCPT, Stage.DATA)
        return stopped

    def _say_rest(self, envelope: Envelope) -> _Part:
        """RCPT and DATA; where they were said already only their answers are heard."""
        said = self._pipelines
        if not said:
            reached(Point.RCPT)
        stopped = yield from self._answer(Stage.RCPT, b"" if said else _rcpt(envelope))
        if stopped is not None:
            if said:
                yield from self._hear_rest(Stage.DATA)
            return stopped
        if not said:
            reached(Point.DATA)
        return (yield from self._answer(Stage.DATA, b"" if said else b"DATA\r\n"))

    def _answer(self, stage: Stage, command: bytes) -> _Part:
        try:
            if command:
                yield Say(command)
            code, text = yield Hear(self.wire.timeout)
        except OSError as error:
            self.drop()
            return from_exception(stage, error)
        reached(_POINTS[stage][1])
        if expected(stage, code):
            return None
        self._after_refusal(code)
        return classify(stage, code, text)

    def _hear_rest(self, *stages: Stage) -> Generator[Want, Any, None]:
        """The answers to what was said behind a refused command: refusals too, or the connection is given up."""
        try:
            for stage in stages:
                if self.wire is None:
                    return
                code, _ = yield Hear(self.wire.timeout)
                # A server that takes a message for nobody is told that it has no content (RFC 2920, section 3.1). After
                # a refused MAIL that answer makes no sense.
                if stage is Stage.DATA and code == 354 and len(stages) == 1:
                    yield Say(b".\r\n")
                    code, _ = yield Hear(self.wire.timeout)
                if code // 100 not in (4, 5) or code == 421:
                    self.drop()
        except OSError:
            self.drop()

    def _say_body(self, stuffed: bytes) -> _Part:
        reached(Point.BODY)
        try:
            yield Say(stuffed)
        except OSError as error:
            self.drop()
            return from_exception(Stage.BODY, error)
        reached(Point.BODY_SENT)
        return (yield from self._interrupted())

    def _interrupted(self) -> _Part:
        # What came before the dot is not the answer to it: an early refusal, or the end of the connection.
        if self.wire.quiet():
            return None
        try:
            code, text = yield Hear(self.wire.timeout)
        except OSError as error:
            return from_exception(Stage.BODY, error)
        else:
            return classify(Stage.BODY, code, text)
        finally:
            self.drop()

    def _finish(self) -> Talk:
        interrupted = yield from self._interrupted()
        if interrupted is not None:
            return interrupted
        reached(Point.DOT)
        try:
            yield Say(b".\r\n")
        except OSError as error:
            self.drop()
            return from_exception(Stage.BODY, error)  # the system did not take the whole dot: it never left
        reached(Point.DOT_SENT)
        try:
            code, text = yield Hear(self._habits.dot_timeout.total_seconds())
        except OSError as error:
            self.drop()
            return from_exception(Stage.DOT, error)
        reached(Point.DOT_ANSWERED)
        if not expected(Stage.DOT, code):
            self._after_refusal(code)
        return classify(Stage.DOT, code, text)

    def _after_refusal(self, code: int) -> None:
        self._open_transaction = True
        if code // 100 == 2 or not in_step(code):  # a yes that is none: what was said last may be answered by the next
            self.drop()


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


def _mail(envelope: Envelope, size: int, features: dict[str, str]) -> bytes:
    options = f" SIZE={size}" if "size" in features else ""
    if not (envelope.sender.isascii() and envelope.recipient.isascii()):
        options += " SMTPUTF8"
    return f"MAIL FROM:<{envelope.sender}>{options}\r\n".encode()


def _rcpt(envelope: Envelope) -> bytes:
    return f"RCPT TO:<{envelope.recipient}>\r\n".encode()


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
