"""What is said to a mail server, and in which order. No socket is read, written or waited for here.

The order is the promise: everything up to the body can be given up without harm, then the mark says durably that the
message may be out, and only then does the final dot go (RFC 5321, section 4.1.1.4; RFC 1047 on why it matters).

Each message is a generator: it yields what it wants done, and is sent what came of it, so that one thread may lead one
conversation (`smtp.py`) or many (`fleet.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine.points import Point, reached
from drip.engine.ports import Envelope
from drip.transport.answers import Stage, Unusable, classify, expected, from_exception, in_step
from drip.transport.commands import dot_stuffed, mail, rcpt, unfit_envelope, unfit_for_server, with_crlf
from drip.transport.door import LOGIN_PAUSE

DOT_TIMEOUT = timedelta(seconds=600)
"""RFC 5321, section 4.5.3.2.6: an answer given up on too early is a second copy, or an unknown."""
IDLE_LIMIT = timedelta(seconds=30)
IDLE_CHECK = timedelta(seconds=5)
MESSAGES_PER_CONNECTION = 1000
QUIT_SECONDS = 2.0

_DOT = b".\r\n"
_OUT_OF_ORDER = 503
_GOING_AWAY = 421
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


@dataclass(slots=True)
class Say:
    """Send these octets; OSError when the connection did not take them all in time."""

    octets: bytes
    taken: int = 0
    """How many the system took, where whoever leads knows."""


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


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message as it was given, and as it will be said."""

    envelope: Envelope
    content: bytes
    octets: bytes
    """With CRLF line ends, and signed."""


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
        self._next: _Ready | None = None
        self._said = False
        """Whether the first commands of the next message went out behind the last dot."""
        self._bears_next = True
        """Whether the server did with them what it should, as far as is known."""

    @property
    def takes_next(self) -> bool:
        """Whether the first commands of the next message can go with the dot of this one."""
        may_have_more = self.wire is not None and self._messages < self._habits.messages
        return may_have_more and self._bears_next and self._pipelines

    def announce(self, envelope: Envelope, content: bytes) -> None:
        """Which message will be the next; to be told before the mark of this one."""
        self._next = self._ready(envelope, content)

    def message(self, envelope: Envelope, content: bytes) -> Talk:
        """Hand one message over; see `engine.ports.Session.send`. The connection is dropped when it is closed early."""
        ready, self._next = self._next, None
        if ready is None or (ready.envelope, ready.content) != (envelope, content):
            ready = self._ready(envelope, content)
            if self._said:
                self.drop()
        try:
            outcome = yield from self._message(ready.envelope, ready.octets)
        except BaseException:
            self.drop()
            raise
        self._used_at = self._monotonic()
        return outcome

    def drop(self) -> None:
        """End the connection without a word."""
        wire, self.wire = self.wire, None
        self._said = False
        if wire is not None:
            wire.close()

    def quit(self, seconds: float = QUIT_SECONDS) -> None:
        """Say QUIT, wait so long at most for the answer, and close; never raises for what a server does."""
        if self._said:  # the server waits for a message
            self.drop()
        self._bears_next = True  # another one may answer the next time
        wire, self.wire = self.wire, None
        if wire is not None:
            reached(Point.QUIT)
            wire.quit_within(seconds)

    @property
    def _pipelines(self) -> bool:
        return self._habits.pipelining and "pipelining" in self.wire.esmtp_features

    def _ready(self, envelope: Envelope, content: bytes) -> _Ready:
        return _Ready(envelope, content, self._sign(with_crlf(content)))

    def _message(self, envelope: Envelope, content: bytes) -> Talk:
        unfit = unfit_envelope(envelope)
        if unfit is not None:
            return unfit
        stopped = yield from self._enter(envelope, len(content))
        stopped = stopped or (yield from self._say_body(dot_stuffed(content)))
        if stopped is not None:
            return stopped
        if not (yield Ask.MARK):
            self.drop()
            return Outcome(OutcomeKind.NOT_MARKED, text="given up before the final dot")
        return (yield from self._finish())

    def _enter(self, envelope: Envelope, size: int) -> _Part:
        said, self._said = self._said, False
        if said:
            stopped = (yield from self._hear_sender(b"")) or (yield from self._say_rest(envelope))
            if stopped is not None and stopped.code == _OUT_OF_ORDER:
                self.drop()  # for the server the transaction before was not over
            if stopped is None or self.wire is not None:
                return stopped
            # The connection ended, or answers did not fit: that may have come of the message before. Begin anew.
            if stopped.code not in (None, _GOING_AWAY):
                self._bears_next = False
        return (yield from self._begin(envelope, size)) or (yield from self._say_rest(envelope))

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
        unfit = unfit_for_server(envelope, size, self.wire.esmtp_features)
        if unfit is not None:
            return unfit
        return (yield from self._hear_sender(self._commands(envelope, size)))

    def _commands(self, envelope: Envelope, size: int) -> bytes:
        """MAIL, and where the server takes it (RFC 2920) RCPT and DATA behind it."""
        command = mail(envelope, size, self.wire.esmtp_features)
        self._messages += 1
        reached(Point.MAIL)
        if not self._pipelines:
            return command
        reached(Point.RCPT)
        reached(Point.DATA)
        return command + rcpt(envelope) + b"DATA\r\n"

    def _hear_sender(self, commands: bytes) -> _Part:
        """The answer to MAIL; empty commands were said before."""
        pipelines = self._pipelines
        stopped = yield from self._answer(Stage.MAIL, commands)
        if stopped is None:
            self._open_transaction = False
        elif pipelines:
            yield from self._hear_rest(Stage.RCPT, Stage.DATA)
        return stopped

    def _say_rest(self, envelope: Envelope) -> _Part:
        """RCPT and DATA; where they were said already only their answers are heard."""
        said = self._pipelines
        if not said:
            reached(Point.RCPT)
        stopped = yield from self._answer(Stage.RCPT, b"" if said else rcpt(envelope))
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
            if isinstance(error, TimeoutError):  # some throw away what comes before they have answered the dot
                self._bears_next = False
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
        dot = Say(_DOT + self._commands_of_next())
        reached(Point.DOT)
        cut_off = False
        try:
            yield dot
        except OSError as error:
            if dot.taken < len(_DOT):  # the system did not take the whole dot: it never left
                self.drop()
                return from_exception(Stage.BODY, error)
            cut_off = True  # only what came with it did not leave: the dot may be answered
        reached(Point.DOT_SENT)
        try:
            code, text = yield Hear(self._habits.dot_timeout.total_seconds())
        except OSError as error:
            self.drop()
            return from_exception(Stage.DOT, error)
        reached(Point.DOT_ANSWERED)
        if cut_off:
            self.drop()
        elif not expected(Stage.DOT, code):
            self._after_refusal(code)
        return classify(Stage.DOT, code, text)

    def _commands_of_next(self) -> bytes:
        """What goes with the dot (RFC 2920, section 3.1), as most servers are quick and the network is not."""
        following = self._next
        if following is None or not self.takes_next:
            return b""
        envelope, size = following.envelope, len(following.octets)
        if unfit_envelope(envelope) or unfit_for_server(envelope, size, self.wire.esmtp_features):
            return b""
        self._said = True
        return self._commands(envelope, size)

    def _after_refusal(self, code: int) -> None:
        self._open_transaction = True
        if code // 100 == 2 or not in_step(code):  # a yes that is none: what was said last may be answered by the next
            self.drop()
