"""`keys`: who may use the API. A key is shown when it is made, and never again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import json_option, yes_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.records import Endpoint, Key


@click.group("keys")
def keys_command() -> None:
    """Make, list and revoke API keys.

    A program needs one to use the API of `drip run --http` and `drip serve`. Only its hash is kept.

    \b
    Example:
      drip keys create my-app
      drip keys list
    """


@keys_command.command("create")
@click.argument("name", metavar="NAME")
@click.option("--webhook-url", metavar="URL", help="Post every event there, signed.")
@json_option
@pass_invocation
def create(invocation: Invocation, name: str, webhook_url: str | None, as_json: bool) -> None:
    """Make a key; it is shown this once.

    With --webhook-url events are posted there from now on; the secret that their signatures are checked with is shown
    this once too.

    \b
    Example:
      drip keys create my-app
      drip keys create my-app --webhook-url https://app.example.com/hooks/drip
    """
    from drip.cli.output import note, show_fields, write_json
    from drip.engine.keys import create_key
    from drip.engine.webhooks import set_webhook

    now, endpoint, secret = invocation.now(), None, None
    with invocation.opened() as store, store.transaction():
        made = create_key(store, name, now)
        if webhook_url is not None:
            done = set_webhook(store, invocation.settings, made.key, now, url=webhook_url)
            endpoint, secret = done.endpoint, done.new_secret
    if as_json:
        shown = {"key": made.secret} | ({"webhook_secret": secret} if secret else {})
        write_json({**_object(made.key, endpoint), **shown})
        return
    fields = [("key", made.secret), ("id", made.key.id), ("name", made.key.name)]
    if endpoint is not None:
        fields += [("webhook", endpoint.url), ("secret", secret or "")]
    show_fields(fields)
    note("keep it now: it is not shown again")


@keys_command.command("list")
@json_option
@pass_invocation
def list_keys(invocation: Invocation, as_json: bool) -> None:
    """List the keys, by how they begin.

    Revoked ones are kept, as objects and webhooks name them.

    \b
    Example:
      drip keys list
      drip keys list --json
    """
    from drip.cli.output import moment, note, show_table, write_json

    with invocation.reading() as store:
        keys = [(key, store.endpoints.of_key(key.id)) for key in store.keys.all()]
    if as_json:
        write_json([_object(key, endpoint) for key, endpoint in keys])
        return
    if not keys:
        note("there is no key: `drip keys create NAME` makes one")
        return
    zone = invocation.zone
    show_table(
        ["id", "name", "begins with", "made", "last used", "webhook", "revoked"],
        [
            (
                *(key.id, key.name, f"{key.prefix}…", moment(key.created_at, zone)),
                moment(key.last_used_at, zone) or "never",
                endpoint.url if endpoint else None,
                moment(key.revoked_at, zone),
            )
            for key, endpoint in keys
        ],
    )


@keys_command.command("revoke")
@click.argument("key", metavar="KEY")
@yes_option
@json_option
@pass_invocation
def revoke(invocation: Invocation, key: str, yes: bool, as_json: bool) -> None:
    """Refuse a key from now on; its webhook gets nothing more.

    KEY is its id, or its name where only one has it.

    \b
    Example:
      drip keys revoke key_3f9c2b7a1d5e8046
    """
    from drip.cli.output import can_ask, clean, confirm, line, note, write_json
    from drip.engine.keys import find_key, revoke_key
    from drip.errors import Refused

    with invocation.opened() as store:
        found = find_key(store, key)
        if found.revoked_at is None and not yes and can_ask() and not confirm(f"Revoke {found.name} ({found.id})?"):
            raise Refused("not_confirmed", "nothing was changed")
        _, revoked = revoke_key(store, found.id, invocation.now())
        found = find_key(store, found.id)
    if as_json:
        write_json({"revoked": revoked, **_object(found, None)})
    elif revoked:
        line(clean(f"{found.name} ({found.id}) is revoked"))
    else:
        note(f"{found.name} ({found.id}) was revoked before")


def _object(key: Key, endpoint: Endpoint | None) -> dict[str, Any]:
    from drip.core.webhooks import masked_secret

    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
        "webhook_url": endpoint.url if endpoint else None,
        "secret_masked": masked_secret(endpoint.secrets[0]) if endpoint else None,
    }
