"""A key's own webhook and label. A key sees and changes itself alone: one that leaks does not redirect the others."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from drip.api import answers
from drip.api.context import Api, api_of, errors, key_of, nothing, ok
from drip.api.models import KeyPatch
from drip.api.quick import QuickRoute
from drip.core.webhooks import masked_secret
from drip.engine.keys import find_key, rename_key
from drip.engine.objects import JsonObject
from drip.engine.records import Key
from drip.engine.webhooks import remove_webhook, set_webhook
from drip.errors import NotFound

router = APIRouter(route_class=QuickRoute, prefix="/v1/client/keys/{key_id}", tags=["keys"])


@router.get("/webhook", response_model=answers.Webhook, responses=errors(404))
async def get_webhook(request: Request, key_id: str) -> Response:
    """Where events are posted for this key."""
    api, own = api_of(request), _own(request, key_id)
    return ok(await api.desk.read(lambda: _webhook(api, own)))


@router.patch("", response_model=answers.KeyWithWebhook, responses=errors(404, 409, 413))
async def change_key(request: Request, key_id: str, body: KeyPatch) -> Response:
    """Set the webhook or the label of this key; a URL of null takes the webhook away.

    A secret is made when none is given, and shown in that answer only. One that is replaced goes on signing for a day.
    """
    api, own = api_of(request), _own(request, key_id)

    def work() -> JsonObject:
        now, key, made = api.clock(), find_key(api.store, own), None
        if body.label is not None:
            rename_key(api.store, key, body.label)
        if "webhook_url" in body.model_fields_set and body.webhook_url is None:
            remove_webhook(api.store, key, now)
        elif body.webhook_url is not None or body.webhook_secret is not None:
            done = set_webhook(api.store, api.settings, key, now, url=body.webhook_url, secret=body.webhook_secret)
            made = done.new_secret
        return _shown(api, find_key(api.store, own), made)

    return ok(await api.desk.write(work))


@router.delete("/webhook", status_code=204, response_model=None, responses=errors(404))
async def delete_webhook(request: Request, key_id: str) -> Response:
    """Post nothing more for this key, and forget what waits."""
    api, own = api_of(request), _own(request, key_id)
    await api.desk.write(lambda: remove_webhook(api.store, find_key(api.store, own), api.clock()))
    return nothing()


def _own(request: Request, key_id: str) -> str:
    """The key's id, when it is the one that asks."""
    if key_id != key_of(request):
        raise NotFound("key", key_id[:100], hint="a key sees itself alone")
    return key_id


def _webhook(api: Api, key_id: str) -> JsonObject:
    endpoint = api.store.endpoints.of_key(key_id)
    return {
        "webhook_url": endpoint and endpoint.url,
        "secret_set": endpoint is not None,
        "secret_masked": endpoint and masked_secret(endpoint.secrets[0]),
    }


def _shown(api: Api, key: Key, made: str | None) -> JsonObject:
    secret = {"webhook_secret": made} if made else {}
    return {"id": key.id, "label": key.name, **_webhook(api, key.id), **secret}
