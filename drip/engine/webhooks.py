"""Webhooks as they are set, shown and replayed. Posting is elsewhere, and so is every secret but for a new one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from drip.core.networks import is_address, is_public
from drip.core.settings import Settings
from drip.core.webhooks import OLD_SECRET_LIVES, PostState, check_secret, new_secret
from drip.engine.ports import Store
from drip.engine.records import Endpoint, Key, WebhookDelivery
from drip.errors import FieldInvalid, Invalid, NotFound, Refused

LONGEST_URL = 2000


@dataclass(frozen=True, slots=True)
class SetWebhook:
    """A key's endpoint as it was just set."""

    endpoint: Endpoint
    new_secret: str | None = field(repr=False)
    """To be shown this once; None: no secret was made."""


def set_webhook(
    store: Store, settings: Settings, key: Key, now: datetime, *, url: str | None = None, secret: str | None = None
) -> SetWebhook:
    """Set or change a key's endpoint. A secret that is replaced goes on signing for a day.

    Args:
        url: None leaves it.
        secret: None leaves it, or makes one where there is none.

    Raises:
        Invalid: the URL or the secret can't be used.
        Refused: there is no endpoint yet, and no URL; or the key is revoked.
    """
    if key.revoked_at is not None:
        raise Refused("key_revoked", f"the key {key.id} is revoked")
    with store.transaction():
        before = store.endpoints.of_key(key.id)
        if url is not None:
            url = checked_url(url, settings)
        elif before is None:
            raise Refused("webhook_missing", f"the key {key.id} has no webhook yet", "give its URL")
        made = new_secret(secrets.token_bytes(32)) if secret is None and before is None else None
        kept = before.secrets[0] if before and secret is None else None
        store.endpoints.set(
            *(key.id, url or (before.url if before else ""), made or kept or _checked_secret(secret or ""), now),
            old_secret_until=now + OLD_SECRET_LIVES,
        )
        endpoint = store.endpoints.of_key(key.id)
    assert endpoint is not None  # it was just set
    return SetWebhook(endpoint, made)


def remove_webhook(store: Store, key: Key, now: datetime) -> bool:
    """Take a key's endpoint away, with what waits for it; False when it had none."""
    with store.transaction():
        return store.endpoints.remove(key.id, "the webhook was removed", now)


def checked_url(url: str, settings: Settings) -> str:
    """A URL that is not from drip.yaml: https and public, unless `webhooks_allow_private` is set.

    A name is not looked up here: what counts is the address that is connected to.

    Raises:
        FieldInvalid: it can't be used; the message says why.
    """
    hint = "write it as https://app.example.com/hooks"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or len(url) > LONGEST_URL or any(not c.isprintable() or c.isspace() for c in url):
        raise FieldInvalid("webhook_url", "the webhook's URL is not an http or https URL", hint)
    if parts.username is not None or parts.password is not None:
        raise FieldInvalid("webhook_url", "the webhook's URL has a login in it", "leave out what stands before the @")
    if settings.webhooks_allow_private:
        return url
    if parts.scheme != "https":
        raise FieldInvalid(
            "webhook_url",
            "the webhook's URL is not https",
            f"{hint}, or set `webhooks_allow_private: true` in drip.yaml",
        )
    host = (parts.hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost") or (is_address(host) and not is_public(host)):
        hint = "`webhooks_allow_private: true` in drip.yaml allows it; an endpoint in drip.yaml may be anywhere"
        raise FieldInvalid("webhook_url", "the webhook's URL is not public", hint)
    return url


def find_endpoint(store: Store, name: str | None) -> Endpoint:
    """An endpoint by its URL, its number or its key's id; None: the only one there is.

    Raises:
        NotFound: there is none such.
        Refused: several are meant.
    """
    endpoints = store.endpoints.all()
    found = [
        endpoint for endpoint in endpoints if name is None or name in (endpoint.url, endpoint.key_id, str(endpoint.id))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused("several_endpoints", "there are several endpoints", "name one by its id: `drip webhooks list`")
    if not endpoints:
        hint = "add `webhooks:` to drip.yaml, or `drip keys create NAME --webhook-url URL`"
        raise Invalid("there is no endpoint", hint) if name is None else NotFound("endpoint", name, hint=hint)
    raise NotFound("endpoint", name or "", [endpoint.url for endpoint in endpoints])


def replay(store: Store, names: Sequence[str], now: datetime, *, all_dead: bool = False) -> list[WebhookDelivery]:
    """Post again what ended, with the same id and octets; those that are due now because of it.

    Args:
        names: numbers of deliveries, or ids of events.
        all_dead: besides, every delivery that is dead and whose endpoint is in use.

    Raises:
        NotFound: there is no such delivery.
        Refused: a named one waits anyway, or its endpoint is gone.
    """
    with store.transaction():
        in_use = {endpoint.id: endpoint for endpoint in store.endpoints.all() if endpoint.disabled_at is None}
        wanted = {delivery.id: delivery for name in names for delivery in _named(store, name)}
        for delivery in wanted.values():
            _require_replayable(delivery, delivery.endpoint_id in in_use)
        if all_dead:
            dead = store.webhooks.deliveries(state=PostState.DEAD, limit=None)
            wanted |= {delivery.id: delivery for delivery in dead if delivery.endpoint_id in in_use}
        store.webhooks.replay(list(wanted), now)
        return [found for found in map(store.webhooks.get, wanted) if found is not None]


def _named(store: Store, name: str) -> list[WebhookDelivery]:
    if name.isascii() and name.isdigit():
        one = store.webhooks.get(int(name[:18]))
        found = [] if one is None else [one]
    else:
        found = store.webhooks.of_event(name)
    if not found:
        raise NotFound("webhook delivery", name, hint="`drip webhooks deliveries` lists them")
    return found


def _require_replayable(delivery: WebhookDelivery, in_use: bool) -> None:
    if delivery.state is PostState.WAITING:
        raise Refused("already_exists", f"delivery {delivery.id} waits to be posted anyway")
    if not in_use:
        hint = "`drip webhooks test` takes a disabled endpoint into use again, when it answers"
        raise Refused("endpoint_disabled", f"the endpoint of delivery {delivery.id} is not in use", hint)


def _checked_secret(secret: str) -> str:
    try:
        return check_secret(secret)
    except ValueError as error:
        raise FieldInvalid(
            "webhook_secret", str(error), "`openssl rand -base64 32` makes one; put whsec_ before it"
        ) from None
