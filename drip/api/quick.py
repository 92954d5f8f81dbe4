"""A shorter way into handlers that take a JSON body: they are found at once, and pydantic reads and checks the octets.

FastAPI's own way asks every route in turn, parses the body into Python objects first and then walks its dependencies;
for handlers that have none it costs several times as much. What `/openapi.json` says of a route is FastAPI's work as
ever, and what is not quick goes FastAPI's way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from drip.api import errors

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class QuickRoute(APIRoute):
    """Takes the short way where a handler wants the request, parts of the path and one body, and nothing else."""

    quick: Handler | None = None
    """None: it goes FastAPI's way."""

    def get_route_handler(self) -> Handler:
        """The short way, or FastAPI's."""
        wants, model = self.dependant, self._model()
        others = (*wants.query_params, *wants.header_params, *wants.cookie_params, *wants.dependencies)
        if model is None or others or not wants.request_param_name or wants.call is None:
            return super().get_route_handler()
        handler, takes_request, takes_body = wants.call, wants.request_param_name, wants.body_params[0].name
        not_text = [param for param in wants.path_params if param.field_info.annotation is not str]

        async def handle(request: Request) -> Response:
            places = {**request.path_params, **_read(not_text, request)}
            body = _checked(model, await _octets(request.receive))
            answer: Response = await handler(**{takes_request: request, takes_body: body}, **places)
            return answer

        self.quick = handle
        return handle

    def _model(self) -> type[BaseModel] | None:
        params = self.dependant.body_params
        annotation = params[0].field_info.annotation if len(params) == 1 else None
        return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


class QuickWay:
    """Goes straight to quick routes; to the others goes the app that it is around."""

    def __init__(self, app: ASGIApp, routes: Iterable[object]) -> None:
        self._app = app
        self._routes: dict[tuple[str, int], list[QuickRoute]] = {}
        """By method and how many slashes the path has."""
        for route in routes:
            if isinstance(route, QuickRoute) and route.quick is not None:
                for method in route.methods or ():
                    self._routes.setdefault((method, route.path.count("/")), []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        route = self._find(scope) if scope["type"] == "http" else None
        if route is None or route.quick is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            answer = await route.quick(request)
        except errors.ANSWERED as error:
            answer = errors.respond(request, error)
        await answer(scope, receive, send)

    def _find(self, scope: Scope) -> QuickRoute | None:
        path = scope["path"]
        for route in self._routes.get((scope["method"], path.count("/")), ()):
            found = None if scope.get("root_path") else route.path_regex.match(path)
            if found is not None:
                params = {name: route.param_convertors[name].convert(text) for name, text in found.groupdict().items()}
                scope.update(route=route, endpoint=route.endpoint, path_params=params)
                return route
        return None


async def _octets(receive: Receive) -> bytes:
    """A whole body."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _read(params: Iterable[Any], request: Request) -> dict[str, Any]:
    """Parts of the path that are no text."""
    found, problems = dict[str, Any](), list[Any]()
    for param in params:
        found[param.name], wrong = param.validate(request.path_params[param.alias], {}, loc=("path", param.alias))
        problems += wrong
    if problems:
        raise RequestValidationError(problems)
    return found


def _checked(model: type[BaseModel], octets: bytes) -> BaseModel:
    try:
        return model.model_validate_json(octets)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in problems]) from None
