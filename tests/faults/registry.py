"""What a row of the campaign is: a promise, the fault against it, and the wrong build that must be caught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import ceil, exp, lgamma, log, log1p
from pathlib import Path
from random import Random


@dataclass(frozen=True, slots=True)
class Case:
    """What one trial is given."""

    folder: Path
    """Empty, and its own."""
    number: int
    """Of the trial, from 0; rows that go through a table take their place in it from here."""
    random: Random
    """From the seed, the row and the number."""
    database: str = "sqlite"
    """Or `postgresql`."""


@dataclass(slots=True)
class Figures:
    """What trials showed; they add up."""

    trials: int = 0
    kills: int = 0
    """Processes that were really killed or stopped."""
    faults: int = 0
    """Things that were made to go wrong otherwise, hostile inputs included."""
    duplicates: int = 0
    """Messages that were accepted more than once, by the server's log."""
    unknown: int = 0
    unknown_had: int = 0
    """Of these, how many the server had accepted."""
    lost: int = 0
    """Due, and neither accepted nor unknown nor failed with a reason."""
    seconds: float = 0.0
    """Of processors, over all processes that have ended; waiting costs nothing."""
    breaches: list[str] = field(default_factory=list)
    """Promises that were not kept, in words."""
    checked: int = 0
    """Databases that were looked over after a trial."""
    counts: Counter[str] = field(default_factory=Counter)
    """What a row's judgement wants to know besides."""

    def __iadd__(self, other: Figures) -> Figures:
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.breaches += other.breaches
        self.counts += other.counts
        return self

    def breach(self, broken: bool, what: str) -> None:
        """Note what is broken, if it is."""
        if broken:
            self.breaches.append(what)


_NUMBERS = (
    *("trials", "kills", "faults", "duplicates", "unknown", "unknown_had", "lost", "seconds"),
    "checked",
)

Trial = Callable[[Case], Figures]
Judgement = Callable[[Figures], Iterable[str]]


LENIENCE = 10
"""A control that is caught in a third of the trials is missed in 16 of them once in 700 campaigns: too often."""


@dataclass(frozen=True, slots=True)
class Control:
    """A build that is wrong on purpose: the same trial, under a patch."""

    build: str
    """What is wrong with it."""
    patch: Callable[[], AbstractContextManager[object]]
    within: int
    """Trials in which it is caught, as a rule; chance is given `LENIENCE` times as many."""
    shows: str
    """Words of the breach that it must be caught by."""
    trial: Trial | None = None
    """Another trial than the row's; None is the row's."""


def nothing_more(figures: Figures) -> Iterable[str]:
    """A row whose trials say all that there is."""
    return ()


@dataclass(frozen=True, slots=True)
class Row:
    """One promise."""

    number: int
    promise: str
    fault: str
    ci: int
    """How much of it CI does, in the row's unit."""
    release: int
    trial: Trial
    control: Control
    unit: str = "trials"
    per_trial: float = 1
    """Units that a trial makes, at least; on average where trials differ."""
    judged: Judgement = nothing_more
    """What must hold of all trials together."""
    databases: tuple[str, ...] = ("sqlite",)
    """On which it can be tried."""
    promised: tuple[str, ...] = ("sqlite",)
    """On which it is tried unless others are named, by CI too."""
    more_controls: tuple[Control, ...] = ()
    """Of checks that the first has nothing to do with; each must be caught."""
    table: int = 0
    """Places in the table that trials go through by number: no fewer trials are run. 0 is no table."""

    @property
    def controls(self) -> tuple[Control, ...]:
        """All of them."""
        return (self.control, *self.more_controls)

    def trials(self, wanted: str | int) -> int:
        """How many trials `ci`, `release` or a number of them are."""
        if isinstance(wanted, int):
            return wanted
        return max(ceil((self.ci if wanted == "ci" else self.release) / self.per_trial), self.table)


def too_many(found: int, of: int, share: float, doubt: float = 0.001) -> bool:
    """Whether so many can't be chance if the true share is `share` or less (a one-sided binomial test)."""
    # By logarithms: the binomial of some thousands is no float.
    below = sum(
        exp(lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) + k * log(share) + (of - k) * log1p(-share))
        for k in range(found)
    )
    return found > share * of and 1 - below < doubt
