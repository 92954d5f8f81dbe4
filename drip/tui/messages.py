"""What threads tell screens, and what widgets ask of them. Past tense: a fact; otherwise a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from drip.errors import DripError


@dataclass
class Answered(Message):
    """A question to the store or the disk was answered; `take` shows it, on the screen's own thread."""

    take: Callable[[Any], None]
    answer: Any


@dataclass
class Refused(Message):
    """A question could not be answered, or something asked for was not done."""

    error: DripError
    about: str
    """What was asked: the worker's group."""


@dataclass
class Done(Message):
    """Something was done, in words; what is shown is read again."""

    words: str


@dataclass
class SequenceWanted(Message):
    """Show a sequence."""

    slug: str


@dataclass
class PersonWanted(Message):
    """Show a person in a sequence."""

    slug: str
    email: str


@dataclass
class StepMoved(Message):
    """The cursor is on another step."""

    key: str


@dataclass
class MorePeopleWanted(Message):
    """The cursor nears the end of what is loaded."""
