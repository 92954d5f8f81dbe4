"""Mistakes in usage, and where to go on from an error: click's findings in our words."""

from __future__ import annotations

import click
from click.exceptions import BadOptionUsage, NoSuchCommand, NoSuchOption

from drip.errors import DripError, NotFound, Refused, did_you_mean

_NAMES = {
    "subscriber": "`drip subscribers SEQ` lists who is in a sequence, `drip subscribe SEQ EMAIL` adds somebody",
    "contact": "`drip contacts list` lists them",
    "sequence": "`drip list` lists them",
    "suppressed address": "`drip suppress list` lists them",
}
"""What helps where a name does not exist and none is near, by what it is the name of."""
_STATES = {
    "contact_suppressed": "`drip suppress remove EMAIL` allows it again",
    "sequence_archived": "`drip status SEQ active` opens it again",
    "subscription_terminal": "`drip subscriber SEQ EMAIL` shows what was; a sequence with `resubscribe: always` takes"
    " those anew who completed it or were cancelled by hand",
}
"""What helps where the state of things forbids it, by the code of the refusal."""


def words_of(error: click.ClickException) -> tuple[str, str | None]:
    """What is wrong with a call, and how it is right."""
    return _message(error), _usage(error)


def way_on(error: DripError) -> str | None:
    """What to do about an error that says nothing of it."""
    if isinstance(error, NotFound):
        return _NAMES.get(error.kind)
    return _STATES.get(error.code) if isinstance(error, Refused) else None


def _message(error: click.ClickException) -> str:
    match error:
        case NoSuchOption() if place := _place_of(error):
            return f"{error.option_name} goes {place}"
        case NoSuchOption():
            return _nothing("option", error.option_name, error.possibilities)
        case NoSuchCommand():
            return _nothing("command", error.command_name, error.possibilities)
        case click.MissingParameter(param=click.Parameter() as param):
            return f"{_name(param)} is missing"
        case click.BadParameter(param=click.Parameter() as param):
            return f"{_name(param)}: {error.message.rstrip('.')}"
        case BadOptionUsage():
            return f"{error.option_name} wants a value"
    begins, _, rest = error.format_message().partition("(")
    if begins.startswith("Got unexpected extra argument"):
        return f"too many words: {rest.removesuffix(')')}"
    return error.format_message()


def _place_of(error: NoSuchOption) -> str | None:
    """Where an option belongs that exists elsewhere: those of drip itself before the command, `--json` after it."""
    context = error.ctx
    if context is None:
        return None
    if isinstance(context.command, click.Group):
        return "after the command" if error.option_name == "--json" else None
    root = context.find_root()
    for param in root.command.params:
        if error.option_name in param.opts:
            words = " ".join(filter(None, (root.command_path, error.option_name, param.metavar)))
            return f"before the command: `{words}{context.command_path.removeprefix(root.command_path)}`"
    return None


def _nothing(kind: str, name: str, near: list[str] | None) -> str:
    hint = did_you_mean(name, near or ())
    return f"there is no {kind} {name!r}" + (f": {hint}" if hint else "")


def _name(param: click.Parameter) -> str:
    """As people write it: `--limit`, `SEQ`."""
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    name = param.metavar or param.name or ""
    return name if param.required else name.removeprefix("[").removesuffix("]")


def _usage(error: click.ClickException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return None
    path = context.command_path
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return f"`{path} -h` says how it is used"
    # What is missing or too much shows best beside what is wanted.
    pieces = " ".join([path, *context.command.collect_usage_pieces(context)])
    return f"{pieces}: `{path} -h` says how it is used"
