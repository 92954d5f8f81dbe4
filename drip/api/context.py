"""What every handler needs: the project's parts, the desk, and who asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse

from drip.api.answers import ErrorAnswer
from drip.api.desk import Desk
from drip.api.models import LARGEST_ID
from drip.core.settings import Settings
from drip.store.store import Store

Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
Offset = Annotated[int, Query(ge=0, le=LARGEST_ID, description="Leave out so many.")]
Responses = dict[int | str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Api:
    """The parts that handlers work with."""

    settings: Settings
    store: Store
    desk: Desk
    clock: Callable[[], datetime]
    worker_silence: Callable[[], float] | None
    """Seconds since the worker of this process showed that it is alive; None: there is no worker in it."""


def api_of(request: Request) -> Api:
    """The parts of the app that a request came to."""
    api: Api = request.app.state.api
    return api


def key_of(request: Request) -> str:
    """The id of the key that a request came with."""
    key_id: str = request.state.key_id
    return key_id


class Json(JSONResponse):
    """JSON, by an encoder that is made once."""

    def render(self, content: Any) -> bytes:
        """As octets."""
        return _encode(content).encode()


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def created(content: Any) -> Response:
    """201 with a JSON body."""
    return Json(content, 201)


def ok(content: Any) -> Response:
    """200 with a JSON body."""
    return Json(content)


def nothing() -> Response:
    """204."""
    return Response(status_code=204)


def page(request: Request, items: list[Any], total: int, limit: int, offset: int) -> Response:
    """A bare array, with how many there are in all and where the next page is."""
    headers = {"X-Total-Count": str(total)}
    if offset + limit < total:
        url = request.url.include_query_params(limit=limit, offset=offset + limit)
        headers["Link"] = f'<{url}>; rel="next"'
    return JSONResponse(items, headers=headers)


def errors(*statuses: int) -> Responses:
    """The errors of an operation for `/openapi.json`: these, and those that every one below /v1 may give."""
    return {status: {"model": ErrorAnswer} for status in sorted({*statuses, 400, 401, 422, 429, 500, 503})}


PAGED: Mapping[str, Any] = {
    "headers": {
        "X-Total-Count": {"description": "How many there are in all.", "schema": {"type": "integer"}, "required": True},
        "Link": {
            "description": 'The next page, as `<…>; rel="next"`; left out on the last.',
            "schema": {"type": "string"},
        },
    }
}
"""The headers of a list."""
