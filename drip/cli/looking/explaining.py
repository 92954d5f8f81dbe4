"""`why`: one message, and everything about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import json_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.sequence import Definition
    from drip.engine.why import Letter, Rendered
    from drip.store.events import LogEntry
    from drip.store.sequences import Revision
    from drip.store.store import Store

MOST_EVENTS = 10_000
"""Of one subscription; more than retries can make."""

_SAME = {
    True: "the message as it was sent (its hash is the same)",
    False: "not as it was sent: its hash differs, as drip.yaml or the database has changed since; with today's it is",
    None: "nothing was handed over; it would have been",
}
_NUMBERS = "`drip subscriber SEQ EMAIL` lists a person's"


@click.command("why")
@click.argument("message", metavar="MESSAGE-ID|DELIVERY")
@json_option
@pass_invocation
def why_command(invocation: Invocation, message: str, as_json: bool) -> None:
    """Explain one message: who, what, when, and its words.

    Takes the Message-ID or X-Drip-Delivery of a mail, or the number of a delivery. Shows the person, the step, the
    revision with its commit, each attempt with the server's words, and the message: rendered again from that revision
    and the variables of that moment, and compared with the hash of what was sent.

    \b
    Example:
      drip why 42
      drip why '<mfrggzdfmztwq2lknnwg23tpoa@example.com>'
      drip why 42 --json | jq -r .message.html > mail.html
    """
    from drip.cli.output import write_json
    from drip.errors import RenderFailed

    with invocation.reading() as store:
        letter = _find(store, message)
        attempts = _attempts(store, letter)
        revision, definition = _then(store, letter)
        trouble: str | None = None
        try:
            rendered = _rendered(invocation, store, letter, definition)
        except RenderFailed as error:
            rendered, trouble = None, error.message
        token = _token(store, letter)
    if as_json:
        write_json(_object(letter, token, revision, attempts, rendered, trouble))
        return
    _show(invocation, letter, token, revision, definition)
    _show_attempts(invocation, attempts)
    _show_message(letter, rendered, trouble)


def _find(store: Store, text: str) -> Letter:
    from drip.engine.why import place_in
    from drip.errors import NotFound

    if text.isascii() and text.isdigit():
        letter = store.letters.by_id(int(text)) if len(text) < 19 else None
        if letter is None:
            raise NotFound("delivery", text, hint=_NUMBERS)
        return letter
    place = place_in(store.secret(), text)
    if place is None:
        if "@" not in text:
            raise NotFound("message", text, hint=f"give its Message-ID, or a delivery's number: {_NUMBERS}")
        hint = "it is not of this project, was altered on its way, or was signed with another DRIP_SECRET_KEY"
        raise NotFound("message", text, hint=hint)
    letter = store.letters.by_place(*place)
    if letter is None:
        raise NotFound("message", text, hint="it was sent from here, but its person was erased since")
    return letter


def _attempts(store: Store, letter: Letter) -> list[LogEntry]:
    """What happened to this delivery, oldest first."""
    entries = store.events.entries(subscription_id=letter.delivery.subscription_id, limit=MOST_EVENTS)
    return [entry for entry in entries if entry.step == letter.delivery.step]


def _then(store: Store, letter: Letter) -> tuple[Revision | None, Definition | None]:
    """The revision that the delivery was made from; None when nothing was made."""
    number = letter.delivery.revision
    if number is None:
        return None, None
    revision = next((one for one in store.sequences.revisions(letter.sequence_id) if one.number == number), None)
    return revision, store.sequences.definition_at(letter.sequence_id, number)


def _rendered(invocation: Invocation, store: Store, letter: Letter, definition: Definition | None) -> Rendered | None:
    from drip.engine.why import render_again

    stored = store.sequences.by_id(letter.sequence_id)
    if definition is None or stored is None or letter.delivery.state == "skipped":
        return None
    changes = store.letters.changes_since(letter)
    return render_again(stored, definition, letter, changes, invocation.settings, store.secret())


def _token(store: Store, letter: Letter) -> str:
    from drip.engine.why import token_of

    return token_of(store.secret(), letter)


def _object(
    letter: Letter,
    token: str,
    revision: Revision | None,
    attempts: list[LogEntry],
    rendered: Rendered | None,
    trouble: str | None,
) -> dict[str, Any]:
    from drip.cli.files.previews import message_object
    from drip.engine.objects import delivery_object

    return {
        **delivery_object(letter.delivery),
        "name": letter.name,
        "token": token,
        "message_id": rendered.message.message_id if rendered else None,
        "made_from": None if revision is None else _revision_object(revision),
        "attempts_made": [{"event": entry.type, "at": entry.at, **entry.data} for entry in attempts],
        "message": message_object(letter.delivery.step, rendered.message) if rendered else None,
        "same_as_sent": rendered.same if rendered else None,
        "trouble": trouble,
    }


def _revision_object(revision: Revision) -> dict[str, Any]:
    return {
        "revision": revision.number,
        "at": revision.at,
        "source": revision.source.value,
        "author": revision.author,
        "commit": revision.commit,
        "dirty": revision.dirty,
    }


def _show(
    invocation: Invocation, letter: Letter, token: str, revision: Revision | None, definition: Definition | None
) -> None:
    from drip.cli.output import moment_to_second, show_fields

    delivery, zone = letter.delivery, invocation.zone
    position = definition.sequence.position(delivery.step) if definition else None
    place = f" ({position} of {len(definition.sequence.steps)})" if definition and position else ""
    reason = f" ({delivery.reason})" if delivery.reason else ""
    said = " ".join(str(word) for word in (delivery.code, delivery.answer) if word)
    show_fields(
        [
            ("delivery", delivery.id),
            ("to", f"{letter.name} <{delivery.email}>" if letter.name else delivery.email),
            ("sequence", delivery.sequence),
            ("step", delivery.step + place),
            ("state", f"{delivery.state}{reason} since {moment_to_second(delivery.at, zone)}"),
            ("the server said", said),
            ("revision", revision and _revision_words(invocation, revision)),
            ("token", token),
        ]
    )


def _revision_words(invocation: Invocation, revision: Revision) -> str:
    from drip.cli.output import moment

    words = f"{revision.number}, {moment(revision.at, invocation.zone)}, from {revision.source}"
    if revision.author:
        words += f" by {revision.author}"
    if revision.commit:
        words += f", commit {revision.commit[:10]}" + (" with changes of its own" if revision.dirty else "")
    return words


def _show_attempts(invocation: Invocation, attempts: list[LogEntry]) -> None:
    from drip.cli.output import clean, line, moment_to_second
    from drip.core.log_words import data_words, short

    line()
    for entry in attempts:
        words = f"{moment_to_second(entry.at, invocation.zone)}  {short(entry.type):9} {data_words(entry.data)}"
        line(clean(words.rstrip()))


def _show_message(letter: Letter, rendered: Rendered | None, trouble: str | None) -> None:
    from drip.cli.files.previewing import read_message
    from drip.cli.output import clean, line

    if trouble is not None:
        line("\n" + clean(f"it can't be rendered: {trouble}"))
    if rendered is not None:
        line(f"\n{_SAME[rendered.same]}:")
        read_message(letter.delivery.step, rendered.message, first=True)
