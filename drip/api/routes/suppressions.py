"""Addresses that are never mailed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from drip.api import answers
from drip.api.context import Limit, Offset, api_of, created, errors, nothing, ok
from drip.api.models import SuppressionIn
from drip.api.paths import PERSON
from drip.api.quick import QuickRoute
from drip.core.moments import format_moment
from drip.core.subscription import SuppressionReason
from drip.engine.objects import JsonObject
from drip.engine.records import Suppression
from drip.engine.suppress import put_on_list, unsuppress
from drip.errors import NotFound

router = APIRouter(route_class=QuickRoute, prefix="/v1/suppressions", tags=["suppressions"])


@router.get("", response_model=answers.SuppressionPage, responses=errors())
async def list_suppressions(
    request: Request,
    reason: SuppressionReason | None = None,
    email: Annotated[str | None, Query(max_length=254, description="A part of the address.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """The list, newest first."""
    api, search = api_of(request), email.casefold() if email else None

    def work() -> JsonObject:
        suppressions = api.store.suppressions
        found = suppressions.list(reason=reason, search=search, limit=limit, offset=offset)
        total = suppressions.count(reason=reason, search=search)
        return {"total": total, "limit": limit, "offset": offset, "items": [suppression_object(one) for one in found]}

    return ok(await api.desk.read(work))


@router.post("", status_code=201, response_model=answers.Suppression, responses=errors(413))
async def make_suppression(request: Request, body: SuppressionIn) -> Response:
    """Never mail an address again; its live subscriptions are cancelled. A graver reason stays."""
    api = api_of(request)

    def work() -> JsonObject:
        put_on_list(api.store, body.email, body.reason, api.clock())
        kept = api.store.suppressions.get(body.email)
        assert kept is not None
        return suppression_object(kept)

    return created(await api.desk.write(work))


@router.delete(PERSON, status_code=204, response_model=None, responses=errors(404))
async def remove_suppression(request: Request, email: str) -> Response:
    """Allow an address again. What was cancelled stays so."""
    api = api_of(request)

    def work() -> None:
        if not unsuppress(api.store, email, api.clock()):
            raise NotFound("suppression", email)

    await api.desk.write(work)
    return nothing()


def suppression_object(suppressed: Suppression) -> JsonObject:
    """An entry of the list."""
    return {
        "email": suppressed.email,
        "reason": suppressed.reason.value,
        "code": suppressed.code,
        "added_at": format_moment(suppressed.added_at),
    }
