"""The steps of a sequence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from drip.api import answers
from drip.api.context import Api, api_of, created, errors, key_of, nothing, ok
from drip.api.models import LARGEST_ID, StepIn, StepPatch
from drip.api.quick import QuickRoute
from drip.core.address import Address, clean_line
from drip.core.sequence import Step
from drip.engine.authoring import add_step, delete_step, edit_step
from drip.engine.objects import JsonObject, step_object
from drip.engine.records import StoredSequence

router = APIRouter(route_class=QuickRoute, prefix="/v1/bulk/sequences/{sequence_id}/steps", tags=["steps"])

StepId = Annotated[int, Path(ge=0, le=LARGEST_ID)]


@router.post("", status_code=201, response_model=answers.Step, responses=errors(403, 404, 409, 413))
async def make_step(request: Request, sequence_id: str, body: StepIn) -> Response:
    """Add a step. Positions are unique and may have gaps; people who are not yet past the place get it."""
    api, key_id = api_of(request), key_of(request)
    step = _with_fields(api, Step(key="", delay=timedelta(0)), body)

    def work() -> JsonObject:
        stored, made = add_step(api.store, api.settings, sequence_id, step, api.clock(), key_id=key_id)
        return _shown(api, stored, made)

    return created(await api.desk.write(work))


@router.patch("/{step_id}", response_model=answers.Step, responses=errors(403, 404, 409, 413))
async def change_step(request: Request, sequence_id: str, step_id: StepId, body: StepPatch) -> Response:
    """Change a step; null clears. What has been sent stays sent, who waits gets what it says now."""
    api, key_id = api_of(request), key_of(request)

    def work() -> JsonObject:
        stored, changed = edit_step(
            *(api.store, api.settings, sequence_id, step_id, lambda step: _with_fields(api, step, body), api.clock()),
            key_id=key_id,
        )
        return _shown(api, stored, changed)

    return ok(await api.desk.write(work))


@router.delete("/{step_id}", status_code=204, response_model=None, responses=errors(404, 409))
async def remove_step(request: Request, sequence_id: str, step_id: StepId) -> Response:
    """Remove a step; who waits for it goes on to the next."""
    api, key_id = api_of(request), key_of(request)
    await api.desk.write(lambda: delete_step(api.store, api.settings, sequence_id, step_id, api.clock(), key_id=key_id))
    return nothing()


def _with_fields(api: Api, step: Step, body: StepIn | StepPatch) -> Step:
    """A step with what a body says of it."""
    names = {"body_text": "text", "template_id": "template"}
    plain = ("position", "subject", "html", "body_text", "reply_to", "template_id")
    given: dict[str, Any] = {
        names.get(name, name): getattr(body, name) for name in plain if name in body.model_fields_set
    }
    if "offset_seconds" in body.model_fields_set:
        given["delay"] = timedelta(seconds=body.offset_seconds)
    if body.model_fields_set & {"from_email", "from_name"}:
        given["sender"] = _sender(api, step.sender, body)
    return replace(step, **given)


def _sender(api: Api, before: Address | None, body: StepIn | StepPatch) -> Address | None:
    """A name alone goes with the project's own address; without an address the name goes too, unless it is given."""
    given = body.model_fields_set
    email = body.from_email if "from_email" in given else before and before.email
    name = body.from_name if "from_name" in given else before.name if before and email else None
    if email is None and not name:
        return None
    return Address(email or api.settings.sender.email, clean_line(name or ""))


def _shown(api: Api, stored: StoredSequence, step: Step) -> JsonObject:
    times = api.store.overview.step_times(stored.id)[stored.ids[step.key]]
    return step_object(stored, step, *times)
