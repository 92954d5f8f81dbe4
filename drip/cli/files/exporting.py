"""`export`: a sequence of the database as the file that would give it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from drip.cli.arguments import complete_folders, json_option, sequence_argument
from drip.cli.invocation import Invocation, pass_invocation


@click.command("export")
@sequence_argument
@click.option(
    "--templates",
    "folder",
    metavar="DIR",
    help="Also write the templates and layouts it uses there.",
    shell_complete=complete_folders,
)
@json_option
@pass_invocation
def export_command(invocation: Invocation, sequence: str, folder: str | None, as_json: bool) -> None:
    """Print a sequence of the database as a file.

    Saved as SEQ.yaml in the folder of sequences, and applied, it is the same sequence, and belongs to the file from
    then on. Templates stay names in it; --templates writes those that do not exist yet, and overwrites none.

    \b
    Example:
      drip export welcome > sequences/welcome.yaml
      drip export welcome --templates sequences/templates > sequences/welcome.yaml
    """
    from drip.cli.output import note, write_document, write_json
    from drip.engine.subscribe import find_sequence
    from drip.files.export import sequence_yaml, template_files

    with invocation.reading() as store:
        definition = find_sequence(store, sequence).definition
    files = template_files(definition)
    if folder is not None:
        _write(invocation.path(folder), files)
    elif files and not as_json:
        note(f"it uses {', '.join(files)}: --templates DIR writes what is not there")
    text = sequence_yaml(definition)
    if as_json:
        write_json({"id": sequence, "yaml": text, "templates": files})
    else:
        write_document(text)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    from drip.cli.output import note
    from drip.errors import Invalid

    if folder.exists() and not folder.is_dir():
        raise Invalid(f"--templates: {folder} is a file, not a folder")
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(content)
            note(f"made  {path}")
        except FileExistsError:
            note(f"kept  {path}")
        except OSError as error:
            raise Invalid(f"{path} can't be written: {(error.strerror or str(error)).lower()}") from error
