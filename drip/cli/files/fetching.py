"""`init --from-api`: a project made of what another server has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from drip.cli.files.remote import SEQUENCES, TEMPLATES, RemoteServer
from drip.cli.files.remote_objects import (
    RemoteObject,
    senders,
    sequence_names,
    sequence_of,
    template_names,
    template_of,
)
from drip.cli.output import note, progress
from drip.core.sequence import Definition, Sequence, Template
from drip.errors import Invalid
from drip.files.export import sequence_yaml, template_files
from drip.files.starter import starter_files, write_new_files

VARIABLE = "DRIP_API_KEY"
_EXAMPLE_SENDER = "Ada at Example <ada@example.com>"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A project that was written."""

    sequences: tuple[str, ...]
    """Their ids."""
    files: dict[Path, bool]
    """Each of its files, and whether it was made; one that was there is kept."""


def fetch_project(url: str, key_file: Path | None, target: Path) -> Fetched:
    """Write a project with the sequences and templates of a server.

    Raises:
        Invalid: a file is in the way, there is no key, or the server is none of the API; nothing is written.
        Unavailable: the server can't be reached; nothing is written.
    """
    with RemoteServer(url, _key(key_file)) as server:
        if server.is_plain:
            note("the key goes over the network in clear: use https where you can")
        sequences, templates, partial = _fetch(server)
    files = {**_base_files(sequences), **_files(sequences, templates)}
    _refuse_to_overwrite(target, files)
    written = set(write_new_files(target, files))
    for slug in partial:
        note(
            f"{slug} belongs to a file on that server, and the API does not tell all of it (conditions, windows and "
            "times of steps, variables, layouts): better copy its file"
        )
    paths = [target / name for name in sorted(files)]
    return Fetched(tuple(sequence.id for sequence in sequences), {path: path in written for path in paths})


def _key(key_file: Path | None) -> str:
    if key_file is not None:
        try:
            return (sys.stdin.read() if str(key_file) == "-" else key_file.read_text("utf-8")).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"--key-file: {key_file} can't be read: {error}") from error
    key = os.environ.get(VARIABLE, "").strip()
    if not key:
        raise Invalid(
            f"there is no API key: {VARIABLE} is not set", "set it, or name a file with the key: --key-file FILE"
        )
    return key


def _fetch(server: RemoteServer) -> tuple[list[Sequence], dict[str, Template], list[str]]:
    """The sequences, the templates by name, and the ids of sequences that the API tells only a part of."""
    names, template_ids = sequence_names(), template_names()
    listed = [RemoteObject.of(one, f"sequence {number}") for number, one in enumerate(server.all(SEQUENCES), 1)]
    found = server.all(TEMPLATES)
    templates = [
        template_of(RemoteObject.of(one, f"template {number}"), template_ids) for number, one in enumerate(found, 1)
    ]
    sequences, partial = [], []
    with progress(f"fetching {server.url}", len(listed)) as bar:
        # Oldest first, so that of two ids that make one name the older keeps it.
        for one in reversed(listed):
            remote_id = one.needed("id")
            whole = RemoteObject.of(server.one(SEQUENCES, remote_id), f"sequence {remote_id}")
            sequence = sequence_of(whole, names, template_ids)
            sequences.append(sequence)
            if whole.text("source") == "file":
                partial.append(sequence.id)
            bar.advance()
    return sequences, {template.name: template for template in templates}, partial


def _files(sequences: Iterable[Sequence], templates: Mapping[str, Template]) -> dict[str, bytes]:
    """Sequence files and templates by their path in the project."""
    files: dict[str, str] = {}
    for sequence in sequences:
        missing = sorted({step.template for step in sequence.steps if step.template} - templates.keys())
        if missing:
            raise Invalid(
                f"the server's answer can't be read: {sequence.id} uses a template {missing[0]!r} it does not have"
            )
        definition = Definition(sequence, templates)
        files[f"sequences/{sequence.id}.yaml"] = "# yaml-language-server: $schema=./schema.json\n" + sequence_yaml(
            definition
        )
    written = template_files(Definition(Sequence(id="all", name="All"), templates))
    files |= {f"sequences/templates/{name}": content for name, content in written.items()}
    return {name: content.encode("utf-8", "surrogatepass") for name, content in files.items()}


def _base_files(sequences: Iterable[Sequence]) -> dict[str, bytes]:
    """drip.yaml, the schema and .gitignore of a new project, with the senders of the steps."""
    files = {name: content for name, content in starter_files().items() if not name.endswith((".md", "welcome.yaml"))}
    found = senders(sequences)
    if found:
        domains = ", ".join(dict.fromkeys(address.domain for address in found))
        config = files["drip.yaml"].decode()
        sender = str(found[0]).replace("\\", "\\\\").replace('"', '\\"')
        config = config.replace(f"from: {_EXAMPLE_SENDER}", f'from: "{sender}"\nauthorized_domains: [{domains}]', 1)
        files["drip.yaml"] = config.encode()
    return files


def _refuse_to_overwrite(target: Path, files: Iterable[str]) -> None:
    """What a new project keeps (drip.yaml, the schema, .gitignore) may be there; nothing else may."""
    there = [name for name in sorted(files) if name not in starter_files() and os.path.lexists(target / name)]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise Invalid(
            f"{target / there[0]}{more} exists already, and nothing is overwritten",
            "choose an empty folder, or move it",
        )
