"""Every error as the API gives it: one envelope, types and codes as the manual lists them. Nothing leaks from a 500."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from drip.api.models import known_fields
from drip.errors import (
    DatabaseUnavailable,
    DripError,
    FieldInvalid,
    Invalid,
    NotFound,
    Refused,
    Unavailable,
    did_you_mean,
)

logger = logging.getLogger("drip.api")

TYPES = {
    400: "validation_error",
    401: "authentication_error",
    403: "authorization_error",
    404: "not_found_error",
    405: "not_found_error",
    408: "validation_error",
    409: "conflict_error",
    413: "payload_too_large_error",
    422: "validation_error",
    431: "payload_too_large_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
}
"""Status -> type; the API gives no other error status."""
_CODES = {404: "route_not_found", 405: "method_not_allowed", 400: "invalid_json"}
_STATUS_OF = {"domain_unauthorized": 403, "invalid_field": 422}
"""Codes of `Refused` that are no conflict."""


class ApiError(HTTPException):
    """An error that is known by its status, before anything of the domain is asked."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, headers)
        self.code = code


def envelope(
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    details: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error as it is answered."""
    error: dict[str, Any] = {"type": TYPES[status], "code": code, "message": message}
    if param:
        error["param"] = param
    if details:
        error["details"] = list(details)
    return JSONResponse({"error": error}, status, headers)


def answer_to(error: Exception) -> JSONResponse:
    """What is answered for an error, whatever raised it."""
    match error:
        case ApiError():
            return envelope(error.status_code, error.code, error.detail, headers=error.headers)
        case FieldInvalid():
            return envelope(422, error.code, _words(error), param=error.field)
        case NotFound():
            return envelope(404, f"{error.kind.replace(' ', '_')}_not_found", _words(error))
        case Refused():
            return envelope(_STATUS_OF.get(error.code, 409), error.code, _words(error), param=_param_of(error.code))
        case DatabaseUnavailable():
            return envelope(503, "database_unavailable", "the database can't be used now", headers={"Retry-After": "5"})
        case Unavailable():
            return envelope(503, "unavailable", error.message, headers={"Retry-After": "5"})
        case Invalid():
            return envelope(422, "invalid_field", _words(error))
        case _:
            return envelope(500, "internal_error", "something went wrong here; the log has the request id")


_SHAPES = {
    "days": "write the days as mon-fri or mon,wed,fri",
    "hours": "write the hours as 09:00-18:00, on a clock of 24 hours",
}
"""What to write where a field has a pattern; of all others that is: something to read."""

ANSWERED = (ApiError, DripError, RequestValidationError, HTTPException)
"""What `respond` has an answer for."""


def respond(request: Request, error: Exception) -> JSONResponse:
    """What is answered for an error while a request is handled."""
    if isinstance(error, (ApiError, DripError)):
        if isinstance(error, Unavailable):
            logger.error("%s (%s)", error.message, error.hint)
        return answer_to(error)
    return _invalid(request, error) if isinstance(error, RequestValidationError) else _http(request, error)


def install(app: FastAPI) -> None:
    """Let the app answer with the envelope, whatever is wrong."""

    async def known(request: Request, error: Exception) -> JSONResponse:
        return respond(request, error)

    for kind in ANSWERED:
        app.add_exception_handler(kind, known)


def _http(request: Request, error: Exception) -> JSONResponse:
    """What Starlette and FastAPI refuse themselves: unknown routes, wrong methods, bodies that can't be read."""
    assert isinstance(error, HTTPException)
    status = error.status_code if error.status_code in TYPES else 400
    if status == 405:
        allowed = ", ".join(sorted(_methods(request)))
        message = f"{request.url.path} takes {allowed}, not {request.method}"
        return envelope(405, _CODES[405], message, headers={"Allow": allowed})
    if status == 404:
        return envelope(404, _CODES[404], f"there is no {request.url.path[:200]}; /docs lists what there is")
    return envelope(status, _CODES.get(status, "invalid_json"), "the body can't be read", headers=error.headers)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What does not fit the models."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        reason = problems[0].get("ctx", {}).get("error", "it can't be read")
        return envelope(400, "invalid_json", f"the body is not JSON: {reason}")
    details = [_detail(request, problem) for problem in problems[:20]]
    first = details[0]
    return envelope(
        422,
        "invalid_field",
        f"{first['param']}: {first['message']}" if first["param"] else first["message"],
        param=first["param"],
        details=details,
    )


def _detail(request: Request, problem: Mapping[str, Any]) -> dict[str, str]:
    place = [part for part in problem["loc"] if part not in ("body", "query", "path", "header")]
    if problem["type"] == "missing" and not place:
        return {"param": "", "message": "a JSON object is wanted as the body"}
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "string_pattern_mismatch":
        message = _SHAPES.get(str(place[-1]), "it has nothing that can be read, or a NUL")
    elif problem["type"] == "extra_forbidden":
        known = known_fields(request.scope.get("route"), place[:-1])
        hint = did_you_mean(str(place[-1])[:100], known)
        message = "unknown field" + (f"; {hint}" if hint else "")
    return {"param": _path(place), "message": message}


def _path(place: Sequence[str | int]) -> str:
    """`subscribers[3].email`."""
    words = ""
    for part in place:
        words += f"[{part}]" if isinstance(part, int) else f".{part}"
    return words.removeprefix(".")[:200]


def _methods(request: Request) -> set[str]:
    """All methods that a path takes, over all its routes."""
    routes = request.app.state.routes
    path = next((route.path for route in routes if route.matches(request.scope)[0] is not Match.NONE), None)
    return {method for route in routes if route.path == path for method in route.methods} or {"GET"}


def _words(error: DripError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _param_of(code: str) -> str | None:
    return {"position_taken": "position", "domain_unauthorized": "from_email"}.get(code)
