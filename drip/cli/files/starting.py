"""`init`: a new project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from drip.cli.arguments import complete_files, complete_folders
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
@pass_invocation
def init_command(invocation: Invocation, folder: str, url: str | None, key_file: str | None) -> None:
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
    from drip.cli.output import clean, line
    from drip.errors import Invalid
    from drip.files.starter import starter_files, write_starter

    target = invocation.path(folder)
    go = "" if target.resolve() == invocation.path(".").resolve() else f" -C {shlex.quote(clean(folder))}"
    if url is not None:
        from drip.cli.files.fetching import fetch_project

        key_path = None if key_file is None else Path("-") if key_file == "-" else invocation.path(key_file)
        made = fetch_project(url, key_path, target)
        line(f"\n{len(made)} fetched. Next:\n  drip{go} check\n  drip{go} plan\n  drip{go} apply")
        return
    if key_file is not None:
        raise Invalid("--key-file goes with --from-api URL")
    written = set(write_starter(target))
    for name in starter_files():
        path = target / name
        line(f"  {'made' if path in written else 'kept'}  {clean(str(path))}")
    line(
        f"\nNext:\n  drip{go} apply\n  drip{go} subscribe welcome you@example.com\n  drip{go} run --once"
        f"\n\n`drip{go} preview welcome` shows the mails, `drip guide first-mail` the rest."
    )
