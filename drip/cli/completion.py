"""Shell completion: the script for a shell, and the names of sequences and steps to complete. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from drip.cli.invocation import Invocation

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_DRIP_COMPLETE"
"""What the script asks drip with."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete drip.

    Commands, options, the ids of sequences and the keys of steps are completed then. Put it into the start-up file
    of your shell.

    \b
    Example:
      drip completion bash >> ~/.bashrc
      drip completion zsh >> ~/.zshrc
      drip completion fish > ~/.config/fish/completions/drip.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    # Not `source()`: bash's would start a bash to look at its version.
    script = kind(context.find_root().command, {}, "drip", VARIABLE)
    click.echo(script.source_template % script.source_vars())


def complete_sequences(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of sequences that begin so."""
    return _items(lambda: _sequences(_invocation(context)), incomplete)


def complete_steps(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The keys of the steps of the sequence that was named before."""
    slug = context.params.get("sequence")
    return _items(lambda: _steps(_invocation(context), slug) if isinstance(slug, str) else [], incomplete)


def _items(names: Callable[[], Iterable[str]], incomplete: str) -> list[CompletionItem]:
    """Empty where there is no project, or none that can be read: somebody is typing, and wants no error."""
    from click.shell_completion import CompletionItem

    from drip.errors import DripError

    try:
        return [CompletionItem(name) for name in sorted(names()) if name.startswith(incomplete)]
    except (DripError, OSError):
        return []


def _invocation(context: click.Context) -> Invocation:
    from pathlib import Path

    from drip.cli.invocation import Invocation

    given = context.find_root().params
    folder, config = given.get("folder"), given.get("config")
    return Invocation(Path(folder) if folder else None, Path(config) if config else None, verbose=False)


def _sequences(invocation: Invocation) -> set[str]:
    """Those of the files, by their names, and those that are applied."""
    found = {path.stem for path in invocation.settings.sequences.glob("*.y*ml")}
    store = invocation.project.store
    if store.database.exists:
        with store.connected():
            found.update(store.sequences.slugs())
    return found


def _steps(invocation: Invocation, slug: str) -> list[str]:
    store = invocation.project.store
    if store.database.exists:
        with store.connected():
            stored = store.sequences.by_slug(slug)
        if stored is not None:
            return [step.key for step in stored.sequence.steps]
    definitions = invocation.project.files().definitions
    return [step.key for one in definitions if one.sequence.id == slug for step in one.sequence.steps]
