"""The FastAPI app of a project: routes, the layers around them, and the document that describes it all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from drip import __version__
from drip.api import docs, errors
from drip.api.auth import GUARDED, OPEN, Gate
from drip.api.context import Api
from drip.api.desk import Desk
from drip.api.frame import Frame
from drip.api.metrics import Metrics
from drip.api.models import VALUE
from drip.api.quick import QuickWay
from drip.api.quota import Quota
from drip.api.routes import (
    contacts,
    events,
    health,
    inbound,
    keys,
    sequences,
    steps,
    subscribers,
    suppressions,
    templates,
    unsubscribe,
)
from drip.project import Project, system_clock

_ROUTERS = (
    sequences,
    steps,
    subscribers,
    templates,
    contacts,
    suppressions,
    events,
    keys,
    inbound,
    unsubscribe,
    health,
)


def create_app(
    project: Project,
    *,
    clock: Callable[[], datetime] = system_clock,
    worker_silence: Callable[[], float] | None = None,
) -> FastAPI:
    """The API of a project. Its database must be open, with today's schema, while the app runs.

    Args:
        clock: the moment as schedules see it.
        worker_silence: seconds since the worker of this process showed that it is alive; None: it has none.
    """
    desk = Desk(project.store)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with project.store.connected():  # the event loop's own, for the gate
            async with desk:
                yield

    app = FastAPI(
        title="drip",
        version=__version__,
        summary="Email sequences as code: subscribe people, and see where they are.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.api = Api(project.settings, project.store, desk, clock, worker_silence)
    app.state.metrics = Metrics()
    # Not `include_router`: a request would be matched against every router, and then against its routes.
    app.state.routes = [route for module in _ROUTERS for route in module.router.routes]
    app.router.routes.extend(app.state.routes)
    docs.install(app)
    errors.install(app)
    app.add_middleware(QuickWay, routes=app.state.routes)
    limit = project.settings.http_rate_limit
    app.add_middleware(Gate, store=project.store, desk=desk, quota=None if limit is None else Quota(limit))
    app.add_middleware(Frame, measured=app.state.metrics.measured)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with the key that everything below /v1 needs, and the header that every answer has."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes, description=_ABOUT
        )
        document["components"]["schemas"]["Value"] = VALUE
        schemes = document["components"].setdefault("securitySchemes", {})
        schemes["key"] = {"type": "http", "scheme": "bearer", "description": "A key of `drip keys create`."}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if path.startswith(GUARDED + "/") and not path.startswith(OPEN):
                    operation["security"] = [{"key": []}]
                for answer in operation["responses"].values():
                    answer.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID
        app.openapi_schema = document
    return app.openapi_schema


_REQUEST_ID = {"description": "Names the request in the log.", "schema": {"type": "string"}, "required": True}
_ABOUT = """\
Bodies are JSON in UTF-8, at most 1 MiB; fields that are not known are refused. Times come in as ISO 8601 with an
offset and go out in UTC with milliseconds and `Z`. Every error is `{"error": {"type", "code", "message"}}`.
"""
