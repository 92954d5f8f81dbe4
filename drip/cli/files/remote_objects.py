"""Objects of the HTTP API as definitions: what a server says of its sequences and templates, each value looked at.

What is missing is taken as the API's default; what is of the wrong kind is told with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from drip.core.address import Address, parse_address, parse_email
from drip.core.sequence import (
    INHERIT,
    SEQUENCE_ID,
    DelayFrom,
    Resubscribe,
    SendWindow,
    Sequence,
    SequenceStatus,
    Step,
    Template,
)
from drip.errors import Invalid
from drip.files import values

E = TypeVar("E", bound=StrEnum)
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_GAPS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """A JSON object of an answer, read field by field."""

    place: str
    """What it is, for messages."""
    data: Mapping[str, Any]

    @classmethod
    def of(cls, value: Any, place: str) -> RemoteObject:
        """The value, where it is an object; raises Invalid."""
        if not isinstance(value, dict):
            raise _wrong(place, "an object")
        return cls(place, value)

    def text(self, name: str) -> str | None:
        """A text, or None where there is none."""
        value = self.data.get(name)
        if value is not None and not isinstance(value, str):
            raise _wrong(f"{self.place}: {name}", "text")
        return value

    def needed(self, name: str) -> str:
        """A text that is not empty; ids may be numbers too."""
        value = self.data.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        found = self.text(name)
        if not found:
            raise _wrong(f"{self.place}: {name}", "text")
        return found

    def whole(self, name: str) -> int | None:
        """A number that is not negative, or None where there is none."""
        value = self.data.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise _wrong(f"{self.place}: {name}", "a whole number")
        return value

    def word(self, name: str, kind: type[E], default: E) -> E:
        """One of the words of an enum."""
        value = self.text(name)
        try:
            return default if value is None else kind(value)
        except ValueError:
            raise _wrong(f"{self.place}: {name}", " or ".join(kind)) from None

    def objects(self, name: str) -> list[RemoteObject]:
        """A list of objects."""
        value = self.data.get(name)
        if not isinstance(value, list):
            raise _wrong(f"{self.place}: {name}", "a list")
        return [RemoteObject.of(one, f"{self.place}, {name}[{number}]") for number, one in enumerate(value, 1)]


class Names:
    """Names that files can have, for ids of a server: the id itself wherever it will do."""

    def __init__(self, shape: re.Pattern[str], otherwise: str) -> None:
        self._shape = shape
        self._otherwise = otherwise
        self.given: dict[str, str] = {}
        """By id."""

    def give(self, remote_id: str) -> str:
        """The name for an id; the same id has the same name."""
        if remote_id not in self.given:
            fits = self._shape.fullmatch(remote_id) is not None
            wanted = remote_id if fits else _GAPS.sub("-", remote_id.lower())[:90].strip("-") or self._otherwise
            # Two names that differ in case are one file on some disks.
            taken = {name.lower() for name in self.given.values()}
            tries = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
            self.given[remote_id] = next(name for name in tries if name.lower() not in taken)
        return self.given[remote_id]


def sequence_names() -> Names:
    """Names for sequences and for steps: `[a-z0-9-]`."""
    return Names(SEQUENCE_ID, "sequence")


def template_names() -> Names:
    """Names for templates."""
    return Names(_TEMPLATE_NAME, "template")


def template_of(given: RemoteObject, names: Names) -> Template:
    """A template of a server; what a file there calls Markdown comes as plain text."""
    html, text = given.text("html"), given.text("body_text")
    name, subject = names.give(given.needed("id")), given.text("subject")
    if given.text("source") == "file" and html is None:
        return Template(name=name, subject=subject, markdown=text)
    return Template(name=name, subject=subject, html=html, text=text)


def sequence_of(given: RemoteObject, names: Names, templates: Names) -> Sequence:
    """A sequence of a server, with its steps by position."""
    from_file = given.text("source") == "file"
    keys = sequence_names()
    steps = sorted(given.objects("steps"), key=lambda step: step.whole("position") or 0)
    return Sequence(
        id=names.give(given.needed("id")),
        name=given.text("name") or given.needed("id"),
        status=given.word("status", SequenceStatus, SequenceStatus.DRAFT),
        steps=tuple(_step(step, keys, templates, markdown=from_file) for step in steps),
        delay_from=given.word("delay_from", DelayFrom, DelayFrom.PREVIOUS),
        timezone=given.text("timezone"),
        send_window=_window(given),
        stale_after=_stale_after(given),
        resubscribe=given.word("resubscribe", Resubscribe, Resubscribe.NEVER),
    )


def senders(sequences: Iterable[Sequence]) -> list[Address]:
    """Who the steps say they are from: the most frequent first."""
    found = [step.sender for sequence in sequences for step in sequence.steps if step.sender is not None]
    return sorted(dict.fromkeys(found), key=found.count, reverse=True)


def _step(given: RemoteObject, keys: Names, templates: Names, *, markdown: bool) -> Step:
    position = given.whole("position")
    html, text, template = given.text("html"), given.text("body_text"), given.text("template_id")
    body = text if markdown and html is None else None
    return Step(
        key=keys.give(given.text("key") or f"step-{position or given.needed('id')}"),
        delay=timedelta(seconds=given.whole("offset_seconds") or 0),
        subject=given.text("subject"),
        template=None if template is None else templates.give(template),
        body=None if template is not None else body,
        html=None if template is not None else html,
        text=None if template is not None or body is not None else text,
        sender=_sender(given),
        reply_to=_address(given, "reply_to"),
    )


def _sender(given: RemoteObject) -> Address | None:
    email = given.text("from_email")
    if not email:
        return None
    try:
        return Address(parse_email(email), given.text("from_name") or "")
    except ValueError as error:
        raise Invalid(f"{given.place}: from_email: {error}") from None


def _address(given: RemoteObject, name: str) -> Address | None:
    value = given.text(name)
    try:
        return parse_address(value) if value else None
    except ValueError as error:
        raise Invalid(f"{given.place}: {name}: {error}") from None


def _window(given: RemoteObject) -> SendWindow | None:
    if given.data.get("send_window") is None:
        return None
    window = RemoteObject.of(given.data["send_window"], f"{given.place}: send_window")
    try:
        return values.window(
            values.days(window.text("days") or "mon-sun"), values.hours(window.text("hours") or "00:00-24:00")
        )
    except ValueError as error:
        raise Invalid(f"{window.place}: {error}") from None


def _stale_after(given: RemoteObject) -> Any:
    seconds = given.whole("stale_after_seconds")
    return INHERIT if seconds is None else timedelta(seconds=seconds) if seconds else None


def _wrong(place: str, wanted: str) -> Invalid:
    return Invalid(f"the server's answer can't be read: {place} is not {wanted}", "does it speak drip's API?")
