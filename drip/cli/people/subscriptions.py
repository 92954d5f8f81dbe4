"""What is done to one person in one sequence: subscribe, pause, resume, cancel, set, retry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import (
    MOMENT,
    VARIABLE,
    complete_addresses,
    email_argument,
    json_option,
    new_address,
    sequence_argument,
    sequence_named,
    variables_of,
    variables_option,
)
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.subscription import Subscription
    from drip.store.store import Store


@click.command("subscribe")
@sequence_argument
@email_argument
@click.option("--name", default="", help="The person's name.")
@variables_option("A variable of this subscription; K:=JSON for other than text.")
@click.option("--at", "started_at", type=MOMENT, help="When it starts, with an offset; default: now.")
@json_option
@pass_invocation
def subscribe_command(
    invocation: Invocation,
    sequence: str,
    email: str,
    name: str,
    variables: Sequence[tuple[str, Any]],
    started_at: datetime | None,
    as_json: bool,
) -> None:
    """Add a person to a sequence.

    Says whether they are new, there already (then nothing changes), or why not: suppressed, ended before, archived.

    \b
    Example:
      drip subscribe welcome ada@example.com --name Ada
      drip subscribe welcome ada@example.com --var plan=pro --var seats:=5
      drip subscribe welcome ada@example.com --at 2026-03-27T09:30:00+01:00
    """
    from drip.cli.output import write_json
    from drip.engine.objects import subscription_object
    from drip.engine.subscribe import Answer, Request, subscribe

    request = Request(new_address(email), name, variables_of(variables), started_at)
    with invocation.opened() as store:
        answered = subscribe(store, invocation.settings, sequence, request, invocation.now())
        assert answered.subscription_id is not None  # one request is answered with a row
        subscription = _subscription(store, answered.subscription_id)
    created = answered.answer is Answer.CREATED
    if as_json:
        write_json({"created": created, "subscription": subscription_object(subscription)})
    else:
        _say(invocation, subscription, "is subscribed to" if created else "was already in")


@click.command("pause")
@sequence_argument
@email_argument
@json_option
@pass_invocation
def pause_command(invocation: Invocation, sequence: str, email: str, as_json: bool) -> None:
    """Stop a person's clock.

    Nothing is sent until `drip resume`; then the rest of the wait goes on.

    \b
    Example:
      drip pause welcome ada@example.com
    """
    from drip.core.address import known_email
    from drip.engine.people import pause

    with invocation.opened() as store:
        changed = pause(store, sequence, known_email(email), invocation.now())
        _tell(
            invocation, store, sequence, email, "is paused in" if changed else "was already paused in", changed, as_json
        )


@click.command("resume")
@sequence_argument
@email_argument
@json_option
@pass_invocation
def resume_command(invocation: Invocation, sequence: str, email: str, as_json: bool) -> None:
    """Let a person's clock go on.

    What was left of the wait when they were paused begins now.

    \b
    Example:
      drip resume welcome ada@example.com
    """
    from drip.core.address import known_email
    from drip.engine.people import resume

    with invocation.opened() as store:
        changed = resume(store, invocation.settings, sequence, known_email(email), invocation.now())
        _tell(invocation, store, sequence, email, "goes on in" if changed else "was not paused in", changed, as_json)


@click.command("cancel")
@sequence_argument
@email_argument
@json_option
@pass_invocation
def cancel_command(invocation: Invocation, sequence: str, email: str, as_json: bool) -> None:
    """End a person's subscription.

    It is final: `subscribe` takes them again only where the sequence's `resubscribe` allows it.

    \b
    Example:
      drip cancel welcome ada@example.com
    """
    from drip.core.address import known_email
    from drip.engine.people import cancel

    with invocation.opened() as store:
        changed = cancel(store, sequence, known_email(email), invocation.now())
        words = "is cancelled in" if changed else "was already cancelled in"
        _tell(invocation, store, sequence, email, words, changed, as_json)


@click.command("set")
@sequence_argument
@email_argument
@click.argument("variables", metavar="K=V...", type=VARIABLE, nargs=-1, required=True)
@json_option
@pass_invocation
def set_command(
    invocation: Invocation, sequence: str, email: str, variables: Sequence[tuple[str, Any]], as_json: bool
) -> None:
    """Change a person's variables.

    They belong to this subscription and win over the contact's. K:=JSON sets other than text, K:=null removes one.
    What is sent from now on uses them; a new `timezone` moves what the person waits for.

    \b
    Example:
      drip set welcome ada@example.com plan=pro seats:=5
      drip set welcome ada@example.com coupon:=null
    """
    from drip.cli.output import clean, line, write_json
    from drip.core.address import known_email
    from drip.engine.objects import subscription_object
    from drip.engine.people import set_variables

    changes = variables_of(variables, keep_null=True)
    with invocation.opened() as store:
        now = set_variables(store, invocation.settings, sequence, known_email(email), changes, invocation.now())
        if as_json:
            write_json(subscription_object(_standing(store, sequence, email)))
            return
    for name, value in sorted(now.items()):
        line(clean(f"{name} = {value}"))


@click.command("retry")
@sequence_named("[SEQ]", required=False)
@click.argument("email", metavar="[EMAIL]", required=False, shell_complete=complete_addresses)
@json_option
@pass_invocation
def retry_command(invocation: Invocation, sequence: str | None, email: str | None, as_json: bool) -> None:
    """Make failed subscriptions active again.

    They go on from the step that failed, with all attempts; the next `drip run` sends it. Without SEQ, all that
    failed; with EMAIL, one person.

    \b
    Example:
      drip retry
      drip retry welcome
      drip retry welcome ada@example.com
    """
    from drip.cli.output import count, line, write_json
    from drip.core.address import known_email
    from drip.engine.people import retry

    if sequence is not None and email is None and "@" in sequence:
        sequence, email = None, sequence
    address = None if email is None else known_email(email)
    with invocation.opened() as store:
        revived = retry(store, invocation.settings, invocation.now(), slug=sequence, email=address)
    if as_json:
        write_json({"retried": revived})
    elif revived:
        line(f"{count(len(revived), 'subscription is', 'subscriptions are')} active again")
    else:
        line("nothing has failed")


def _tell(
    invocation: Invocation, store: Store, sequence: str, email: str, words: str, changed: bool, as_json: bool
) -> None:
    from drip.cli.output import write_json
    from drip.engine.objects import subscription_object

    subscription = _standing(store, sequence, email)
    if as_json:
        write_json({"changed": changed, "subscription": subscription_object(subscription)})
    else:
        _say(invocation, subscription, words)


def _standing(store: Store, sequence: str, email: str) -> Subscription:
    from drip.core.address import known_email
    from drip.engine.people import find_subscription

    return _subscription(store, find_subscription(store, sequence, known_email(email)).person.id)


def _subscription(store: Store, row_id: int) -> Subscription:
    subscription = store.overview.subscription(row_id)
    assert subscription is not None  # it was just found, and none is ever deleted but by `erase`
    return subscription


def _say(invocation: Invocation, subscription: Subscription, words: str) -> None:
    from drip.cli.output import clean, line
    from drip.core.subscription_words import what_is_next

    next_words = what_is_next(subscription, invocation.now(), invocation.zone)
    line(clean(f"{subscription.email} {words} {subscription.sequence_id}: {next_words}"))
