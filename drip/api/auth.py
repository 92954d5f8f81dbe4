"""Who asks: an API key in front of everything below `/v1`, before a body is read."""

from __future__ import annotations

import hashlib
import logging
import re
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from drip.api.desk import Desk
from drip.api.errors import ApiError, answer_to
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


MEMORY = 0.1
"""Seconds that a key which was good is taken as good; a revoked one is refused that much later at the most."""


class Gate:
    """Lets a request through whose key is good, and puts the key's id into its state as `key_id`."""

    def __init__(self, app: ASGIApp, store: Store, desk: Desk) -> None:
        self._app = app
        self._store = store
        self._desk = desk
        self._memory = _Memory()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand on."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == GUARDED or path.startswith(GUARDED + "/")) or path.startswith(OPEN):
            await self._app(scope, receive, send)
            return
        try:
            key = await self._key(scope)
        except (ApiError, DripError) as error:
            await answer_to(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["key_id"] = key.id
        await self._app(scope, receive, send)

    async def _key(self, scope: Scope) -> Key:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            raise ApiError(401, "api_key_missing", "send the header Authorization: Bearer KEY", _CHALLENGE)
        found = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        if found is None:
            raise ApiError(401, "api_key_invalid", "the header is not Authorization: Bearer KEY", _CHALLENGE)
        presented = found[1].decode("ascii")
        key = self._memory.recall(presented)
        if key is None:
            key = await self._desk.read(lambda: self._look_up(presented))
            if key is not None:
                self._memory.keep(presented, key)
        if key is None:
            raise ApiError(401, "api_key_invalid", "the API key is not known, or was revoked", _CHALLENGE)
        return key

    def _look_up(self, presented: str) -> Key | None:
        key = authenticate(self._store, presented, system_clock())
        if key is None and not self._store.keys.any_good():
            logger.warning("a request with a key, and there is none: `drip keys create NAME` makes one")
        return key


class _Memory:
    """The keys of the last moment, by their hash, so that a burst of requests asks the database once."""

    def __init__(self) -> None:
        self._keys: dict[bytes, tuple[float, Key]] = {}

    def recall(self, presented: str) -> Key | None:
        """The key, when it was good a moment ago."""
        found = self._keys.get(hashlib.sha256(presented.encode()).digest())
        return found[1] if found is not None and time.monotonic() - found[0] < MEMORY else None

    def keep(self, presented: str, key: Key) -> None:
        """Remember that a key is good now."""
        now = time.monotonic()
        if len(self._keys) >= 100:
            self._keys = {digest: found for digest, found in self._keys.items() if now - found[0] < MEMORY}
        self._keys[hashlib.sha256(presented.encode()).digest()] = (now, key)
