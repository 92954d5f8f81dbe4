"""What an examination of a project finds: one line each, with its cure. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a line of an examination turned out."""

    OK = "ok"
    WARNING = "warning"  # mail goes out; something about it will hurt, or could not be looked at
    FAILURE = "failure"  # mail does not go out, or will not be accepted


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record to be published, as a zone's editor asks for it."""

    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Check:
    """One line of an examination."""

    name: str
    """What was looked at: `database`, `spf`, …"""
    level: Level
    message: str
    cure: str | None = None
    """What to do; None when nothing is to be done."""
    record: DnsRecord | None = None
    """What to publish."""


def ok(name: str, message: str, record: DnsRecord | None = None) -> Check:
    """A line where all is well."""
    return Check(name, Level.OK, message, record=record)


def warning(name: str, message: str, cure: str, record: DnsRecord | None = None) -> Check:
    """A line that will hurt."""
    return Check(name, Level.WARNING, message, cure, record)


def failure(name: str, message: str, cure: str, record: DnsRecord | None = None) -> Check:
    """A line that must be cured."""
    return Check(name, Level.FAILURE, message, cure, record)
