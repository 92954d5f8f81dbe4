"""Between the worker and those who carry: claims go out as letters, and what came of them goes to the writer.

Nothing is decided about people here, and no octet is sent.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Protocol

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine.points import Point, reached
from drip.engine.ports import Desk, P, Session
from drip.engine.records import Claim, Marked
from drip.engine.results import Result
from drip.engine.sender import Letter, Sender
from drip.engine.writer import Writer
from drip.errors import Unavailable

Inbox = SimpleQueue[Claim | None]
"""Claims to be worked off; None tells one thread to end."""


AHEAD = 50
"""Letters that may wait for somebody who is free to carry them."""
FRESH = 2.0
"""Seconds after which one is not begun as it is: its window may have closed, its Date is no longer now."""
LASTING = 1.5
"""Seconds after which one is not given out as it is: it may have to wait for the answer to the one before it."""
_REFUSALS = (OutcomeKind.NO_MAILBOX, OutcomeKind.REFUSED)


class Overseer(Protocol):
    """Who must know how it goes."""

    @property
    def halted(self) -> bool:
        """Whether nothing more is to be begun."""
        ...

    def look_at(self, outcome: Outcome) -> None:
        """Every outcome, before it is recorded."""
        ...

    def lost_hold(self, error: Unavailable) -> None:
        """The database could not be used, and some claims could not be settled."""
        ...

    def settled(self, count: int) -> None:
        """So many claims are written, or lost."""
        ...


class SendingDesk:
    """One for each thread that sends; fulfils `engine.ports.Desk`."""

    def __init__(self, inbox: Inbox, sender: Sender, writer: Writer, overseer: Overseer) -> None:
        self._inbox = inbox
        self._sender = sender
        self._writer = writer
        self._overseer = overseer
        self._first: Claim | None = None
        self._ahead: deque[Letter] = deque()
        self._ended = False
        self._results: list[Result] = []

    def wait(self, patience: timedelta) -> bool:
        """Wait for something to do; False when there will be nothing more.

        Raises:
            Empty: nothing came for so long.
        """
        if not self._ended:
            self._first = self._inbox.get(timeout=patience.total_seconds())
            self._ended = self._first is None
        return not self._ended

    def take(self, count: int) -> list[Letter]:
        """The next letters; see `engine.ports.Desk`. What is not to be sent is settled on the way."""
        if self._overseer.halted:
            self._give_back()
            return []
        letters: list[Letter] = []
        while len(letters) < count and (letter := self._made_ahead() or self._next()) is not None:
            letters.append(letter)
        return letters

    def prepare(self) -> bool:
        """Make a letter ahead; see `engine.ports.Desk`."""
        if len(self._ahead) >= AHEAD or self._overseer.halted or (letter := self._next()) is None:
            return False
        self._ahead.append(letter)
        return True

    def still(self, letter: Letter) -> bool:
        """Whether it may still be begun; see `engine.ports.Desk`."""
        if self._overseer.halted:
            self._release([letter.claim])
            return False
        if _is_younger(letter, FRESH):
            return True
        if (again := self._letter(letter.claim)) is not None:
            self._ahead.appendleft(again)
        return False

    def mark(self, letters: Sequence[Letter]) -> Sequence[bool]:
        """Whether each may be sent; see `engine.ports.Desk`."""
        allowed = self._mark_by(self._writer.mark, letters)
        assert allowed is not None  # it was waited for
        return allowed

    def try_mark(self, letters: Sequence[Letter]) -> Sequence[bool] | None:
        """As `mark`, where nobody else writes; see `engine.ports.Desk`."""
        return self._mark_by(self._writer.try_mark, letters)

    def _mark_by(
        self, way: Callable[[Sequence[Marked], Sequence[Result]], list[bool] | None], letters: Sequence[Letter]
    ) -> Sequence[bool] | None:
        results, self._results = self._results, []
        try:
            allowed = way([letter.mark for letter in letters], results)
        except Unavailable as error:
            # The claims of these are taken back with the others that could not be settled.
            self._overseer.lost_hold(error)
            for letter in letters:
                letter.lost = True
            allowed = [False] * len(letters)
        if allowed is None:
            self._results = results
            return None
        reached(Point.MARKED)
        self._overseer.settled(len(results))
        for letter, may_go in zip(letters, allowed, strict=True):
            letter.marked = may_go
        return allowed

    def done(self, letter: Letter, outcome: Outcome) -> None:
        """What came of a letter; see `engine.ports.Desk`."""
        if letter.lost:
            self._overseer.settled(1)
        else:
            self._settle(self._sender.result(letter, outcome))

    @property
    def holds(self) -> bool:
        """Whether anything is not with the writer yet."""
        return bool(self._results)

    def flush(self) -> None:
        """Have all that came of letters written."""
        results, self._results = self._results, []
        if results:
            self._writer.record(results)
            self._overseer.settled(len(results))

    def _made_ahead(self) -> Letter | None:
        while self._ahead:
            letter = self._ahead.popleft()
            if _is_younger(letter, LASTING):
                return letter
            if (again := self._letter(letter.claim)) is not None:
                return again
        return None

    def _next(self) -> Letter | None:
        while (claim := self._claim()) is not None:
            if (letter := self._letter(claim)) is not None:
                return letter
        return None

    def _letter(self, claim: Claim) -> Letter | None:
        """None where it is not to be sent: that is settled."""
        made = self._sender.make(claim)
        if isinstance(made, Letter):
            made.made_at = time.monotonic()
            return made
        self._settle(made)
        return None

    def _settle(self, result: Result) -> None:
        if isinstance(result.outcome, Outcome):
            self._overseer.look_at(result.outcome)
        self._results.append(result)
        # The breaker must know of a hard refusal before many more can follow.
        if isinstance(result.outcome, Outcome) and result.outcome.kind in _REFUSALS:
            self.flush()

    def _claim(self) -> Claim | None:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            claim = self._inbox.get_nowait()
        except Empty:
            return None
        self._ended = self._ended or claim is None
        return claim

    def _give_back(self) -> None:
        claims = [letter.claim for letter in self._ahead]
        self._ahead.clear()
        while (claim := self._claim()) is not None:
            claims.append(claim)
        if claims:
            self._release(claims)

    def _release(self, claims: Sequence[Claim]) -> None:
        try:
            self._writer.release(claims)
        except Unavailable as error:
            self._overseer.lost_hold(error)
        self._overseer.settled(len(claims))


def _is_younger(letter: Letter, seconds: float) -> bool:
    return time.monotonic() - letter.made_at < seconds


class OneByOne:
    """A session as a fleet: each message is waited for; fulfils `engine.ports.Fleet`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def carry(self, desk: Desk[P]) -> None:
        """Hand over what the desk gives, and have each recorded at once."""
        while parcels := desk.take(1):
            outcome = self._session.send(parcels[0].envelope, parcels[0].content, lambda: desk.mark(parcels)[0])
            desk.done(parcels[0], outcome)
            desk.flush()
        desk.flush()

    def wake(self) -> None:
        """Whoever waits for an answer hears nothing else."""

    def rest(self) -> None:
        """End the connection."""
        self._session.close()

    close = rest
