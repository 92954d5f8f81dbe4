"""`completion`: the script that lets a shell complete drip's commands, options and names."""

from __future__ import annotations

import os

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", metavar="[bash|zsh|fish]", type=click.Choice(SHELLS), required=False)
def completion_command(shell: str | None) -> None:
    """Print the completion script of a shell.

    Then Tab completes commands and options, ids of sequences and steps, and addresses. Without a name it is the shell
    that SHELL says. For bash (4.4 or newer) and zsh a line in ~/.bashrc or ~/.zshrc, for fish a file:

    \b
    Example:
      eval "$(drip completion bash)"
      eval "$(drip completion zsh)"
      drip completion fish > ~/.config/fish/completions/drip.fish
    """
    from click.shell_completion import get_completion_class

    from drip.cli.main import drip
    from drip.cli.output import line
    from drip.errors import Invalid

    wanted = shell or os.path.basename(os.environ.get("SHELL", ""))
    if wanted not in SHELLS:
        raise Invalid("which shell?", "name one of bash, zsh, fish: `drip completion bash`")
    kind = get_completion_class(wanted)
    assert kind is not None  # click knows these three
    line(kind(drip, {}, "drip", "_DRIP_COMPLETE").source().rstrip("\n"))
