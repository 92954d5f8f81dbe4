"""`subscribers` and `subscriber`: who is where, and one person's past and future."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import (
    SHOWN,
    email_argument,
    json_option,
    limit_option,
    sequence_argument,
    sequence_named,
)
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.subscription import Subscription
    from drip.engine.outlook import Coming
    from drip.store.store import Store

STATUSES = ("active", "paused", "completed", "cancelled", "failed")
PAGE = 1000
CSV_COLUMNS = (
    "id", "sequence_id", "email", "name", "status", "started_at", "current_step", "next_step", "next_send_at",
    "last_sent_at", "cancel_reason", "variables_json",
)  # fmt: skip


@click.command("subscribers")
@sequence_named("[SEQ]", required=False)
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@click.option("--search", metavar="Q", help="Only those with that in their address or name.")
@limit_option
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout.")
@json_option
@pass_invocation
def subscribers_command(
    invocation: Invocation,
    sequence: str | None,
    status: str | None,
    search: str | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List who is where, what is next and when.

    Newest first. With --csv and --json all of them, unless --limit is given. In CSV, a cell that a spreadsheet would
    take for a formula gets a ' in front.

    \b
    Example:
      drip subscribers welcome --status failed
      drip subscribers --search ada --json
    """
    from drip.cli.output import note, note_more, write_json_array
    from drip.core.subscription import SubscriptionStatus
    from drip.engine.objects import subscription_object
    from drip.engine.subscribe import find_sequence
    from drip.errors import Invalid

    if as_csv and as_json:
        raise Invalid("--csv and --json exclude each other")
    with invocation.reading() as store:
        filters: dict[str, Any] = {
            "sequence_id": find_sequence(store, sequence).id if sequence else None,
            "status": SubscriptionStatus(status) if status else None,
            "search": search,
        }
        if as_json:
            write_json_array(subscription_object(one) for one in _pages(store, filters, limit))
        elif as_csv:
            _write_csv(_pages(store, filters, limit))
        else:
            shown = list(_pages(store, filters, limit or SHOWN))
            _show_list(invocation, shown)
            total = store.overview.count_subscribers(**filters)
            note_more(total - len(shown))
            if not total:
                nobody = "nobody is subscribed yet: `drip subscribe SEQ EMAIL`, or `drip import`"
                note("there is nobody like that" if any(filters.values()) else nobody)


@click.command("subscriber")
@sequence_argument
@email_argument
@json_option
@pass_invocation
def subscriber_command(invocation: Invocation, sequence: str, email: str, as_json: bool) -> None:
    """Show one person: what was, and what is to come.

    Their state and variables, everything that was sent, skipped or deferred with its reason, and the steps to come
    with times in the person's zone.

    \b
    Example:
      drip subscriber welcome ada@example.com
    """
    from drip.cli.output import write_json
    from drip.core.address import known_email
    from drip.core.schedule import subscriber_zone
    from drip.engine.objects import subscription_object
    from drip.engine.outlook import outlook
    from drip.engine.people import find_subscription

    with invocation.reading() as store:
        found = find_subscription(store, sequence, known_email(email))
        person = found.person
        subscription = store.overview.subscription(person.id)
        assert subscription is not None  # it was just found
        handled = store.subscriptions.handled([person.id])[person.id]
        coming = outlook(found.stored, person, handled, invocation.now(), invocation.zone)
        past = _timeline(store, person.id)
    local = subscriber_zone(person.timezone, found.stored.sequence, invocation.zone)
    if as_json:
        write_json({**subscription_object(subscription), "timeline": past, "upcoming": _coming_objects(coming)})
        return
    _show_person(invocation, subscription)
    _show_past(past, local)
    _show_coming(subscription, coming, local)


def _pages(store: Store, filters: Mapping[str, Any], limit: int | None) -> Iterator[Subscription]:
    """Newest first, read in pages."""
    given, before = 0, None
    while limit is None or given < limit:
        wanted = PAGE if limit is None else min(PAGE, limit - given)
        page = store.overview.subscribers(**filters, before=before, limit=wanted)
        yield from page
        given += len(page)
        if len(page) < wanted:
            return
        before = page[-1].id


def _show_list(invocation: Invocation, subscriptions: list[Subscription]) -> None:
    from drip.cli.output import moment, show_table
    from drip.core.subscription_words import hold_words

    rows = [
        (
            one.email,
            one.name,
            one.sequence_id,
            one.status.value + (f" ({one.cancel_reason})" if one.cancel_reason else ""),
            one.next_step,
            moment(one.next_send_at, invocation.zone) or hold_words(one),
        )
        for one in subscriptions
    ]
    if rows:
        show_table(["email", "name", "sequence", "status", "next step", "at"], rows)


def _write_csv(subscriptions: Iterator[Subscription]) -> None:
    from drip.cli.output import line
    from drip.cli.people.csv_cells import csv_row
    from drip.engine.objects import subscription_object

    line(",".join(CSV_COLUMNS))
    for subscription in subscriptions:
        values = subscription_object(subscription)
        line(csv_row(values[column] for column in CSV_COLUMNS))


def _timeline(store: Store, subscription_id: int) -> list[dict[str, Any]]:
    """What happened, oldest first: the events, with what their delivery knows, and the number `why` takes."""
    deliveries = {delivery.step: delivery for delivery in store.deliveries.of_subscription(subscription_id)}
    found = []
    for entry in store.events.entries(subscription_id=subscription_id, limit=10_000, newest=True):
        item = {"at": entry.at, "event": entry.type, "step": entry.step, **entry.data}
        delivery = deliveries.get(entry.step or "")
        if delivery is not None and entry.type == "sequence.step.sent":
            item |= {"revision": delivery.revision, "attempts": delivery.attempts, "answer": delivery.answer}
        if delivery is not None:
            item["delivery"] = delivery.id
        found.append(item)
    return found


def _coming_objects(coming: list[Coming]) -> list[dict[str, Any]]:
    return [{"step": one.step.key, "at": one.at, "when": one.step.when} for one in coming]


def _show_person(invocation: Invocation, subscription: Subscription) -> None:
    from drip.cli.output import moment, show_fields
    from drip.core.subscription_words import what_is_next

    now, zone = invocation.now(), invocation.zone
    variables = ", ".join(f"{name}={value}" for name, value in sorted(subscription.variables.items()))
    show_fields(
        [
            ("email", subscription.email),
            ("name", subscription.name),
            ("sequence", subscription.sequence_id),
            ("status", subscription.status.value),
            ("next", what_is_next(subscription, now, zone)),
            ("started", moment(subscription.started_at, zone)),
            ("last sent", moment(subscription.last_sent_at, zone)),
            ("attempts", subscription.retry_count or ""),
            ("variables", variables),
        ]
    )


def _show_past(past: list[dict[str, Any]], local: Any) -> None:
    from drip.cli.output import line, moment, show_table
    from drip.core.log_words import data_words, short

    if past:
        line(f"\nwas ({local.key})")
        rows = [(moment(item["at"], local), short(item["event"]), item["step"], data_words(item)) for item in past]
        show_table(["at", "what", "step", ""], rows)


def _show_coming(subscription: Subscription, coming: list[Coming], local: Any) -> None:
    from drip.cli.output import line, moment, show_table

    if coming:
        line(f"\nto come ({local.key})")
        unknown = "paused" if subscription.paused_at else "later"
        rows = [
            (moment(one.at, local) or unknown, one.step.key, f"if {one.step.when}" if one.step.when else "")
            for one in coming
        ]
        show_table(["at", "step", ""], rows)
