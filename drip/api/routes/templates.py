"""Templates: those of files to be seen, those of the API to be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response

from drip.api import answers
from drip.api.context import PAGED, Limit, Offset, api_of, created, errors, key_of, nothing, ok, page
from drip.api.models import TemplateIn, TemplatePatch
from drip.api.quick import QuickRoute
from drip.core.sequence import Template
from drip.engine.objects import template_object
from drip.engine.records import StoredTemplate
from drip.engine.template_book import create_template, delete_template, edit_template, find_template

router = APIRouter(route_class=QuickRoute, prefix="/v1/bulk/templates", tags=["templates"])


@router.get("", response_model=list[answers.Template], responses={200: dict(PAGED), **errors()})
async def list_templates(request: Request, limit: Limit = 100, offset: Offset = 0) -> Response:
    """All templates, newest first."""
    api = api_of(request)
    found = await api.desk.read(api.store.templates.all)
    items = [template_object(one) for one in found[offset : offset + limit]]
    return page(request, items, len(found), limit, offset)


@router.post("", status_code=201, response_model=answers.Template, responses=errors(413))
async def make_template(request: Request, body: TemplateIn) -> Response:
    """Make a template. Its id is the slug of its name, and six hexadecimal digits."""
    api = api_of(request)
    template = Template(name="", subject=body.subject, html=body.html, text=body.body_text)
    made = await api.desk.write(lambda: create_template(api.store, api.settings, template, body.name, api.clock()))
    return created(template_object(made))


@router.get("/{template_id}", response_model=answers.Template, responses=errors(404))
async def get_template(request: Request, template_id: str) -> Response:
    """One template."""
    api = api_of(request)
    return ok(template_object(await api.desk.read(lambda: find_template(api.store, template_id))))


@router.patch("/{template_id}", response_model=answers.Template, responses=errors(404, 409, 413))
async def change_template(request: Request, template_id: str, body: TemplatePatch) -> Response:
    """Change a template, and with it every step that uses it; null clears."""
    api, key_id = api_of(request), key_of(request)

    def edit(stored: StoredTemplate) -> StoredTemplate:
        names = {"subject": "subject", "html": "html", "body_text": "text"}
        given: dict[str, Any] = {names[name]: getattr(body, name) for name in body.model_fields_set if name in names}
        title = body.name if "name" in body.model_fields_set else stored.title
        return replace(stored, template=replace(stored.template, **given), title=title)

    changed = await api.desk.write(
        lambda: edit_template(api.store, api.settings, template_id, edit, api.clock(), key_id=key_id)
    )
    return ok(template_object(changed))


@router.delete("/{template_id}", status_code=204, response_model=None, responses=errors(404, 409))
async def remove_template(request: Request, template_id: str) -> Response:
    """Remove a template that no sequence uses."""
    api = api_of(request)
    await api.desk.write(lambda: delete_template(api.store, template_id))
    return nothing()
