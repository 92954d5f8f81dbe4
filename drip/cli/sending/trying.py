"""`send-test`: one real message, to look at where it will be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import json_option, new_address, person_option, sequence_argument, step_named, variables_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.delivery import Outcome
    from drip.errors import DripError
    from drip.render.message import Message


@click.command("send-test")
@sequence_argument
@step_named()
@click.option("--to", "address", metavar="EMAIL", required=True, help="Who gets it: you.")
@person_option
@variables_option("A variable to try; K:=JSON for other than text.")
@click.option("--even-suppressed", is_flag=True, help="Also to an address that is suppressed.")
@json_option
@click.pass_context
@pass_invocation
def send_test_command(
    invocation: Invocation,
    context: click.Context,
    sequence: str,
    step: str,
    address: str,
    person: str | None,
    variables: Sequence[tuple[str, Any]],
    even_suppressed: bool,
    as_json: bool,
) -> None:
    """Send one real message, marked as a test.

    Through the transport of drip.yaml, with `[test]` before the subject and the header X-Drip-Test. It is recorded
    nowhere, counts for no limit, and its unsubscribe link is not a real one: it unsubscribes nobody. The exit code is 1
    when the server refuses the message, 3 when it can't be reached or does not let us in.

    \b
    Example:
      drip send-test welcome first-project --to you@example.com
      drip send-test welcome first-project --to you@example.com --as ada@example.com --var plan=pro
    """
    from drip.cli.files.previews import trial_message
    from drip.cli.main import exit_code
    from drip.cli.output import complain, write_json
    from drip.engine.trial import send_trial

    to = new_address(address, "--to")
    _require_mailable(invocation, to, even_suppressed)
    message, token = trial_message(invocation, sequence, step, to, person, dict(variables))
    outcome = send_trial(invocation.project.transport, invocation.settings, message, token)
    error = _error(outcome)
    if as_json:
        write_json(_object(message, outcome))
    elif error is None:
        _tell(message, outcome)
    if error is not None:
        if not as_json:
            raise error
        complain(error.message, error.hint)
        context.exit(exit_code(error))


def _require_mailable(invocation: Invocation, to: str, even_suppressed: bool) -> None:
    from drip.errors import Refused

    database = invocation.project.store.database
    # Trying makes no database where there is none.
    if even_suppressed or not database.exists:
        return
    with invocation.opened() as store:
        found = store.suppressions.get(to)
    if found is not None:
        message = f"{to} is suppressed ({found.reason}), it is never mailed"
        raise Refused("contact_suppressed", message, "with their consent: --even-suppressed sends this one test")


def _error(outcome: Outcome) -> DripError | None:
    from drip.core.delivery import OutcomeKind
    from drip.engine.trial import NotSent
    from drip.errors import Unavailable

    answer = f"{outcome.code or ''} {outcome.text}".strip()
    match outcome.kind:
        case OutcomeKind.SENT:
            return None
        case OutcomeKind.DEFERRED:
            return NotSent(f"the server does not take it now: {answer}", "try again later")
        case OutcomeKind.REFUSED | OutcomeKind.BAD_ADDRESS:
            return NotSent(f"the message was refused: {answer}")
        case OutcomeKind.NO_MAILBOX:
            return NotSent(f"the address was refused: {answer}", "look at the spelling of --to")
        case OutcomeKind.UNKNOWN:
            return NotSent(f"nobody knows whether it was taken: {answer}", "look into the mailbox before trying again")
        case OutcomeKind.MISCONFIGURED:
            return Unavailable(outcome.text, "set it right in drip.yaml; `drip doctor` looks at all of it")
        case _:
            return Unavailable(answer, "`drip doctor` looks at server, login and DNS")


def _tell(message: Message, outcome: Outcome) -> None:
    from drip.cli.output import clean, line, note

    line(clean(f"sent to {message.to.email}: {message.subject}"))
    line(clean(f"  {message.message_id}  {outcome.text}"))
    note("its unsubscribe link is not real: it unsubscribes nobody")


def _object(message: Message, outcome: Outcome) -> dict[str, Any]:
    from drip.core.delivery import OutcomeKind

    return {
        "sent": outcome.kind is OutcomeKind.SENT,
        "outcome": outcome.kind.value,
        "to": message.to.email,
        "subject": message.subject,
        "message_id": message.message_id,
        "smtp_code": outcome.code,
        "answer": outcome.text,
    }
