"""`drip` itself: which commands there are, and what an error becomes. A command's module loads when it is called.

`drip --help` runs from here alone: nothing but click and `drip.errors` may be imported at the top.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem

from drip import __version__
from drip.errors import DripError, Invalid, Unavailable

DONE, PARTLY, USAGE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 130
"""The exit codes, in the words of the manual: done, failed in part or refused, usage, try again later, interrupted."""
PIPE_CLOSED = 128 + signal.SIGPIPE
"""What a shell reports of a program that wrote to a reader who had gone."""

HEADINGS: dict[str, dict[str, tuple[str, str]]] = {
    "Files": {
        "init": ("starting", "Make a new project."),
        "check": ("checking", "Report every problem in the files."),
        "schema": ("checking", "Print the JSON Schema of sequence files."),
        "plan": ("planning", "Show what apply would change, in files and in people."),
        "apply": ("planning", "Bring the database to what the files say."),
        "preview": ("previewing", "Show a step as it would be sent."),
        "templates": ("templates", "List the templates, and where they are used."),
        "export": ("exporting", "Print a sequence of the database as a file."),
        "simulate": ("simulating", "Show the calendar of one new subscriber."),
        "test": ("testing", "Run the tests of the sequence files."),
    },
    "People": {
        "subscribe": ("subscriptions", "Add a person to a sequence."),
        "import": ("importing", "Add the people of a CSV file."),
        "subscribers": ("subscribers", "List who is where, what is next and when."),
        "subscriber": ("subscribers", "Show one person: what was, and what is to come."),
        "pause": ("subscriptions", "Stop a person's clock."),
        "resume": ("subscriptions", "Let a person's clock go on."),
        "cancel": ("subscriptions", "End a person's subscription."),
        "set": ("subscriptions", "Change a person's variables."),
        "contacts": ("contacts", "Look after people, whatever sequences they are in."),
        "retry": ("subscriptions", "Make failed subscriptions active again."),
    },
    "Sending": {
        "run": ("running", "Send what is due: a loop, or one pass."),
        "bounces": ("bounces", "Take in bounces and complaints."),
        "unknown": ("unknown", "List deliveries whose fate is not known."),
        "resolve": ("unknown", "Settle deliveries whose fate is not known."),
        "send-test": ("trying", "Send one real message, marked as a test."),
        "suppress": ("suppressions", "Look after the addresses that are never mailed."),
    },
    "Looking": {
        "status": ("status", "Show the state of the whole, or set a sequence's status."),
        "list": ("sequences", "List the sequences."),
        "show": ("sequences", "Show one sequence with its steps."),
        "history": ("sequences", "List the revisions of a sequence."),
        "agenda": ("agenda", "Show what will be sent, by day and step."),
        "stats": ("stats", "Show how far people get, and how many leave."),
        "why": ("explaining", "Explain one message: who, what, when, and its words."),
        "log": ("log", "Show what happened, newest last."),
        "dashboard": ("dashboard", "Watch and steer everything in the terminal."),
    },
    "Project": {
        "serve": ("serving", "Serve the API and the unsubscribe page."),
        "doctor": ("doctor", "Look at everything that mail depends on."),
        "keys": ("keys", "Make, list and revoke API keys."),
        "webhooks": ("webhooks", "Look after webhooks: endpoints, and what was posted."),
        "db": ("database", "Migrate, check and back up the database."),
        "guide": ("guide", "Read the manual in the terminal."),
        "completion": ("completion", "Print the completion script of a shell."),
    },
}
"""Heading -> command -> (module, the first line of its help). The modules of a heading are a package of its name."""

COMMANDS = {
    name: (f"drip.cli.{heading.lower()}.{module}", help_line)
    for heading, commands in HEADINGS.items()
    for name, (module, help_line) in commands.items()
}
"""Command -> (its module's whole name, the first line of its help)."""


class Commands(click.Group):
    """A group that imports a command when it is called, and turns every error into words and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself; by convention `list` is `list_command` in its module."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest name for one that does not exist."""
        if args[0] in COMMANDS or args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = get_close_matches(args[0].lower(), COMMANDS, n=1)
        raise Invalid(
            f"there is no command {args[0]!r}", f"did you mean `drip {near[0]}`?" if near else "`drip -h` lists them"
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings, without importing one."""
        for heading, commands in HEADINGS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, help_line) for name, (_, help_line) in commands.items()], col_max=14)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Options, and commands without importing one."""
        found = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that has gone is told apart here, as click would call it a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosed from error

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **__: Any) -> Any:
        """Run, and exit with a code: the one place where errors become codes."""
        given = list(sys.argv[1:] if args is None else args)
        code = self._run(given, prog_name or "drip")
        try:
            sys.stderr.flush()
        except OSError:
            _drop_the_rest(sys.stderr)
        sys.exit(code)

    def _run(self, args: list[str], name: str) -> int:
        try:
            _require_text(args)
            code = super().main(args, name, standalone_mode=False)
            sys.stdout.flush()
            return code if isinstance(code, int) else DONE
        except (PipeClosed, BrokenPipeError):
            _drop_the_rest(sys.stdout)
            return PIPE_CLOSED
        except (click.Abort, KeyboardInterrupt):
            _say("interrupted", None)
            return INTERRUPTED
        except click.exceptions.NoArgsIsHelpError as error:
            from drip.cli.output import line

            line(error.format_message(), err=True)
            return USAGE
        except click.ClickException as error:
            from drip.cli.usage import words_of

            _say(*words_of(error))
            return USAGE
        except DripError as error:
            from drip.cli.usage import way_on

            _say(error.message, error.hint or way_on(error))
            return exit_code(error)
        except OSError as error:
            from drip.cli.output import FULL

            if error.errno not in FULL:
                raise
            _drop_the_rest(sys.stdout)
            where = f"{error.filename or 'the output'} can't be written"
            _say(f"{where}: {(error.strerror or str(error)).lower()}", "free some space, then try again")
            return UNAVAILABLE


def _drop_the_rest(stream: TextIO) -> None:
    """Python flushes a stream once more at its end: that must go nowhere, as it would change the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class PipeClosed(Exception):
    """Whoever read what is written has gone."""


def exit_code(error: DripError) -> int:
    """What an error means to whoever started drip."""
    if isinstance(error, Invalid):
        return USAGE
    return UNAVAILABLE if isinstance(error, Unavailable) else PARTLY


def _require_text(args: list[str]) -> None:
    for arg in args:
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise Invalid(f"an argument is not UTF-8: {arg!r}") from None


def _say(message: str, hint: str | None) -> None:
    from drip.cli.output import complain

    complain(message, hint)


def _folders(context: click.Context, param: click.Parameter, begins: str) -> list[CompletionItem]:
    return [CompletionItem(begins, type="dir")]


def _files(context: click.Context, param: click.Parameter, begins: str) -> list[CompletionItem]:
    return [CompletionItem(begins, type="file")]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-C", "folder", metavar="DIR", help="Work as if started in that folder.", shell_complete=_folders)
@click.option(
    "--config",
    metavar="FILE",
    help="The drip.yaml to use, instead of looking for one.",
    shell_complete=_files,
)
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.version_option(__version__, message="drip %(version)s")
@click.pass_context
def drip(context: click.Context, folder: str | None, config: str | None, verbose: bool) -> None:
    """Email sequences as code.

    A sequence is a YAML file in git. `apply` puts it in the database, `subscribe` adds people, `run` sends each
    step when it is due.

    \b
    Example:
      drip init newsletter
      drip -C newsletter plan
      drip -C newsletter apply
    """
    from drip.cli.invocation import Invocation

    context.obj = Invocation(Path(folder) if folder else None, Path(config) if config else None, verbose)


def main() -> None:
    """The entry point of `drip` and `python -m drip`."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed by whoever started us: nothing else may get its number
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115
    # People are made by the hundred thousand, and kept: looking for cycles among them is a sixth of a large apply.
    gc.set_threshold(50_000)
    try:
        drip()
    finally:
        gc.freeze()  # at the end the interpreter would look for cycles in all there is, and the system frees it anyway
