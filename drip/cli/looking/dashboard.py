"""`dashboard`: the terminal dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.apply import Origin


@click.command("dashboard")
@click.option("--run", "run", is_flag=True, help="Send what is due from inside it, as `drip run` would.")
@click.pass_context
@pass_invocation
def dashboard_command(invocation: Invocation, context: click.Context, run: bool) -> None:
    """Watch and steer everything in the terminal.

    Sequences, people, what needs a person, and what the files would change. It asks before anything is sent or ended.
    Without --run it sends nothing: let `drip run` work beside it. Press ? for the keys of a place.

    \b
    Example:
      drip dashboard
      drip dashboard --run
    """
    import gc
    import signal
    import sys

    from drip.cli.output import is_terminal, note
    from drip.errors import Invalid

    # Textual draws to stderr.
    if not all(is_terminal(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise Invalid("the dashboard needs a terminal", "`drip status` and `drip list` print the same facts")
    # Textual takes a third of a second to import, and longer while the garbage of it is looked for.
    gc.disable()
    # A key waits for the interpreter's lock at most so long while other threads compute.
    sys.setswitchinterval(0.001)
    from drip.tui.app import Dashboard

    settings = invocation.settings

    def origin() -> Origin:
        from drip.cli.files.git import origin_of

        return origin_of(settings.folder, [settings.path, settings.sequences])

    app = Dashboard(
        invocation.project,
        clock=invocation.now,
        origin=origin,
        run=[*invocation.program(), "run"] if run else None,
    )
    app.run()
    if app.engine_room is not None:
        # From here on both end it at once.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        note("finishing the messages in hand")
        app.engine_room.stop()
        if app.engine_room.last_words:
            note(app.engine_room.last_words)
    if app.return_code:
        context.exit(app.return_code)  # a bug, whose traceback is on the screen
