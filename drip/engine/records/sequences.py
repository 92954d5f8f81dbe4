"""Sequences and templates as they were last applied or saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from drip.core.sequence import Definition, Sequence, SequenceStatus, Source, Template


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A step's identity in the store; its content is in the definition."""

    id: int
    key: str
    rank: int
    """Its place among all steps there ever were."""
    position: int | None
    """From 1; None once it was removed."""


@dataclass(frozen=True)
class StoredSequence:
    """A sequence as last applied."""

    id: int
    status: SequenceStatus
    file_status: SequenceStatus | None
    """What its file asked for at the last apply; None when it has no file."""
    source: Source
    path: str | None
    """The file, relative to the project; None when it has none."""
    key_id: str | None
    revision: int
    """The number of its newest revision; 0 before the first."""
    steps: tuple[StoredStep, ...]
    """All there ever were, by rank."""
    definition: Definition
    """As of that revision, with today's status."""
    created_at: datetime
    updated_at: datetime

    @property
    def sequence(self) -> Sequence:
        """The sequence itself."""
        return self.definition.sequence

    @property
    def slug(self) -> str:
        """Its id as people know it."""
        return self.definition.sequence.id

    @property
    def sends(self) -> bool:
        """Whether its people are mailed."""
        return self.status is SequenceStatus.ACTIVE

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All keys there ever were, by rank."""
        return tuple(step.key for step in self.steps)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each step by its key, removed ones included."""
        return {step.key: step.id for step in self.steps}

    @cached_property
    def keys(self) -> Mapping[int, str]:
        """The key of each step by its id, removed ones included."""
        return {step.id: step.key for step in self.steps}


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template as last applied or saved."""

    template: Template
    title: str
    """What people call it; a file's is its stem."""
    created_at: datetime
    updated_at: datetime
