"""Reads a source from end to end and takes in what is in it: what `drip bounces` and the loop do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from drip.core.reports import NoReport, Report
from drip.core.settings import Settings
from drip.engine.ports import Store
from drip.engine.reports import Taken, take_in, undone
from drip.inbound.read import Reader
from drip.inbound.sources import Letter, Source

COUNTED = (
    "hard", "soft", "complaint", "unsubscribe", "unproven", "duplicate", "auto_reply", "other", "unreadable",
)  # fmt: skip
"""Every message is counted once under the first that fits it, but for reports about several people."""


@dataclass(slots=True)
class Tally:
    """What was in a source."""

    read: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    suppressed: int = 0
    cancelled: int = 0

    def add(self, taken: Taken) -> None:
        """Count what became of a report."""
        self.counts[outcome(taken)] += 1
        self.suppressed += taken.suppressed
        self.cancelled += taken.cancelled


def outcome(taken: Taken) -> str:
    """Under which word it is counted."""
    if not taken.new:
        return "duplicate"
    return taken.kind.value if taken.proven else "unproven"


class Taker:
    """Takes in what sources hold. Keep one for a mailbox that is read again and again."""

    def __init__(self, store: Store, settings: Settings, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._settings = settings
        self._reader = reader
        self._clock = clock
        self._known: set[str] = set()

    def take(
        self,
        source: Source,
        *,
        told: Callable[[Taken], None] = lambda taken: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Tally:
        """Read what is new in a source; reports are put away, all else stays and is not looked at again.

        Args:
            told: called for what becomes of each report.
            stopped: asked between messages; True ends it.

        Raises:
            Unavailable: the source or the database can't be used now. What was taken in until then stays so.
        """
        tally, there = Tally(), set[str]()
        with source.opened() as letters:
            for letter in letters:
                if stopped():
                    break
                there.add(letter.name)
                if letter.name not in self._known:
                    self._one(letter, tally, told)
        self._known &= there
        return tally

    def rehearse(self, source: Source, *, told: Callable[[Taken], None] = lambda taken: None) -> Tally:
        """As `take`, but nothing is changed anywhere: neither in the source nor in the database."""
        tally = Tally()
        with source.opened() as letters:
            found = [self._read(letter, tally) for letter in letters]
        with undone(self._store):
            for report in found:
                for taken in take_in(self._store, self._settings, report, self._clock()) if report else ():
                    tally.add(taken)
                    told(taken)
        return tally

    def _one(self, letter: Letter, tally: Tally, told: Callable[[Taken], None]) -> None:
        report = self._read(letter, tally)
        if report is None:
            self._known.add(letter.name)
            return
        everything = take_in(self._store, self._settings, report, self._clock())
        for taken in everything:
            tally.add(taken)
            told(taken)
        if report.leave_token is not None and not any(taken.proven for taken in everything):
            # Somebody wants out, and the link is broken: a person must see that.
            self._known.add(letter.name)
            return
        letter.put_away()

    def _read(self, letter: Letter, tally: Tally) -> Report | None:
        raw = letter.content()
        if raw is None:
            return None
        tally.read += 1
        found = self._reader.read(raw)
        if isinstance(found, NoReport):
            tally.counts[found.value] += 1
            return None
        return found
