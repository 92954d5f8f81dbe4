"""The pages of the manual that say every key and every command: made from the code that reads and runs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

WIDTH = 96
"""Columns of a command's help."""

Schema = dict[str, Any]


def commands_page() -> str:
    """Every command with its help, as `drip COMMAND -h` prints it."""
    from drip.cli.main import HEADINGS, drip

    settings = {**drip.context_settings, "max_content_width": WIDTH, "terminal_width": WIDTH}
    context = click.Context(drip, info_name="drip", **settings)
    lines = ["# Every command", "", _COMMANDS.strip(), "", *_help(drip, context)]
    for heading, names in HEADINGS.items():
        lines += ["", f"## {heading}"]
        for name in names:
            command = drip.get_command(context, name)
            assert command is not None
            lines += _command(command, name, context)
    return "\n".join(lines) + "\n"


def config_page() -> str:
    """Every key of drip.yaml."""
    from drip.files.schema_config import config_schema

    return _keys_page("Every key of drip.yaml", _CONFIG, config_schema(), "drip.yaml")


def sequence_page() -> str:
    """Every key of a sequence file."""
    from drip.files.schema import sequence_schema

    return _keys_page("Every key of a sequence file", _SEQUENCE, sequence_schema(), "A sequence")


_COMMANDS = """
This page is made from the program itself. `drip [-C DIR] [--config FILE] [-v] COMMAND`; `-h` works everywhere.

What a command exits with: 0 done; 1 the work asked for failed in part, or problems were found; 2 the usage, drip.yaml
or a file is wrong; 3 a server or the database can't be reached, try again later; 130 interrupted.
"""
_CONFIG = """
This page is made from the code that reads the file. Paths are relative to it. Any value may be `${NAME}` or
`${NAME:-default}`, filled from the environment. A key that is not here is an error, with the nearest that is.
"""
_SEQUENCE = """
This page is made from the code that reads the files. A sequence's id is the file's name: `sequences/welcome.yaml` is
`welcome`. A key that is not here is an error, with the nearest that is.
"""


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent, name)
    yield from ("", f"### {context.command_path}", "")
    yield from _help(command, context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _command(found, below, context)


def _help(command: click.Command, context: click.Context) -> list[str]:
    return ["```text", command.get_help(context), "```"]


def _keys_page(heading: str, words: str, schema: Schema, whole: str) -> str:
    return "\n".join([f"# {heading}", "", words.strip(), *_section(schema, whole, "")]) + "\n"


def _section(schema: Schema, heading: str, path: str) -> Iterator[str]:
    """The keys of one mapping, then those of the mappings in it."""
    yield from ("", f"## {heading}", "")
    required = schema.get("required", ())
    inside: list[tuple[str, Schema]] = []
    for name, value in schema["properties"].items():
        key = f"{path}{name}"
        must = ", required" if name in required else ""
        words = _description(value)
        yield f"- `{key}` ({_kind(value)}{must})" + (f": {words}" if words else "")
        inside += _mappings(value, key)
    for place, below in inside:
        yield from _section(below, f"`{place}`", f"{place}.")


def _mappings(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """The mappings with known keys inside a value, each with its path."""
    if "properties" in schema:
        yield path, schema
    for choice in _choices(schema):
        if choice is not schema:
            yield from _mappings(choice, path)
    if "items" in schema:
        yield from _mappings(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _mappings(schema["additionalProperties"], f"{path}.NAME")


def _description(schema: Schema) -> str:
    words: str = schema.get("description") or next(
        (one["description"] for one in _choices(schema) if one.get("description")), ""
    )
    return " ".join(words.split())


def _choices(schema: Schema) -> list[Schema]:
    """What a value may be, without null and `${NAME}`, which most may be."""
    if "anyOf" not in schema:
        return [schema]
    given = [one for one in schema["anyOf"] if one.get("type") != "null" and one.get("pattern") != r"\$\{"]
    return [choice for one in given for choice in _choices(one)]


def _kind(schema: Schema) -> str:
    kinds = list(dict.fromkeys(filter(None, map(_one_kind, _choices(schema)))))
    return " or ".join(kinds) or "any value"


def _one_kind(schema: Schema) -> str:
    from drip.files.schema import ADDRESS, CLOCK, DURATION

    match schema:
        case {"const": 0}:
            return ""  # a length of time, as the choice beside it says
        case {"pattern": pattern} if pattern == DURATION["anyOf"][1]["pattern"]:
            return "length of time"
        case {"pattern": pattern} if pattern == CLOCK["pattern"]:
            return "time of day"
        case {"pattern": pattern} if pattern == ADDRESS["pattern"]:
            return "address"
        case {"enum": words}:
            return " or ".join(f"`{str(word).lower() if isinstance(word, bool) else word}`" for word in words)
        case {"type": "integer" | "number" as kind}:
            return ("whole number" if kind == "integer" else "number") + _bounds(schema)
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"type": "object", "properties": _}:
            return "keys of its own"
        case {"type": "object"}:
            return "names with values"
        case {"type": "string"}:
            return "text"
    return ""


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return f", {low} to {high}" if high is not None else f" from {low}" if low is not None else ""
