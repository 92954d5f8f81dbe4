"""Who asks: an API key in front of everything below `/v1`, before a body is read."""

from __future__ import annotations

import hashlib
import logging
import re
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drip.api.desk import Desk
from drip.api.errors import ApiError, answer_to
from drip.api.quota import Quota
from drip.engine.keys import authenticate
from drip.engine.records import Key
from drip.errors import DripError
from drip.project import system_clock
from drip.store.store import Store

logger = logging.getLogger("drip.api")

_BEARER = re.compile(rb"bearer +([\x21-\x7e]{1,200})", re.IGNORECASE)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="drip"'}
GUARDED = "/v1"
"""The paths below it need a key."""
OPEN = "/v1/inbound/"
"""But for these: providers of email prove themselves by their own signature."""


MEMORY = 30.0
"""Seconds after which a key is recognised anew, and its use noted."""
MOST_KEYS = 1000


class Gate:
    """Lets a request through whose key is good, and puts the key's id into its state as `key_id`."""

    def __init__(self, app: ASGIApp, store: Store, desk: Desk, quota: Quota | None = None) -> None:
        self._app = app
        self._store = store
        self._desk = desk
        self._memory = _Memory(store)
        self._quota = quota

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand on."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == GUARDED or path.startswith(GUARDED + "/")) or path.startswith(OPEN):
            await self._app(scope, receive, send)
            return
        try:
            key_id = await self._key(scope)
        except (ApiError, DripError) as error:
            await answer_to(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["key_id"] = key_id
        if self._quota is None:
            await self._app(scope, receive, send)
            return
        standing = self._quota.ask(key_id)
        headers = standing.headers()
        if standing.wait:
            refusal = ApiError(429, "rate_limit_exceeded", f"too many requests: wait {standing.wait} s", headers)
            await answer_to(refusal)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, answer)

    async def _key(self, scope: Scope) -> str:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            raise ApiError(401, "api_key_missing", "send the header Authorization: Bearer KEY", _CHALLENGE)
        found = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        if found is None:
            raise ApiError(401, "api_key_invalid", "the header is not Authorization: Bearer KEY", _CHALLENGE)
        presented = found[1]
        key_id = self._memory.recall(presented)
        if key_id is None:
            key = await self._desk.read(lambda: self._look_up(presented))
            if key is None:
                raise ApiError(401, "api_key_invalid", "the API key is not known, or was revoked", _CHALLENGE)
            key_id = key.id
            self._memory.keep(presented, key_id)
        return key_id

    def _look_up(self, presented: bytes) -> Key | None:
        key = authenticate(self._store, presented.decode("ascii"), system_clock())
        if key is None and not self._store.keys.any_good():
            logger.warning("a request with a key, and there is none: `drip keys create NAME` makes one")
        return key


class _Memory:
    """Which key a text was, so that a burst of requests does not wait for another thread each.

    Only that is remembered: whether the key is still good is asked of the database every time, on the event loop's
    own connection, as a look by the primary key is done sooner than a thread has woken up. It never waits for a lock.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[bytes, tuple[float, str]] = {}

    def recall(self, presented: bytes) -> str | None:
        """The key's id, when it was recognised lately and is still good."""
        found = self._keys.get(_digest(presented))
        if found is None or time.monotonic() - found[0] > MEMORY:
            return None
        return found[1] if self._store.keys.is_good(found[1]) else None

    def keep(self, presented: bytes, key_id: str) -> None:
        """Remember which key it was."""
        if len(self._keys) >= MOST_KEYS:
            self._keys.clear()
        self._keys[_digest(presented)] = (time.monotonic(), key_id)


def _digest(presented: bytes) -> bytes:
    return hashlib.sha256(presented).digest()
