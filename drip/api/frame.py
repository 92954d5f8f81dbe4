"""Around every request: its id, its measure, how much body is read, and the last resort when something breaks."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drip.api.errors import ApiError, answer_to

logger = logging.getLogger("drip.api")

LARGEST_BODY = 1024 * 1024
"""Octets that are read at the most, whatever Content-Length says."""
BODY_PATIENCE = 30.0
"""Seconds within which a body must be there."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_BOOT = secrets.token_hex(5)
"""Tells the requests of this process from those of others; asking for random octets each time costs more."""
_NUMBERS = itertools.count(1)
_JSON = (b"content-type", b"application/json")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_CLOSING = (b"connection", b"close")

Measured = Callable[[Scope, int, float], None]
"""(scope, status, seconds), after the answer."""


class Frame:
    """The outermost layer but for Starlette's own."""

    def __init__(self, app: ASGIApp, measured: Measured) -> None:
        self._app = app
        self._measured = measured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        request_id = _request_id(scope)
        body = _Body(receive)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), _NO_SNIFFING]
                if body.left:
                    message["headers"].append(_CLOSING)
            await send(message)

        try:
            refused = _refusal(scope)
            if refused is not None:
                body.left = True
                await refused(scope, receive, answer)
            else:
                _take_as_json(scope)
                await self._app(scope, body.receive, answer)
        except ClientDisconnect:
            logger.info("request %s: the client left before its body was there", request_id)
        except asyncio.CancelledError:
            # The server stops and has waited as long as it does. It ends here: to uvicorn a cancelled request is a bug.
            logger.warning("request %s: %s %s: no answer before the end", request_id, scope["method"], scope["path"])
            if not status:
                body.left = True
                with suppress(asyncio.CancelledError):  # the very end: this one does not read
                    await answer_to(_stopping())(scope, receive, answer)
        except Exception:
            logger.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if status:
                raise
            await answer_to(RuntimeError())(scope, receive, answer)
        finally:
            self._measured(scope, status, time.perf_counter() - started)


class _Body:
    """Reads a body within limits of size and time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0
        self._until: float | None = None
        self.left = False
        """Whether something of it was not read: the connection can't be used again."""

    async def receive(self) -> Message:
        """The next part of it. One that is there already costs no timer."""
        rest = self._receive().__await__()
        try:
            waits_for = next(rest)
        except StopIteration as there:
            message: Message = there.value
        else:
            message = await self._in_time(_Rest(waits_for, rest))
        self._size += len(message.get("body", b""))
        if self._size > LARGEST_BODY:
            self.left = True
            raise _too_large()
        return message

    async def _in_time(self, rest: _Rest) -> Message:
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + BODY_PATIENCE
        try:
            async with asyncio.timeout_at(self._until):
                return await rest
        except TimeoutError:
            self.left = True
            raise ApiError(408, "body_too_slow", f"the body was not there within {BODY_PATIENCE:.0f} seconds") from None


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is left of a coroutine that was begun."""

    waits_for: object
    rest: Generator[object, None, Message]

    def __await__(self) -> Generator[object, None, Message]:
        try:
            yield self.waits_for
        except BaseException:
            self.rest.close()
            raise
        return (yield from self.rest)


def _too_large() -> ApiError:
    return ApiError(413, "body_too_large", "a body has at most 1 MiB")


def _stopping() -> ApiError:
    return ApiError(503, "unavailable", "the server stops before this is done: ask again", {"Retry-After": "5"})


def _refusal(scope: Scope) -> ASGIApp | None:
    """An answer that needs no look at the body."""
    length = chunked = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = True
            if not value.isdigit() or len(value) > 18 or int(value) > LARGEST_BODY:
                return answer_to(_too_large())
        elif name == b"transfer-encoding":
            chunked = True
    if length and chunked:  # RFC 9112, section 6.1: somebody before us may have taken the other for its end
        return answer_to(ApiError(400, "invalid_request", "a body has a length or comes in chunks, not both"))
    return None


def _take_as_json(scope: Scope) -> None:
    """The API takes JSON and nothing else, so a body is JSON whatever its header says (curl's says it is a form)."""
    if scope["path"].startswith("/v1/") and _JSON not in scope["headers"]:
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        scope["headers"] = [*headers, _JSON]


def new_request_id() -> str:
    """A name for a request that brought none, or none that is tame."""
    return f"req_{_BOOT}{next(_NUMBERS):08x}"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return new_request_id()
