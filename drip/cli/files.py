"""`init`, `check`, `schema`: the files of a project, before anything is applied."""

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
        from drip.cli.fetching import fetch_project

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


@click.command("check")
@json_option
@click.pass_context
@pass_invocation
def check_command(invocation: Invocation, context: click.Context, as_json: bool) -> None:
    """Report every problem in the files.

    Reads drip.yaml, all sequences and all templates, compiles every template and expression, and reports each problem
    at its place. Nothing is changed. The exit code is 1 when there are errors; warnings alone are 0.

    \b
    Example:
      drip check
      drip check --json | jq '.problems[].message'
    """
    from drip.cli.clipping import clipped_messages
    from drip.cli.output import write_json
    from drip.cli.problems import problem_object, show_problems
    from drip.errors import Severity

    files, usable = invocation.everything()
    problems = (*files.problems, *(clipped_messages(invocation, files) if usable else ()))
    if as_json:
        write_json({"problems": [problem_object(problem) for problem in problems]})
    else:
        show_problems(problems, len(files.paths))
    if any(problem.severity is Severity.ERROR for problem in problems):
        context.exit(1)


@click.command("schema")
@click.option("--config", "of_config", is_flag=True, help="The schema of drip.yaml instead.")
def schema_command(of_config: bool) -> None:
    """Print the JSON Schema of sequence files.

    Editors complete and check with it. `drip init` writes it beside the sequences, and each file's first line names it.

    \b
    Example:
      drip schema > sequences/schema.json
      drip schema --config
    """
    import json

    from drip.cli.output import line

    if of_config:
        from drip.files.schema_config import config_schema

        line(json.dumps(config_schema(), indent=2, ensure_ascii=False))
    else:
        from drip.files.starter import schema_text

        line(schema_text().rstrip("\n"))
