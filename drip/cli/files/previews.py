"""Messages for `preview` and `send-test`: steps rendered for a person, or for an example of one. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from drip.cli.invocation import Invocation
from drip.core.address import Address, known_email
from drip.core.policy import merged_variables
from drip.core.sequence import Definition, Step
from drip.engine.trial import marked, new_token
from drip.errors import FilesInvalid, NotFound, Problem, Severity, did_you_mean
from drip.files.sequences import ProjectFiles
from drip.render.compile import Recipient, compile_step
from drip.render.message import Message
from drip.store.store import Store

EXAMPLE = "ada@example.com"
"""Who an example is to."""
_PREVIEW = "preview"


def preview_messages(
    invocation: Invocation, slug: str, step: str | None, person: str | None, variables: Mapping[str, Any]
) -> list[tuple[str, Message]]:
    """The key and message of one step, or of all.

    Args:
        person: an address whose name and variables are used; None takes examples.
        variables: over all others.

    Raises:
        NotFound: no such sequence, step or person.
        FilesInvalid: the file of the sequence has errors, and the database does not have it.
        RenderFailed: a template can't be rendered with these variables.
    """
    definition = definition_of(invocation, slug)
    steps = [_step(definition, step)] if step else list(definition.sequence.steps)
    recipient = _recipient(invocation, definition, person, variables, _PREVIEW)
    now = invocation.now()
    return [(one.key, compile_step(definition, one, invocation.settings).render(recipient, now)) for one in steps]


def example_message(invocation: Invocation, definition: Definition, step: Step) -> Message:
    """One step for an example of a person; raises RenderFailed where there are no examples of what it needs."""
    recipient = _recipient(invocation, definition, None, {}, _PREVIEW)
    return compile_step(definition, step, invocation.settings).render(recipient, invocation.now())


def trial_message(
    invocation: Invocation, slug: str, step: str, to: str, person: str | None, variables: Mapping[str, Any]
) -> tuple[Message, str]:
    """One step as a test to an address of one's own, and the token that stands in for a delivery's.

    Args:
        to: as `parse_email` returns it.
        person: as in `preview_messages`, which also says what is raised.
    """
    definition = definition_of(invocation, slug)
    found = _step(definition, step)
    token = new_token()
    recipient = _recipient(invocation, definition, person, variables, token)
    recipient = replace(recipient, to=Address(to, recipient.to.name))
    return marked(compile_step(definition, found, invocation.settings).render(recipient, invocation.now())), token


def message_object(key: str, message: Message) -> dict[str, Any]:
    """A message as JSON values."""
    return {
        "step": key,
        "from": str(message.sender),
        "to": str(message.to),
        "reply_to": str(message.reply_to) if message.reply_to else None,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "headers": [list(header) for header in message.headers],
    }


def definition_of(invocation: Invocation, slug: str) -> Definition:
    """A sequence as the files say, or the database where they do not have it; raises as `preview_messages`."""
    from drip.cli.output import note

    files = invocation.project.files()
    found = next((one for one in files.definitions if one.sequence.id == slug), None)
    errors = list(_errors_of(files, slug))
    if found is not None and not errors:
        return found
    known = set(files.paths)
    # Looking makes no database where there is none.
    if invocation.project.store.database.exists:
        with invocation.reading() as store:
            stored = store.sequences.by_slug(slug)
            known.update(store.sequences.slugs())
        if stored is not None:
            if slug in files.paths:
                note(f"{files.paths[slug]} has errors, this is as it was applied: `drip check` shows them")
            return stored.definition
    if slug in files.paths:
        raise FilesInvalid(errors or [problem for problem in files.problems if problem.severity is Severity.ERROR])
    hint = None if known else "there are no sequences yet: `drip init` writes an example"
    raise NotFound("sequence", slug, known, hint)


def _errors_of(files: ProjectFiles, slug: str) -> Iterator[Problem]:
    path = files.paths.get(slug)
    return (one for one in files.problems if one.path == path and one.severity is Severity.ERROR)


def _step(definition: Definition, key: str) -> Step:
    found = definition.sequence.step(key)
    if found is None:
        known = [step.key for step in definition.sequence.steps]
        raise NotFound("step", key, known, place=f" in {definition.sequence.id!r}")
    return found


def _person(invocation: Invocation, definition: Definition, email: str | None) -> tuple[Address, Mapping[str, Any]]:
    """Who it is to, and what is known of them; without an address, an example of everybody."""
    sequence = definition.sequence
    if email is None:
        examples = {name: one.example for name, one in sequence.variables.items() if one.example is not None}
        name = examples.get("name")
        return Address(EXAMPLE, name if isinstance(name, str) else ""), merged_variables(sequence, {}, examples)
    with invocation.reading() as store:
        contact = store.contacts.by_email(known_email(email))
        if contact is None:
            hint = did_you_mean(email, store.contacts.near(email)) or "`drip contacts list` lists them"
            raise NotFound("contact", email, hint=hint)
        own = _own_variables(store, sequence.id, contact.id)
    return Address(contact.email, contact.name), merged_variables(sequence, contact.variables, own)


def _own_variables(store: Store, slug: str, contact_id: int) -> Mapping[str, Any]:
    stored = store.sequences.by_slug(slug)
    row_id = store.subscriptions.find(stored.id, contact_id) if stored else None
    return {} if row_id is None else store.subscriptions.variables(row_id)


def _recipient(
    invocation: Invocation, definition: Definition, person: str | None, variables: Mapping[str, Any], token: str
) -> Recipient:
    to, known = _person(invocation, definition, person)
    if isinstance(variables.get("name"), str):
        to = Address(to.email, variables["name"])
    link = invocation.settings.unsubscribe_url(token)
    return Recipient(
        to=to,
        variables={**known, **variables},
        delivery_token=token,
        unsubscribe_url=link,
        preferences_url=link,
        unsubscribe_mailto=invocation.settings.unsubscribe_mailto(token),
    )
