"""Whether all is well, for load balancers and Prometheus. No key is asked for, and nobody is named."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from drip.api import answers
from drip.api.context import Api, api_of
from drip.errors import Unavailable

router = APIRouter(tags=["health"])

LONGEST_SILENCE = 90.0
"""Seconds. A worker gives a sign of life every 30, whatever it does; one that is silent for so long stands still."""


@router.get(
    "/healthz",
    response_model=answers.Health,
    responses={
        503: {"model": answers.Health, "description": "The database does not answer, or the worker stands still"}
    },
)
@router.head("/healthz", include_in_schema=False)
async def healthz(request: Request) -> Response:
    """200 when the database answers and, with a worker in this process, its last tick is recent; else 503."""
    api = api_of(request)
    database, worker = await _database_answers(api), _worker_is_well(api)
    well = database and worker is not False
    content = {"status": "ok" if well else "unavailable", "database": database, "worker": worker}
    return JSONResponse(content, 200 if well else 503, {"Cache-Control": "no-store"})


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus: requests, people by status, deliveries by state."""
    from drip.api.metrics import CONTENT_TYPE, Metrics

    found: Metrics = request.app.state.metrics
    return Response(await found.render(api_of(request)), media_type=CONTENT_TYPE)


async def _database_answers(api: Api) -> bool:
    try:
        await api.desk.read(api.store.events.last)
    except Unavailable:
        return False
    return True


def _worker_is_well(api: Api) -> bool | None:
    return None if api.worker_silence is None else api.worker_silence() < LONGEST_SILENCE
