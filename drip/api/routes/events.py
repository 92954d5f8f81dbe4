"""Events, for those who would rather poll than be called."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from drip.api import answers
from drip.api.context import Limit, api_of, errors, key_of, ok
from drip.core.event_ids import event_number
from drip.engine.objects import JsonObject
from drip.engine.records import PUBLIC_EVENTS, EventType
from drip.errors import FieldInvalid

router = APIRouter(prefix="/v1/events", tags=["events"])

_NAMES = sorted(kind.value for kind in PUBLIC_EVENTS)
_ONE = "(" + "|".join(name.replace(".", "[.]") for name in _NAMES) + ")"
_LIST = f"^({_ONE}(,{_ONE}){{0,9}})?$"


@router.get("", response_model=list[answers.Event], responses=errors())
async def list_events(
    request: Request,
    after: Annotated[
        str,
        Query(
            description="The id of the last event seen.",
            pattern="^(evt_[0-9A-HJKMNP-TV-Z]{10}000[0-7][0-9A-HJKMNP-TV-Z]{12})?$",
        ),
    ] = "",
    types: Annotated[str, Query(description="Names, with commas between; all if left out.", pattern=_LIST)] = "",
    limit: Limit = 100,
) -> Response:
    """What happened after an event, oldest first, as webhooks would tell it."""
    api, key_id = api_of(request), key_of(request)
    number = _number(after)
    kinds = [EventType(name) for name in types.split(",") if name] or sorted(PUBLIC_EVENTS)

    def work() -> list[JsonObject]:
        found = api.store.events.after(number, kinds, limit)
        return [json.loads(body) for body in api.store.webhooks.told(found, key_id)]

    return ok(await api.desk.read(work))


def _number(after: str) -> int:
    number = event_number(after) if after else 0
    if number is None:
        raise FieldInvalid("after", "it is not the id of an event")
    return number
