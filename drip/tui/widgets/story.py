"""A person's facts, past and future, as text."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from rich.table import Table as Grid
from rich.text import Text
from textual.reactive import var
from textual.widgets import Static

from drip.core.log_words import data_words, short
from drip.core.plain import distance, moment
from drip.core.subscription_words import what_is_next
from drip.engine.outlook import Coming
from drip.store.events import LogEntry
from drip.tui.marks import mark, safe
from drip.tui.queries import Story

VALUE = 300
"""Cells of one value."""


class _Told(Static):
    """A part of the story."""

    story: var[Story | None] = var(None)

    def watch_story(self) -> None:
        """Tell it."""
        if self.story is not None:
            self.update(self.told(self.story))

    @abstractmethod
    def told(self, story: Story) -> Grid | Text:
        """What is shown."""


class Facts(_Told):
    """Who they are, and where."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock

    def told(self, story: Story) -> Grid:
        """Names and values."""
        table = Grid.grid(padding=(0, 2))
        for name, value in _facts(story, self._clock()):
            table.add_row(Text(name, "dim"), value)
        return table


class Past(_Told):
    """What happened, newest last."""

    def told(self, story: Story) -> Grid:
        """A line per event."""
        table = _columns()
        for entry in story.past:
            at = Text(moment(entry.at, story.local), "dim", no_wrap=True)
            table.add_row(at, mark(short(entry.type)), Text.assemble(*_event(entry, story)))
        return table if story.past else _only("nothing yet")


class ToCome(_Told):
    """The steps to come."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock

    def told(self, story: Story) -> Grid:
        """A line per step."""
        if not story.coming:
            return _only("nothing is to come")
        table, now = Grid.grid(padding=(0, 2)), self._clock()
        table.add_column(no_wrap=True, min_width=20)
        table.add_column(ratio=1, overflow="fold")
        for one in story.coming:
            table.add_row(*_step(one, story, now))
        return table


def _columns() -> Grid:
    """When, what, and the words, which alone may be broken."""
    table = Grid.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=20)
    table.add_column(no_wrap=True, min_width=12)
    table.add_column(overflow="fold")
    return table


def _facts(story: Story, now: datetime) -> Iterator[tuple[str, Text]]:
    one = story.subscription
    yield "next", safe(what_is_next(one, now, story.local))
    yield "zone", Text(story.local.key)
    yield "started", Text(moment(one.started_at, story.local))
    if one.last_sent_at:
        yield "last sent", Text(moment(one.last_sent_at, story.local))
    if one.retry_count:
        yield "attempts", Text(str(one.retry_count))
    if story.suppressed:
        yield "suppressed", mark("failed", f"never mailed: {story.suppressed}")
    others = [(slug, status) for slug, status in story.sequences if slug != one.sequence_id]
    if others:
        yield "also in", Text(", ".join(f"{slug} ({status})" for slug, status in others))
    for title, variables in (("variables", one.variables), ("contact's", story.contact_variables)):
        if variables:
            yield (
                title,
                Text("\n").join(
                    Text.assemble((f"{safe(name, 40).plain} ", "bold"), safe(_value(value), VALUE))
                    for name, value in sorted(variables.items())
                ),
            )


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _event(entry: LogEntry, story: Story) -> Iterator[Text]:
    yield Text(entry.step or "", "bold")
    words = data_words(_known(entry, story))
    if words:
        yield Text("  " if entry.step else "").append(safe(words, VALUE))


def _known(entry: LogEntry, story: Story) -> Mapping[str, object]:
    delivery = story.deliveries.get(entry.step or "")
    if delivery is None or short(entry.type) != "sent":
        return entry.data
    return {"revision": delivery.revision, "answer": delivery.answer}


def _step(one: Coming, story: Story, now: datetime) -> tuple[Text, Text]:
    """When; and which, how far away it is, and on what condition."""
    words = Text(one.step.key, "bold")
    if one.at is None:
        when = mark("paused", "paused" if story.subscription.paused_at else "waits")
    else:
        when = Text(moment(one.at, story.local), no_wrap=True)
        words.append(f"  {distance(one.at, now)}", "dim not bold")
    if one.step.when:
        words.append(f"  if {safe(one.step.when, VALUE).plain}", "dim not bold")
    return when, words


def _only(words: str) -> Grid:
    table = Grid.grid()
    table.add_row(Text(words, "dim"))
    return table
