"""Sequences: made, listed, changed, removed, counted."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from drip.api import answers
from drip.api.context import PAGED, Api, Limit, Offset, api_of, created, errors, key_of, nothing, ok, page
from drip.api.models import SequenceIn, SequencePatch
from drip.api.quick import QuickRoute
from drip.core.sequence import INHERIT, Sequence, SequenceStatus
from drip.engine.authoring import create_sequence, delete_sequence, edit_sequence
from drip.engine.objects import JsonObject, sequence_object, step_objects
from drip.engine.records import StoredSequence
from drip.engine.status import set_status
from drip.engine.subscribe import find_sequence
from drip.store.overview import StepCounts

router = APIRouter(route_class=QuickRoute, prefix="/v1/bulk/sequences", tags=["sequences"])


@router.get("", response_model=list[answers.Sequence], responses={200: dict(PAGED), **errors()})
async def list_sequences(
    request: Request, status: SequenceStatus | None = None, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """All sequences, newest first."""
    api = api_of(request)

    def work() -> tuple[list[JsonObject], int]:
        found = [one for one in api.store.sequences.all() if status is None or one.status is status]
        found.sort(key=lambda one: one.id, reverse=True)
        counts = api.store.overview.counts()
        shown = found[offset : offset + limit]
        people = [counts[one.id].by_status if one.id in counts else {} for one in shown]
        return [sequence_object(one, who) for one, who in zip(shown, people, strict=True)], len(found)

    items, total = await api.desk.read(work)
    return page(request, items, total, limit, offset)


@router.post("", status_code=201, response_model=answers.SequenceWithSteps, responses=errors(413))
async def make_sequence(request: Request, body: SequenceIn) -> Response:
    """Make a sequence. It is a draft: it takes subscribers and holds them."""
    api, key_id = api_of(request), key_of(request)
    sequence = _with_fields(Sequence(id="", name=body.name), body)

    def work() -> JsonObject:
        return _shown(api, create_sequence(api.store, api.settings, sequence, api.clock(), key_id=key_id))

    return created(await api.desk.write(work))


@router.get("/{sequence_id}", response_model=answers.SequenceWithSteps, responses=errors(404))
async def get_sequence(request: Request, sequence_id: str) -> Response:
    """One sequence, with its steps by position."""
    api = api_of(request)
    return ok(await api.desk.read(lambda: _shown(api, find_sequence(api.store, sequence_id))))


@router.patch("/{sequence_id}", response_model=answers.SequenceWithSteps, responses=errors(404, 409, 413))
async def change_sequence(request: Request, sequence_id: str, body: SequencePatch) -> Response:
    """Change a sequence; of one that belongs to a file, only the status."""
    api, key_id, now = api_of(request), key_of(request), api_of(request).clock()

    def work() -> JsonObject:
        edit_sequence(
            *(api.store, api.settings, sequence_id, lambda sequence: _with_fields(sequence, body), now), key_id=key_id
        )
        if "status" in body.model_fields_set:
            set_status(api.store, sequence_id, body.status, now)
        return _shown(api, find_sequence(api.store, sequence_id))

    return ok(await api.desk.write(work))


@router.delete("/{sequence_id}", status_code=204, response_model=None, responses=errors(404, 409))
async def remove_sequence(request: Request, sequence_id: str) -> Response:
    """Remove a sequence that nobody is active or paused in, with the history of all who were."""
    api = api_of(request)
    await api.desk.write(lambda: delete_sequence(api.store, sequence_id))
    return nothing()


@router.get("/{sequence_id}/stats", response_model=answers.Stats, responses=errors(404))
async def get_stats(request: Request, sequence_id: str) -> Response:
    """What became of each step, and of all together."""
    api = api_of(request)
    return ok(await api.desk.read(lambda: _stats(api, find_sequence(api.store, sequence_id))))


def _with_fields(sequence: Sequence, body: SequenceIn | SequencePatch) -> Sequence:
    """A sequence with what a body says of it."""
    given: dict[str, Any] = {}
    for name in body.model_fields_set - {"status"}:
        value = getattr(body, name)
        if name == "stale_after_seconds":
            given["stale_after"] = INHERIT if value is None else timedelta(seconds=value) if value else None
        elif name == "send_window":
            given[name] = None if value is None else value.to_core()
        else:
            given[name] = value
    return replace(sequence, **given)


def _shown(api: Api, stored: StoredSequence) -> JsonObject:
    counts = api.store.overview.counts_of(stored.id)
    steps = step_objects(stored, api.store.overview.step_times(stored.id))
    return {**sequence_object(stored, counts), "steps": steps}


def _stats(api: Api, stored: StoredSequence) -> JsonObject:
    per_step = api.store.overview.steps(stored.id)
    steps = [(step, per_step.get(stored.ids[step.key], StepCounts())) for step in stored.sequence.steps]
    names = ("sent", "waiting", "failed", "skipped", "deferred", "unknown")
    counts = api.store.overview.counts_of(stored.id)
    return {
        "sequence_id": stored.slug,
        "subscribers": {status.value: count for status, count in counts.items()},
        # Of removed steps too: what was sent was sent.
        "totals": {name: sum(getattr(one, name) for one in per_step.values()) for name in names},
        "steps": [
            {
                "step_id": stored.ids[step.key],
                "step_key": step.key,
                "position": stored.sequence.position(step.key),
                **asdict(count),
            }
            for step, count in steps
        ],
    }
