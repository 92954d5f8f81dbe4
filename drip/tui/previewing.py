"""A step as it would be sent, in three views, for the preview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from drip.core.address import Address
from drip.core.plain import clean_prose
from drip.core.policy import merged_variables
from drip.core.sequence import Definition, Step
from drip.core.settings import Settings
from drip.errors import RenderFailed
from drip.tui.marks import safe

if TYPE_CHECKING:
    from drip.render.message import Message
    from drip.tui.queries import Story

EXAMPLE = "ada@example.com"
"""Who an example is to."""
LONGEST = 200_000
"""Characters of a part that are shown."""


@dataclass(frozen=True, slots=True)
class Views:
    """The same message three times."""

    reading: Text
    html: Text
    headers: Text


def views_of(
    definition: Definition,
    step: Step,
    settings: Settings,
    now: datetime,
    *,
    person: Address | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Views:
    """A step rendered for a person, or for an example of one; what can't be rendered says why in every view.

    Args:
        variables: the person's, merged; None takes the examples of the sequence.
    """
    try:
        return _shown(_message(definition, step, settings, now, person, variables))
    except RenderFailed as error:
        words = Text("! ", "red").append(clean_prose(error.message), "default")
        if error.hint:
            words.append(f"\n{clean_prose(error.hint)}", "dim")
        return Views(words, words, words)


def views_for(story: Story, step: Step, settings: Settings, now: datetime) -> Views:
    """A step as one person would get it."""
    definition, one = story.stored.definition, story.subscription
    variables = merged_variables(definition.sequence, story.contact_variables, one.variables)
    return views_of(definition, step, settings, now, person=Address(one.email, one.name), variables=variables)


def _message(
    definition: Definition,
    step: Step,
    settings: Settings,
    now: datetime,
    person: Address | None,
    variables: Mapping[str, Any] | None,
) -> Message:
    from drip.render.compile import Recipient, compile_step

    sequence = definition.sequence
    if person is None:
        examples = {name: one.example for name, one in sequence.variables.items() if one.example is not None}
        name = examples.get("name")
        person = Address(EXAMPLE, name if isinstance(name, str) else "")
        variables = merged_variables(sequence, {}, examples)
    link = settings.unsubscribe_url("preview")
    recipient = Recipient(
        to=person,
        variables=variables or {},
        delivery_token="preview",
        unsubscribe_url=link,
        preferences_url=link,
        unsubscribe_mailto=settings.unsubscribe_mailto("preview"),
    )
    return compile_step(definition, step, settings).render(recipient, now)


def _shown(message: Message) -> Views:
    fields = [
        ("From", message.sender),
        ("To", message.to),
        ("Reply-To", message.reply_to),
        ("Subject", message.subject),
    ]
    head = [_field(name, str(value)) for name, value in fields if value is not None]
    reading = Text("\n").join(head).append("\n\n").append(clean_prose(message.text[:LONGEST]).rstrip())
    others = [("Date", f"{message.date:%a, %d %b %Y %H:%M:%S +0000}"), ("Message-ID", message.message_id)]
    headers = Text("\n").join([*head, *(_field(name, value) for name, value in [*others, *message.headers])])
    return Views(reading, _source(message.html), headers)


def _field(name: str, value: str) -> Text:
    return Text(f"{name}: ", "bold").append(safe(value))


def _source(html: str | None) -> Text:
    if html is None:
        return Text("The message has no HTML part.", "dim")
    from rich.syntax import Syntax

    return Syntax("", "html", theme="ansi_dark", background_color="default").highlight(clean_prose(html[:LONGEST]))
