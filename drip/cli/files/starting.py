"""`init`: a new project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from drip.cli.arguments import complete_files, complete_folders, json_option
from drip.cli.invocation import Invocation, pass_invocation


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", shell_complete=complete_folders)
@click.option("--from-api", "url", metavar="URL", help="Bring the sequences and templates of that server.")
@click.option(
    "--key-file",
    metavar="FILE",
    help="Where its API key is; default: the variable DRIP_API_KEY.",
    shell_complete=complete_files,
)
@json_option
@pass_invocation
def init_command(invocation: Invocation, folder: str, url: str | None, key_file: str | None, as_json: bool) -> None:
    """Make a new project.

    Writes drip.yaml, an example sequence with a template, the JSON Schema for your editor, and a .gitignore. What
    exists is left as it is. Mail goes into a folder until drip.yaml says otherwise.

    With --from-api, instead of the example, the sequences, steps and templates of a server that speaks drip's HTTP API.

    \b
    Example:
      drip init
      drip init newsletter
      drip init newsletter --from-api https://mail.example.com --key-file key.txt
    """
    from drip.cli.output import clean, line, write_json
    from drip.errors import Invalid

    target = invocation.path(folder)
    if url is not None:
        from drip.cli.files.fetching import fetch_project

        key_path = None if key_file is None else Path("-") if key_file == "-" else invocation.path(key_file)
        fetched = fetch_project(url, key_path, target)
        sequences, files = fetched.sequences, fetched.files
    elif key_file is not None:
        raise Invalid("--key-file goes with --from-api URL")
    else:
        sequences, files = ("welcome",), _start(target)
    if as_json:
        made = [str(path) for path, new in files.items() if new]
        kept = [str(path) for path, new in files.items() if not new]
        write_json({"made": made, "kept": kept, "sequences": sequences})
        return
    for path, new in files.items():
        line(f"  {'made' if new else 'kept'}  {clean(str(path))}")
    go = "" if target.resolve() == invocation.path(".").resolve() else f" -C {shlex.quote(clean(folder))}"
    if url is not None:
        line(f"\n{len(sequences)} fetched. Next:\n  drip{go} check\n  drip{go} plan\n  drip{go} apply")
        return
    line(
        f"\nNext:\n  drip{go} apply\n  drip{go} subscribe welcome you@example.com\n  drip{go} run --once"
        f"\n\n`drip{go} preview welcome` shows the mails, `drip guide first-mail` the rest."
    )


def _start(target: Path) -> dict[Path, bool]:
    """Each file of the example, and whether it was made."""
    from drip.files.starter import starter_files, write_starter

    written = set(write_starter(target))
    return {target / name: target / name in written for name in starter_files()}
