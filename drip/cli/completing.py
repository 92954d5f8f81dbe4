"""What a shell is offered after Tab: names of the project that stands there, in a moment, and never a complaint.

drip.yaml is only glanced at, as reading it whole would take longer than anybody waits; a project that is broken, or
whose database is on a server, has fewer names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import click

from drip.store import names

_SUFFIXES = (".yaml", ".yml")
_LONGEST_CONFIG = 1024 * 1024
_FILLED = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_STEP = re.compile(r"(?:^|[{,-])[ \t]*id:[ \t]*[\"']?([a-z0-9][a-z0-9-]*)", re.MULTILINE)


def sequences(context: click.Context) -> list[str]:
    """Ids of the files' sequences and of the database's."""
    return _sorted([*_file_sequences(context), *names.sequence_ids(_database(context))])


def steps(context: click.Context) -> list[str]:
    """Ids of the steps of the sequence that was named before, in order."""
    sequence = context.params.get("sequence")
    if not isinstance(sequence, str):
        return []
    found = names.step_keys(_database(context), sequence)
    for suffix in _SUFFIXES:
        found += _STEP.findall(_text(_folder(context) / f"{sequence}{suffix}"))
    return list(dict.fromkeys(found))


def addresses(context: click.Context, begins: str) -> list[str]:
    """Addresses of people; those in the sequence that was named before, if one was."""
    sequence = context.params.get("sequence")
    return names.addresses(_database(context), begins, sequence if isinstance(sequence, str) else None)


def _sorted(found: Iterable[str]) -> list[str]:
    return sorted(set(found))


def _file_sequences(context: click.Context) -> list[str]:
    try:
        return [path.stem for path in _folder(context).iterdir() if path.suffix in _SUFFIXES]
    except OSError:
        return []


def _folder(context: click.Context) -> Path:
    config = _config(context)
    return config.parent / (_value(config, "sequences") or "sequences")


def _database(context: click.Context) -> Path:
    config = _config(context)
    url = _value(config, "database") or "sqlite:///drip.db"
    # Of a database elsewhere nothing is known here: a file of no name.
    return config.parent / url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else Path(os.devnull)


def _config(context: click.Context) -> Path:
    """The drip.yaml of the command line as it stands; where there is none, the place it would have."""
    given = context.find_root().params
    start = Path(os.path.abspath(given.get("folder") or "."))
    if given.get("config"):
        return start / str(given["config"])
    found = (folder / "drip.yaml" for folder in (start, *start.parents))
    return next((path for path in found if path.is_file()), start / "drip.yaml")


def _value(config: Path, key: str) -> str | None:
    """A value at the top of drip.yaml, where it is one plain word."""
    found = re.search(rf"^{key}:[ \t]*[\"']?([^\s\"'#]+)", _text(config), re.MULTILINE)
    return None if found is None else _FILLED.sub(lambda one: os.environ.get(one[1]) or one[2] or "", found[1])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_CONFIG).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
