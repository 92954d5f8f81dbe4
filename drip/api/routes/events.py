"""Events, for those who would rather poll than be called."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import WithJsonSchema

from drip.api import answers
from drip.api.context import Limit, api_of, errors, key_of, ok
from drip.core.event_ids import event_number
from drip.core.events import PUBLIC_EVENTS, EventType
from drip.engine.objects import JsonObject
from drip.errors import FieldInvalid, did_you_mean

router = APIRouter(prefix="/v1/events", tags=["events"])

_NAMES = sorted(kind.value for kind in PUBLIC_EVENTS)
_ONE = "(" + "|".join(name.replace(".", "[.]") for name in _NAMES) + ")"
_LIST = f"^({_ONE}(,{_ONE}){{0,9}})?$"


_NEXT = {
    "headers": {
        "Link": {
            "description": 'The events after these, as `<…>; rel="next"`; left out where there is room for more.',
            "schema": {"type": "string"},
        }
    }
}


@router.get("", response_model=list[answers.Event], responses={200: _NEXT, **errors()})
async def list_events(
    request: Request,
    after: Annotated[
        str,
        Query(description="The id of the last event seen."),
        WithJsonSchema({"type": "string", "pattern": "^(evt_[0-9A-HJKMNP-TV-Z]{10}000[0-7][0-9A-HJKMNP-TV-Z]{12})?$"}),
    ] = "",
    types: Annotated[
        str,
        Query(description="Names, with commas between; all if left out."),
        WithJsonSchema({"type": "string", "pattern": _LIST}),
    ] = "",
    limit: Limit = 100,
) -> Response:
    """What happened after an event, oldest first, as webhooks would tell it."""
    api, key_id = api_of(request), key_of(request)
    number = _number(after)
    kinds = _kinds(types) or sorted(PUBLIC_EVENTS)

    def work() -> list[JsonObject]:
        found = api.store.events.after(number, kinds, limit)
        return [json.loads(body) for body in api.store.webhooks.told(found, key_id)]

    events = await api.desk.read(work)
    if len(events) < limit:
        return ok(events)
    url = request.url.include_query_params(after=events[-1]["id"])
    return JSONResponse(events, headers={"Link": f'<{url}>; rel="next"'})


def _kinds(types: str) -> list[EventType]:
    found = []
    for name in types.split(",") if types else ():
        if name not in _NAMES:
            raise FieldInvalid("types", f"there is no event {name[:100]!r}", did_you_mean(name[:100], _NAMES))
        found.append(EventType(name))
    return found


def _number(after: str) -> int:
    number = event_number(after) if after else 0
    if number is None:
        raise FieldInvalid(
            "after", f"{after[:100]!r} is not the id of an event", "it is evt_ and 26 letters and digits"
        )
    return number
