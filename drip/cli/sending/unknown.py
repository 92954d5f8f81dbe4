"""`unknown` and `resolve`: deliveries whose fate nobody knows, until a person says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drip.cli.arguments import Whole, json_option
from drip.cli.invocation import Invocation, pass_invocation
from drip.errors import Invalid

if TYPE_CHECKING:
    from drip.engine.records import Person
    from drip.store.store import Store


@click.command("unknown")
@json_option
@pass_invocation
def unknown_command(invocation: Invocation, as_json: bool) -> None:
    """List deliveries whose fate is not known.

    The process died, or the connection was lost, between the last octet and the server's answer. Practically all of
    them were sent. They are never sent again by themselves: look into the server's log, then `drip resolve`.

    \b
    Example:
      drip unknown
      drip unknown --json | jq '.[].id'
    """
    from drip.cli.output import line, moment, note, show_table, write_json
    from drip.engine.objects import delivery_object

    with invocation.reading() as store:
        found = store.deliveries.unknown()
    if as_json:
        write_json([delivery_object(delivery) for delivery in found])
        return
    if not found:
        line("the fate of every delivery is known")
        return
    rows = [(one.id, one.sequence, one.step, one.email, one.reason, moment(one.at, invocation.zone)) for one in found]
    show_table([">delivery", "sequence", "step", "email", "why", "at"], rows)
    note("`drip resolve DELIVERY --sent` or `--not-sent` settles one, `--all` all of them")


@click.command("resolve")
@click.argument("deliveries", metavar="DELIVERY...", type=Whole(1), nargs=-1)
@click.option("--sent", is_flag=True, help="It was sent.")
@click.option("--not-sent", is_flag=True, help="It was not sent. One of the two is needed.")
@click.option("--all", "everything", is_flag=True, help="All that `drip unknown` lists.")
@click.option("--restored", is_flag=True, help="Instead: the database went back in time. With --hold or --go-on.")
@click.option("--hold/--go-on", "hold", default=None, help="Whether what was due in the gap is held, or sent.")
@json_option
@click.pass_context
@pass_invocation
def resolve_command(
    invocation: Invocation,
    context: click.Context,
    deliveries: tuple[int, ...],
    sent: bool,
    not_sent: bool,
    everything: bool,
    restored: bool,
    hold: bool | None,
    as_json: bool,
) -> None:
    """Settle deliveries whose fate is not known.

    --sent: the person goes on with the next step. --not-sent: the step is due again now; if the server did take the
    first one, they get it twice, with the same Message-ID. --restored goes on with a database that was restored from a
    backup: --hold makes all that was due since an unknown delivery, --go-on sends it.

    \b
    Example:
      drip resolve 17 --sent
      drip resolve --all --not-sent
      drip resolve --restored --hold
    """
    if restored or hold is not None:
        if hold is None or not restored or deliveries or everything or sent or not_sent:
            raise Invalid("--restored goes with --hold or --go-on, and nothing else")
        _accept_restored(invocation, hold, as_json)
        return
    if sent == not_sent:
        raise Invalid("say what became of it", "`--sent` or `--not-sent`, one of them")
    _settle(invocation, context, deliveries, sent, everything, as_json)


def _accept_restored(invocation: Invocation, hold: bool, as_json: bool) -> None:
    from drip.cli.output import count, line, note, write_json
    from drip.engine.restore import accept_restored

    with invocation.opened() as store:
        held = accept_restored(store, invocation.project.high_water, hold=hold, now=invocation.now())
    if as_json:
        write_json({"held": held})
        return
    line(f"{count(held, 'person is', 'people are')} held" if hold else "it goes on as the database says")
    if held:
        note("`drip unknown` lists them")


def _settle(
    invocation: Invocation,
    context: click.Context,
    deliveries: tuple[int, ...],
    sent: bool,
    everything: bool,
    as_json: bool,
) -> None:
    from drip.cli.output import clean, complain, line, write_json
    from drip.engine.people import resolve
    from drip.errors import DripError

    if bool(deliveries) == everything:
        raise Invalid("say which", "ids from `drip unknown`, or --all")
    done, failures = [], []
    with invocation.opened() as store:
        wanted = [one.id for one in store.deliveries.unknown()] if everything else list(dict.fromkeys(deliveries))
        for delivery_id in wanted:
            try:
                person = resolve(store, invocation.settings, delivery_id, sent=sent, now=invocation.now())
                done.append(delivery_id)
                if not as_json:
                    words = _what_follows(invocation, store, person)
                    line(clean(f"delivery {delivery_id} is settled: {'sent' if sent else 'not sent'}; {words}"))
            except DripError as error:
                failures.append((delivery_id, error))
    if as_json:
        refused = [{"id": delivery_id, "message": error.message} for delivery_id, error in failures]
        write_json({"resolved": done, "refused": refused})
    elif not wanted:
        line("the fate of every delivery is known")
    if failures:
        from drip.cli.main import exit_code

        for _, failure in failures:
            complain(failure.message, failure.hint)
        context.exit(max(exit_code(failure) for _, failure in failures))


def _what_follows(invocation: Invocation, store: Store, person: Person) -> str:
    """`ada@example.com: tips, due now`: the step may be gone since, and the person paused or cancelled."""
    from drip.core.subscription_words import what_is_next

    subscription = store.overview.subscription(person.id)
    assert subscription is not None  # its delivery was just settled
    return f"{subscription.email}: {what_is_next(subscription, invocation.now(), invocation.zone)}"
