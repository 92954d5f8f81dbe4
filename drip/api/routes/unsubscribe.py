"""The link in every message. A GET shows a page and does nothing: scanners open links. A POST does what it says.

One-click is RFC 8058: a POST with `List-Unsubscribe=One-Click`, without a cookie, answered without a redirect. A POST
whose body says nothing that is known is taken as one: whoever posts to this link wants out, and must not be argued
with. Every token that is not right gets the same page.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.exceptions import HTTPException

from drip.api.context import Api, Responses, api_of
from drip.api.errors import ApiError
from drip.api.pages.render import render_missing, render_page
from drip.core.settings import UnsubscribeScope
from drip.engine.unsubscribe import Holder, opt_out, read_holder, undo

router = APIRouter(prefix="/u", tags=["unsubscribe"])

Token = Annotated[str, Path(description="From the message; it names a subscription and can't be guessed.")]
_PAGE = {"content": {"text/html": {"schema": {"type": "string"}}}}
_ANSWERS: Responses = {
    200: {**_PAGE, "description": "The page, or nothing for one-click"},
    404: {**_PAGE, "description": "No such link"},
}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {
            "List-Unsubscribe": {"type": "string", "enum": ["One-Click"]},
            "scope": {"type": "string", "enum": ["sequence", "all"]},
            "action": {"type": "string", "enum": ["undo"]},
        },
    }
}
_BODY = {"requestBody": {"content": {"application/x-www-form-urlencoded": _FORM, "multipart/form-data": _FORM}}}


@router.get("/{token}", response_class=Response, responses=_ANSWERS)
@router.head("/{token}", response_class=Response, responses=_ANSWERS, include_in_schema=False)
async def show_unsubscribe(request: Request, token: Token) -> Response:
    """A page to leave with. Opening it changes nothing."""
    api = api_of(request)
    holder = await api.desk.read(lambda: read_holder(api.store, api.settings, token))
    return _missing(request) if holder is None else _page(api, request, holder)


@router.post("/{token}", response_class=Response, responses=_ANSWERS, openapi_extra=_BODY)
async def unsubscribe(request: Request, token: Token) -> Response:
    """Leave: at one click (RFC 8058), or by the page's form."""
    api = api_of(request)
    fields = await _fields(request)
    scope, wants_undo = _scope(fields.get("scope")), fields.get("action") == "undo"
    one_click = scope is None and not wants_undo

    def work() -> tuple[Holder | None, bool]:
        holder, undone = read_holder(api.store, api.settings, token), False
        if holder is None:
            return None, False
        if wants_undo:
            undone = undo(api.store, api.settings, holder, api.clock())
        elif scope is not None or one_click:
            opt_out(api.store, holder, scope or api.settings.unsubscribe_scope, api.clock())
        return read_holder(api.store, api.settings, token), undone

    after, undone = await api.desk.write(work)
    if after is None:
        return _missing(request)
    if one_click:
        return Response(status_code=200, headers={"Cache-Control": "no-store"})
    return _page(api, request, after, undone=undone)


async def _fields(request: Request) -> dict[str, str]:
    """The fields of the form; empty when there is none, or it can't be read."""
    try:
        async with request.form(max_files=0, max_fields=10) as form:
            return {name: value for name, value in form.items() if isinstance(value, str)}
    except ApiError:
        raise
    except HTTPException:
        return {}


def _scope(text: str | None) -> UnsubscribeScope | None:
    return UnsubscribeScope(text) if text in ("all", "sequence") else None


def _page(api: Api, request: Request, holder: Holder, *, undone: bool = False) -> Response:
    language = request.headers.get("accept-language", "")
    return render_page(holder, language, undone=undone, may_undo=holder.may_undo(api.clock()))


def _missing(request: Request) -> Response:
    return render_missing(request.headers.get("accept-language", ""))
