"""Arguments and options that several commands share, and what may be written there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def _say_more(context: click.Context, param: click.Parameter, wanted: bool) -> None:
    from dataclasses import replace

    if wanted and context.obj is not None:
        context.obj = replace(context.obj, verbose=True)


verbose_option = click.option(
    *("-v", "--verbose"),
    is_flag=True,
    expose_value=False,
    callback=_say_more,
    help="As before the command: a line for each on stderr.",
)

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(kind: str) -> Completer:
    """What is offered after Tab; its module loads then."""

    def complete(context: click.Context, param: click.Parameter, begins: str) -> list[CompletionItem]:
        from drip.cli import completing

        offered = {
            "sequence": lambda: completing.sequences(context),
            "step": lambda: completing.steps(context),
            "address": lambda: completing.addresses(context, begins),
        }[kind]()
        return [CompletionItem(name) for name in offered if name.lower().startswith(begins.lower())]

    return complete


def _path_completer(kind: str) -> Completer:
    return lambda context, param, begins: [CompletionItem(begins, type=kind)]


complete_sequences = _completer("sequence")
complete_steps = _completer("step")
complete_addresses = _completer("address")
complete_files = _path_completer("file")
complete_folders = _path_completer("dir")


def sequence_named(metavar: str = "SEQ", *, required: bool = True) -> Callable[[F], F]:
    """The argument `sequence`: an id, completed by the shell."""
    return click.argument("sequence", metavar=metavar, required=required, shell_complete=complete_sequences)


def step_named(metavar: str = "STEP", *, required: bool = True) -> Callable[[F], F]:
    """The argument `step`: the key of a step of `sequence`, completed by the shell."""
    return click.argument("step", metavar=metavar, required=required, shell_complete=complete_steps)


sequence_argument = sequence_named()
email_argument = click.argument("email", metavar="EMAIL", shell_complete=complete_addresses)
person_option = click.option(
    "--as",
    "person",
    metavar="EMAIL",
    help="With that person's name and variables.",
    shell_complete=complete_addresses,
)


class _Parsed(click.ParamType[Any]):
    """Text that a function of core reads; its ValueError is a mistake in usage."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, read."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Whole(click.IntRange):
    """A whole number, from `min` up or to `max`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            most = "up" if self.max is None else f"to {self.max}"
            self.fail(f"{value!r} is not a whole number from {self.min} {most}", param, ctx)


SHOWN = 100
"""Rows of a table, unless --limit says otherwise."""
limit_option = click.option("--limit", type=Whole(1), metavar="N", help=f"At most N; a table has {SHOWN} without it.")
search_option = click.option("--search", metavar="Q", help="Only those with that in their address.")


def _moment(text: str) -> datetime:
    from drip.core.moments import parse_moment

    return parse_moment(text)


def _duration(text: str) -> timedelta:
    from drip.core.durations import parse_duration

    length = parse_duration(text)
    if not length:
        raise ValueError("0 is too short")
    return length


def _variable(text: str) -> tuple[str, Any]:
    """`K=V` is text; `K:=JSON` is any JSON value."""
    from drip.core.variables import check_name, check_value, parse_json_value

    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not K=V (or K:=JSON)")
    if name.endswith(":"):
        return check_name(name[:-1]), parse_json_value(value)
    return check_name(name), check_value(value)


def _place(text: str) -> tuple[str, int]:
    """`127.0.0.1:8025`, `[::1]:8025`, `localhost:8025` or `:8025`; port 0 is any."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, as 127.0.0.1:8025")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


MOMENT = _Parsed("ISO", _moment)
DURATION = _Parsed("DURATION", _duration)
VARIABLE = _Parsed("K=V", _variable)
PLACE = _Parsed("HOST:PORT", _place)


def variables_option(help_text: str) -> Callable[[F], F]:
    """`--var K=V`, any number of times; the command gets pairs."""
    return click.option("--var", "variables", type=VARIABLE, metavar="K=V", multiple=True, help=help_text)


def variables_of(pairs: Iterable[tuple[str, Any]], *, keep_null: bool = False) -> Mapping[str, Any]:
    """The pairs as variables; the last of a name wins, and null is no value."""
    return {name: value for name, value in dict(pairs).items() if keep_null or value is not None}


def new_address(text: str, option: str = "") -> str:
    """An address to be kept.

    Args:
        option: where it was given, to be said; empty for an argument.

    Raises:
        Invalid: it is none.
    """
    from drip.core.address import parse_email
    from drip.errors import Invalid

    try:
        return parse_email(text)
    except ValueError as error:
        raise Invalid(f"{option}: {error}" if option else str(error)) from None
