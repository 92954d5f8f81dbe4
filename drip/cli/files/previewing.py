"""`preview`: a step as it would be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import json_option, person_option, sequence_argument, step_named, variables_option
from drip.cli.invocation import Invocation, pass_invocation
from drip.errors import Invalid

if TYPE_CHECKING:
    from drip.render.message import Message


@click.command("preview")
@sequence_argument
@step_named("[STEP]", required=False)
@person_option
@variables_option("A variable to try; K:=JSON for other than text.")
@click.option("--html", "view", flag_value="html", help="The HTML part.")
@click.option("--text", "view", flag_value="text", help="The text part.")
@click.option("--eml", "view", flag_value="eml", help="The whole message, as it goes over the wire.")
@click.option("--open", "view", flag_value="open", help="In the browser.")
@json_option
@pass_invocation
def preview_command(
    invocation: Invocation,
    sequence: str,
    step: str | None,
    person: str | None,
    variables: Sequence[tuple[str, Any]],
    view: str | None,
    as_json: bool,
) -> None:
    """Show a step as it would be sent.

    From the files, or from the database where the files do not have it. Declared variables show their example.
    Without STEP, all steps. Nothing is sent and nothing is kept.

    \b
    Example:
      drip preview welcome
      drip preview welcome first-project --var plan=pro --open
      drip preview welcome first-project --as ada@example.com --eml > mail.eml
    """
    from drip.cli.files.previews import message_object, preview_messages
    from drip.cli.output import note, write_json

    messages = preview_messages(invocation, sequence, step, person, dict(variables))
    if not messages and not as_json:
        note(f"{sequence!r} has no steps")
    elif len(messages) != 1 and view in ("html", "text", "eml"):
        raise Invalid(f"--{view} shows one step", f"name one of {', '.join(key for key, _ in messages)}")
    if as_json:
        objects = [message_object(key, message) for key, message in messages]
        write_json(objects if step is None else objects[0])
    elif view is None:
        for index, (key, message) in enumerate(messages):
            read_message(key, message, first=index == 0)
    else:
        for key, message in messages:
            _show(view, key, message)


def read_message(key: str, message: Message, *, first: bool) -> None:
    """The reading view: the headers that people see, then the text part."""
    from drip.cli.output import clean, clean_prose, line, paint

    if not first:
        line()
    line(paint(f"── {clean(key)} " + "─" * max(60 - len(key), 3), "cyan"))
    fields = [
        ("From", message.sender),
        ("To", message.to),
        ("Reply-To", message.reply_to),
        ("Subject", message.subject),
    ]
    for name, value in fields:
        if value is not None:
            line(f"{name + ':':9} {clean(str(value))}")
    line()
    line(clean_prose(message.text.rstrip("\n")))


def _show(view: str, key: str, message: Message) -> None:
    from drip.cli.output import line, write_document

    match view:
        case "text":
            write_document(message.text)
        case "html":
            write_document(_html(key, message))
        case "eml":
            from drip.render.mime import write_message

            write_document(write_message(message))
        case _:
            line(_opened(key, message))


def _html(key: str, message: Message) -> str:
    if message.html is None:
        raise Invalid(f"step {key!r} has no HTML part", "--text shows its text")
    return message.html


def _opened(key: str, message: Message) -> str:
    """Open the HTML in the browser; the path of the file it was put in."""
    import tempfile
    import webbrowser
    from html import escape
    from pathlib import Path

    page = message.html or f"<!doctype html><meta charset=utf-8><pre>{escape(message.text)}</pre>"
    path = Path(tempfile.mkdtemp(prefix="drip-preview-")) / f"{key}.html"
    path.write_text(page, "utf-8", errors="replace")
    webbrowser.open(path.as_uri())
    return str(path)
