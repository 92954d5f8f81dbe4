"""What a sequence is: its steps, its rules, and all that is needed to send it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from typing import Any, Literal

from drip.core.address import Address

SEQUENCE_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?")
"""The shape of a sequence's id and of a step's key."""


class SequenceStatus(StrEnum):
    """What a sequence does with its people."""

    DRAFT = "draft"  # takes subscribers and holds them
    ACTIVE = "active"  # sends
    ARCHIVED = "archived"  # refuses new subscribers and holds those it has


class DelayFrom(StrEnum):
    """What a step's delay counts from."""

    PREVIOUS = "previous"  # the moment the step before was handled
    START = "start"  # the subscription's start


class Resubscribe(StrEnum):
    """Who may start a sequence again that has ended for them."""

    NEVER = "never"  # nobody
    AFTER_COMPLETION = "after_completion"  # those who completed it
    ALWAYS = "always"  # those too who were cancelled by hand or by `stop_when`


class Source(StrEnum):
    """Where a sequence or template belongs."""

    FILE = "file"  # a file in git; the API may not change its content
    API = "api"  # made over HTTP


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The local hours in which a step may go out."""

    days: frozenset[int] = frozenset(range(7))
    """0 is Monday. A window over midnight belongs to the day it opens on."""
    opens: time = time(0, 0)
    """Local time, inclusive."""
    closes: time | None = None
    """Local time, exclusive; not after `opens` means over midnight; None is the end of the day."""


INHERIT: Literal["inherit"] = "inherit"
"""A step's own setting that was left out: the sequence's is used. None means: none at all."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable of a sequence."""

    default: Any = None
    """Used where neither subscription nor contact has it; None means there is no default."""
    required: bool = False
    """`subscribe` refuses people who do not have it."""
    example: Any = None
    """Shown by `preview`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One email of a sequence."""

    key: str
    """Its identity for ever, unique in the sequence."""
    delay: timedelta
    """After the base. Whole days are calendar days in the subscriber's zone, the rest is exact."""
    subject: str | None = None
    """Jinja2; None takes the template's."""
    template: str | None = None
    """The stem of a template, or None when the content is the step's own."""
    body: str | None = None
    """Markdown with Jinja2; makes both parts."""
    html: str | None = None
    """HTML with Jinja2."""
    text: str | None = None
    """Plain text with Jinja2; alone, or beside `html`."""
    at: time | None = None
    """The first such local time at or after base + delay; None leaves the time alone."""
    when: str | None = None
    """A Jinja2 expression; the step is skipped unless it is true."""
    send_window: SendWindow | Literal["inherit"] | None = INHERIT
    """None: any time, whatever the sequence says."""
    sender: Address | None = None
    """From; None takes the sequence's, then the project's."""
    reply_to: Address | None = None
    """As `sender`."""
    headers: tuple[tuple[str, str], ...] = ()
    """Extra headers: X-* and Feedback-ID only. Values are Jinja2."""
    position: int | None = None
    """Its number, where one was given (over the API, where numbers may have gaps); None: its place in the list."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """An ordered series of steps with its rules."""

    id: str
    """The slug: a file's stem, or made by the API from the name."""
    name: str
    """As shown to people."""
    status: SequenceStatus = SequenceStatus.DRAFT
    """What the file asks for; the store may say otherwise (`drip status SEQ …`)."""
    steps: tuple[Step, ...] = ()
    """In order; positions count from 1."""
    sender: Address | None = None
    """From; None takes the project's."""
    reply_to: Address | None = None
    """As `sender`."""
    delay_from: DelayFrom = DelayFrom.PREVIOUS
    """What delays count from."""
    timezone: str | None = None
    """IANA name; None takes the project's."""
    send_window: SendWindow | None = None
    """None: any time."""
    stale_after: timedelta | Literal["inherit"] | None = INHERIT
    """A step more overdue than this is skipped; None: never; left out: the project's."""
    resubscribe: Resubscribe = Resubscribe.NEVER
    """Who may start it again."""
    stop_when: str | None = None
    """A Jinja2 expression, looked at before every step: true cancels."""
    variables: Mapping[str, Variable] = field(default_factory=dict)
    """Declared variables; empty means that none are declared and nothing is checked."""
    layout: str | None = None
    """The layout's name; None is `default`, or the built-in one when there is no such file."""

    def position(self, key: str) -> int | None:
        """The position of a step, from 1; None when there is no such step."""
        return next((step.position or index for index, step in enumerate(self.steps, 1) if step.key == key), None)

    def step(self, key: str) -> Step | None:
        """The step with that key, or None."""
        return next((step for step in self.steps if step.key == key), None)

    def window_of(self, step: Step) -> SendWindow | None:
        """The window that holds for a step; None is any time."""
        return self.send_window if step.send_window == INHERIT else step.send_window


@dataclass(frozen=True, slots=True)
class Template:
    """Content that several steps may use."""

    name: str
    """The stem of its file, or the API's `template_id`."""
    subject: str | None = None
    """Used when the step has none."""
    layout: str | None = None
    """Overrides the sequence's; None does not."""
    markdown: str | None = None
    """The source of a `.md`; makes both parts."""
    html: str | None = None
    """The source of a `.html`."""
    text: str | None = None
    """The source of a `.txt` beside it."""
    source: Source = Source.FILE
    """What came over the API is not trusted."""


@dataclass(frozen=True, slots=True)
class Layout:
    """HTML around the body of every message; `{{ content }}` is the body."""

    name: str
    html: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A sequence with everything that rendering it needs: what a revision keeps."""

    sequence: Sequence
    templates: Mapping[str, Template] = field(default_factory=dict)
    """Those its steps use, and those that these include, by name."""
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    """Those its steps use, by name; without an entry the built-in layout serves."""
