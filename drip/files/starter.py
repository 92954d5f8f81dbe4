"""The files of a new project, for `drip init`. Kept as real files in the folder `starter` beside this module.

Nothing that exists is ever overwritten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from drip.errors import Invalid
from drip.files.schema import sequence_schema

SCHEMA_FILE = "sequences/schema.json"
"""Beside the sequence files, whose first line points at it; the loader reads no JSON."""


def starter_files() -> dict[str, bytes]:
    """The content of each file of a new project, by its path in the project."""
    found = dict(_walk(files("drip.files").joinpath("starter"), ""))
    # A file of that name would hide files of this package from git.
    found[".gitignore"] = found.pop("gitignore")
    found[SCHEMA_FILE] = schema_text().encode()
    return dict(sorted(found.items()))


def schema_text() -> str:
    """The JSON Schema of sequence files as it is written beside them."""
    return json.dumps(sequence_schema(), indent=2, ensure_ascii=False) + "\n"


def write_starter(folder: Path) -> list[Path]:
    """Write the files of a new project that do not exist yet, and return their paths, sorted.

    What exists is left as it is; the caller knows it as `starter_files()` without what was written. A file appears
    whole or not at all.

    Raises:
        Invalid: a file or folder can't be made.
    """
    return write_new_files(folder, starter_files())


def write_new_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write those files that do not exist yet, each whole or not at all, and return their paths; raises Invalid."""
    if folder.exists() and not folder.is_dir():
        raise Invalid(f"{folder} is a file, not a folder", "choose another name for the project")
    written = []
    for name, content in files.items():
        path = folder / name
        try:
            if _write_new(path, content):
                written.append(path)
        except OSError as error:
            raise Invalid(f"{path} can't be written: {(error.strerror or str(error)).lower()}") from error
    return written


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()


def _write_new(path: Path, content: bytes) -> bool:
    """Whether the file was made; False when something of that name is there."""
    if os.path.lexists(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "xb") as file:
            file.write(content)
        return _publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _publish(partial: Path, path: Path) -> bool:
    """Give a whole file its name, unless another program took it meanwhile."""
    try:
        os.link(partial, path)
    except FileExistsError:
        return False
    except OSError:  # file systems without hard links
        if os.path.lexists(path):
            return False
        partial.replace(path)
    return True
