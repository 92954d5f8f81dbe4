"""`webhooks`: where events are posted, what was posted, and posting it again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import SHOWN, json_option, limit_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.webhooks import Answer
    from drip.engine.records import Backlog, Endpoint, WebhookDelivery

STATES = ("waiting", "delivered", "dead")


@click.group("webhooks")
def webhooks_command() -> None:
    """Look after webhooks: endpoints, and what was posted.

    Events are posted to the endpoints of drip.yaml and of the keys by `drip run`, signed as Standard Webhooks says.

    \b
    Example:
      drip webhooks list
      drip webhooks test
      drip webhooks deliveries --state dead
    """


@webhooks_command.command("list")
@json_option
@pass_invocation
def list_endpoints(invocation: Invocation, as_json: bool) -> None:
    """List the endpoints, with what waits for them.

    \b
    Example:
      drip webhooks list
      drip webhooks list --json
    """
    from drip.cli.output import note, show_table, write_json

    now = invocation.now()
    with invocation.opened() as store:
        found = [(endpoint, store.webhooks.backlog(endpoint.id)) for endpoint in store.endpoints.all()]
    if as_json:
        write_json([_endpoint_object(endpoint, backlog, now) for endpoint, backlog in found])
        return
    if not found:
        note("there is no endpoint: add `webhooks:` to drip.yaml, or `drip keys create NAME --webhook-url URL`")
        return
    show_table(
        ["id", "url", "of", "events", "state", ">waiting", ">dead"],
        [
            (
                *(endpoint.id, endpoint.url, endpoint.key_id or "drip.yaml", _events(endpoint)),
                *(_state_words(invocation, endpoint, now), backlog.waiting, backlog.dead),
            )
            for endpoint, backlog in found
        ],
    )


@webhooks_command.command("test")
@click.argument("endpoint", metavar="[ENDPOINT]", required=False)
@json_option
@click.pass_context
@pass_invocation
def test(invocation: Invocation, context: click.Context, endpoint: str | None, as_json: bool) -> None:
    """Post a signed test event now, and show the answer.

    ENDPOINT is a URL, an id or a key's id; without it all are tried. The event is `webhook.test`. A disabled endpoint
    that answers well is used again.

    \b
    Example:
      drip webhooks test
      drip webhooks test https://app.example.com/hooks/drip
    """
    from drip.cli.main import DONE, PARTLY, UNAVAILABLE
    from drip.cli.output import clean, line, note, paint, write_json
    from drip.engine.webhooks import find_endpoint

    with invocation.opened() as store:
        wanted = [find_endpoint(store, endpoint)] if endpoint is not None or not store.endpoints.all() else None
        tried = []
        for one in wanted or store.endpoints.all():
            answer = _post_test(invocation, one)
            enabled = answer.is_success and store.endpoints.enable(one.id)
            tried.append((one, answer))
            if not as_json:
                words = clean(" ".join(filter(None, (str(answer.status or "no answer"), answer.text))))
                line(f"{clean(one.url)}  {paint(words, 'green' if answer.is_success else 'red')}")
            if enabled:
                note(f"{one.url} is used again")
    if as_json:
        write_json([_answer_object(one, answer) for one, answer in tried])
    if all(answer.is_success for _, answer in tried):
        context.exit(DONE)
    context.exit(UNAVAILABLE if all(answer.status is None for _, answer in tried) else PARTLY)


@webhooks_command.command("deliveries")
@click.option("--state", type=click.Choice(STATES), help="Only those.")
@click.option("--endpoint", metavar="ENDPOINT", help="Only those to a URL, an id or a key's id.")
@limit_option
@json_option
@pass_invocation
def deliveries(
    invocation: Invocation, state: str | None, endpoint: str | None, limit: int | None, as_json: bool
) -> None:
    """List what was posted and what waits, newest first.

    With --json all of it, unless --limit is given.

    \b
    Example:
      drip webhooks deliveries
      drip webhooks deliveries --state dead --json
    """
    from drip.cli.output import moment, note, note_more, show_table, write_json
    from drip.core.webhooks import PostState
    from drip.engine.webhooks import find_endpoint

    with invocation.opened() as store:
        endpoint_id = find_endpoint(store, endpoint).id if endpoint is not None else None
        wanted = PostState(state) if state else None
        filters: dict[str, Any] = {"state": wanted, "endpoint_id": endpoint_id}
        found = store.webhooks.deliveries(**filters, limit=limit if as_json else limit or SHOWN)
        more = store.webhooks.count_deliveries(**filters) - len(found)
    if as_json:
        write_json([_delivery_object(one) for one in found])
        return
    if not found:
        note("nothing of that kind was posted" if state or endpoint else "nothing was posted yet, and nothing waits")
        return
    zone = invocation.zone
    show_table(
        [">id", "event", "event id", "to", "state", ">tries", "last try", "next try", "answer"],
        [
            (
                *(one.id, one.event, one.event_id, one.url, one.state.value, one.attempts),
                *(moment(one.last_attempt_at, zone), moment(one.next_attempt_at, zone)),
                " ".join(filter(None, (str(one.status or ""), one.answer))),
            )
            for one in found
        ],
    )
    note_more(more)


@webhooks_command.command("replay")
@click.argument("names", metavar="[DELIVERY]...", nargs=-1)
@click.option("--dead", "all_dead", is_flag=True, help="All that are dead.")
@json_option
@pass_invocation
def replay(invocation: Invocation, names: Sequence[str], all_dead: bool, as_json: bool) -> None:
    """Post again what was delivered or is dead.

    DELIVERY is a number of `drip webhooks deliveries`, or an event's id. The same id and the same octets are posted,
    by the next `drip run`.

    \b
    Example:
      drip webhooks replay 42
      drip webhooks replay --dead
    """
    from drip.cli.output import count, line, note, write_json
    from drip.engine.webhooks import replay
    from drip.errors import Invalid

    if not names and not all_dead:
        raise Invalid("say what is to be posted again", "`drip webhooks deliveries` lists it; --dead takes all dead")
    with invocation.opened() as store:
        found = replay(store, names, invocation.now(), all_dead=all_dead)
    if as_json:
        write_json([_delivery_object(one) for one in found])
    elif found:
        line(f"{count(len(found), 'delivery is', 'deliveries are')} due again: `drip run` posts")
    else:
        note("nothing is dead")


def _post_test(invocation: Invocation, endpoint: Endpoint) -> Answer:
    from contextlib import closing
    from secrets import token_hex

    from drip.core.moments import format_moment
    from drip.core.webhooks import event_body

    public_id = f"evt_test_{token_hex(12)}"
    app = endpoint.key_id or invocation.settings.project
    ts = format_moment(invocation.now())
    body = event_body("webhook.test", ts=ts, app=app, public_id=public_id, subject={}, extra={})
    with closing(invocation.project.poster()) as poster:
        return poster.post(endpoint, public_id, body)


def _events(endpoint: Endpoint) -> str:
    return "all" if endpoint.events is None else ", ".join(sorted(endpoint.events))


def _state(endpoint: Endpoint, now: datetime) -> str:
    if endpoint.disabled_at is not None:
        return "disabled"
    return "held" if endpoint.held_until is not None and endpoint.held_until > now else "active"


def _state_words(invocation: Invocation, endpoint: Endpoint, now: datetime) -> str:
    from drip.cli.output import moment

    match _state(endpoint, now):
        case "disabled":
            return f"disabled {moment(endpoint.disabled_at, invocation.zone)} (410)"
        case "held":
            return f"held until {moment(endpoint.held_until, invocation.zone)}"
        case state:
            return state


def _endpoint_object(endpoint: Endpoint, backlog: Backlog, now: datetime) -> dict[str, Any]:
    from drip.core.webhooks import masked_secret

    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "source": "file" if endpoint.key_id is None else "key",
        "key_id": endpoint.key_id,
        "events": None if endpoint.events is None else sorted(endpoint.events),
        "secret_masked": masked_secret(endpoint.secrets[0]),
        "state": _state(endpoint, now),
        "disabled_at": endpoint.disabled_at,
        "held_until": endpoint.held_until,
        "waiting": backlog.waiting,
        "dead": backlog.dead,
        "next_attempt_at": backlog.next_attempt_at,
    }


def _answer_object(endpoint: Endpoint, answer: Answer) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint.id,
        "url": endpoint.url,
        "ok": answer.is_success,
        "status": answer.status,
        "answer": answer.text,
    }


def _delivery_object(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "event": delivery.event,
        "endpoint_id": delivery.endpoint_id,
        "key_id": delivery.key_id,
        "url": delivery.url,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "last_attempt_at": delivery.last_attempt_at,
        "next_attempt_at": delivery.next_attempt_at,
        "status": delivery.status,
        "answer": delivery.answer,
    }
