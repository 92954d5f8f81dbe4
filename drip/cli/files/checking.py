"""`check`, `schema`: what is in the files, and what may be."""

from __future__ import annotations

import click

from drip.cli.arguments import json_option
from drip.cli.invocation import Invocation, pass_invocation


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
    from drip.cli.files.clipping import clipped_messages
    from drip.cli.files.problems import problem_object, show_problems
    from drip.cli.output import write_json
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
@click.option("--json", is_flag=True, expose_value=False, help="As ever: a schema is a JSON document.")
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
