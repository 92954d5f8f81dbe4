"""What a sequence's tests expect against what a simulation gives, side by side. Nothing is decided about steps here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from itertools import zip_longest
from zoneinfo import ZoneInfo

from drip.core.difference import in_words
from drip.core.expectations import Ending, ExpectedStep, SequenceTest
from drip.core.schedule import add_delay
from drip.core.sequence import Definition
from drip.engine.rehearsal import Rehearsal
from drip.engine.simulate import Calendar, Row, simulate

NOTHING = "—"
"""Stands where one side has nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """One expectation and what came of it, side by side."""

    expected: str
    got: str
    same: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one test."""

    sequence: str
    test: SequenceTest
    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return all(line.same for line in self.lines)


def run_test(rehearsal: Rehearsal, definition: Definition, test: SequenceTest) -> Verdict:
    """Simulate a test's subscriber in a fresh rehearsal, and compare.

    Who is expected to be still active is looked at after the last step that is expected.
    """
    if test.ending is not Ending.ACTIVE:
        return compare(test, simulate(rehearsal, definition, test.subscriber))
    last = test.steps[-1].step if test.steps else ""
    return compare(test, simulate(rehearsal, definition, test.subscriber, last=last))


def compare(test: SequenceTest, calendar: Calendar) -> Verdict:
    """Hold a calendar against a test.

    What is sent must be expected, in that order. A step that is skipped may be left out of the expectations.
    """
    if calendar.refused is not None:
        return Verdict(calendar.sequence, test, (Line("subscribed", f"refused: {calendar.refused}", False),))
    happened = _handled(calendar)
    lines = [_line(wanted, got, calendar.zone) for wanted, got in _pairs(test.steps, happened)]
    if test.ending is not None:
        lines.append(Line(test.ending.value, _ending(calendar), test.ending.value == calendar.status.value))
    return Verdict(calendar.sequence, test, tuple(lines))


@dataclass(frozen=True, slots=True)
class _Handled:
    """A step that was sent or skipped, and the moment that `after` counts from."""

    row: Row
    since: datetime


def _handled(calendar: Calendar) -> list[_Handled]:
    found: list[_Handled] = []
    since = calendar.started_at
    for row in calendar.rows:
        if row.outcome in ("sent", "skipped"):
            found.append(_Handled(row, since))
            since = row.at
    return found


def _pairs(
    wanted: Sequence[ExpectedStep], happened: Sequence[_Handled]
) -> Iterator[tuple[ExpectedStep | None, _Handled | None]]:
    """Each expectation with what happened in its place; either side may have nothing there."""
    keys = {step.step for step in wanted}
    shown = [one for one in happened if one.row.outcome == "sent" or one.row.step in keys]
    matcher = SequenceMatcher(None, [step.step for step in wanted], [one.row.step for one in shown], autojunk=False)
    for _, left, left_end, right, right_end in matcher.get_opcodes():
        yield from zip_longest(wanted[left:left_end], shown[right:right_end])


def _line(wanted: ExpectedStep | None, got: _Handled | None, local: ZoneInfo) -> Line:
    if wanted is None:
        assert got is not None  # a pair has at least one side
        return Line(NOTHING, _got(got, local), False)
    if got is None:
        return Line(_wanted(wanted), NOTHING, False)
    return Line(_wanted(wanted), _got(got, local, wanted), _same(wanted, got, local))


def _same(wanted: ExpectedStep, got: _Handled, local: ZoneInfo) -> bool:
    row, shown = got.row, got.row.at.astimezone(local)
    skipped = row.outcome == "skipped"
    return (
        wanted.step == row.step
        and bool(wanted.skipped) == skipped
        and (wanted.skipped in (True, False) or wanted.skipped == row.reason)
        and (wanted.on is None or wanted.on == shown.date())
        and (wanted.at is None or (wanted.at.hour, wanted.at.minute) == (shown.hour, shown.minute))
        and (wanted.after is None or add_delay(got.since, wanted.after, local) == row.at)
        and (wanted.subject is None or wanted.subject == row.subject)
    )


def _wanted(step: ExpectedStep) -> str:
    words = [step.step]
    if step.skipped:
        words.append("skipped" if step.skipped is True else f"skipped: {step.skipped}")
    if step.on is not None:
        words.append(f"on {step.on:%a %Y-%m-%d}")
    if step.at is not None:
        words.append(f"at {step.at:%H:%M}")
    if step.after is not None:
        words.append(f"after {in_words(step.after) or '0'}")
    if step.subject is not None:
        words.append(repr(step.subject))
    return "  ".join(words)


def _got(got: _Handled, local: ZoneInfo, wanted: ExpectedStep | None = None) -> str:
    """What happened, with as much as was asked for, and the whole time where nothing was."""
    row, shown = got.row, got.row.at.astimezone(local)
    words = [row.step]
    if row.outcome == "skipped":
        words.append(f"skipped: {row.reason}")
    if wanted is None or wanted.on is not None or wanted.after is not None or wanted.at is None:
        words.append(f"on {shown:%a %Y-%m-%d}")
    words.append(f"at {shown:%H:%M}")
    if wanted is not None and wanted.after is not None:
        words.append(f"after {_length(got, local)}")
    if row.subject is not None and (wanted is None or wanted.subject is not None):
        words.append(repr(row.subject))
    return "  ".join(words)


def _length(got: _Handled, local: ZoneInfo) -> str:
    """The time since the step before, as clocks on the wall show it."""
    shown = got.row.at.astimezone(local).replace(tzinfo=None) - got.since.astimezone(local).replace(tzinfo=None)
    return in_words(shown)


def _ending(calendar: Calendar) -> str:
    last = calendar.rows[-1] if calendar.rows else None
    if last is not None and last.outcome in ("failed", "cancelled") and last.detail:
        return f"{calendar.status}: {last.step}: {last.detail}"
    return calendar.status.value
