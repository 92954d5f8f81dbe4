"""People by themselves, whatever sequences they are in."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from drip.api import answers
from drip.api.context import PAGED, Limit, Offset, api_of, created, errors, nothing, ok, page
from drip.api.models import ContactIn, ContactPatch
from drip.api.paths import PERSON
from drip.api.quick import QuickRoute
from drip.core.subscription import ContactStatus
from drip.engine.contact_book import edit_contact, erase_contact, find_contact, keep_contact
from drip.engine.objects import contact_object
from drip.engine.records import Contact

logger = logging.getLogger("drip.api")
router = APIRouter(route_class=QuickRoute, prefix="/v1/bulk/contacts", tags=["contacts"])


@router.get("", response_model=list[answers.Contact], responses={200: dict(PAGED), **errors()})
async def list_contacts(
    request: Request,
    status: ContactStatus | None = None,
    q: Annotated[str | None, Query(max_length=254, description="A part of the address.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """All contacts, newest first."""
    api, search = api_of(request), q.casefold() if q else None

    def work() -> tuple[list[Contact], int]:
        contacts = api.store.contacts
        found = contacts.page(status=status, search=search, limit=limit, offset=offset)
        return found, contacts.count(status=status, search=search)

    found, total = await api.desk.read(work)
    return page(request, [contact_object(one) for one in found], total, limit, offset)


@router.post("", status_code=201, response_model=answers.Contact, responses=errors(413))
async def make_contact(request: Request, body: ContactIn) -> Response:
    """Make a contact, or change the one with that address."""
    api = api_of(request)
    kept = await api.desk.write(
        lambda: keep_contact(api.store, api.settings, body.email, body.name, body.metadata or {}, api.clock())
    )
    return created(contact_object(kept))


@router.get(PERSON, response_model=answers.Contact, responses=errors(404))
async def get_contact(request: Request, email: str) -> Response:
    """One contact."""
    api = api_of(request)
    return ok(contact_object(await api.desk.read(lambda: find_contact(api.store, email))))


@router.patch(PERSON, response_model=answers.Contact, responses=errors(404, 413))
async def change_contact(request: Request, email: str, body: ContactPatch) -> Response:
    """Change a contact; metadata are merged, null removes one."""
    api = api_of(request)
    name = "" if "name" in body.model_fields_set and body.name is None else body.name
    changed = await api.desk.write(
        lambda: edit_contact(api.store, api.settings, email, name, body.metadata or {}, api.clock())
    )
    return ok(contact_object(changed))


@router.delete(PERSON, status_code=204, response_model=None, responses=errors(404))
async def remove_contact(request: Request, email: str) -> Response:
    """Erase a person everywhere. If the address is suppressed, a hash of it stays and keeps it so."""
    api = api_of(request)
    await api.desk.write(lambda: erase_contact(api.store, email))
    if not await api.desk.read(api.store.erasure.sweep):
        logger.warning("somebody was erased, and another program reads what was before: traces stay in the -wal file")
    return nothing()
