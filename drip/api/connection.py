"""One connection to the API. What never reaches the app is answered with the envelope too, and nobody is waited for
for ever: not for a head, not for what is left of a body, not for somebody who does not read.
"""

from __future__ import annotations

import asyncio
import sys

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from drip.api.errors import envelope
from drip.api.frame import new_request_id

MOST_CONNECTIONS = 1000
"""More at once are answered 503, so that memory stays bounded."""
SPARE = 200
"""So many more are told so; those beyond are dropped unheard."""
HEAD_PATIENCE = 20.0
"""Seconds within which a request's head must be there, and what an answered request left of its body."""
READ_PATIENCE = 60.0
"""Seconds within which a client must have read what waits for it."""


class Connection(H11Protocol):
    """HTTP/1.1 and 1.0 as uvicorn speaks it, with an end to every wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, or tell it that there are too many."""
        super().connection_made(transport)
        self._waiting_since_here: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        if len(self.connections) > MOST_CONNECTIONS + SPARE:
            transport.abort()
        elif len(self.connections) > MOST_CONNECTIONS:
            self.app = _too_many
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Octets of a request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever made it."""
        super().connection_lost(exc)
        for timer in (self._waiting_since_here, self._unread, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()

    def on_response_complete(self) -> None:
        """An answer is out; the next request may have begun before it."""
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            self._watch()

    def pause_writing(self) -> None:
        """The client does not read as fast as it asks."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(READ_PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def send_400_response(self, msg: str) -> None:
        """What h11 can't take; called where it has said so."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if status == 431:
            self._refuse(431, "headers_too_large", "the headers of a request have at most 64 kB in all")
        else:
            self._refuse(400, "invalid_request", "that can't be read as HTTP/1.1")

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked."""
        super().timeout_keep_alive_handler()
        self._unread = self.loop.call_later(READ_PATIENCE, self.transport.abort)

    @property
    def _at_work(self) -> bool:
        """Whether a request is with the app, which keeps its own time."""
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        if self._at_work or self.transport.is_closing():
            if self._waiting_since_here is not None:
                self._waiting_since_here.cancel()
                self._waiting_since_here = None
        elif self._waiting_since_here is None:
            self._waiting_since_here = self.loop.call_later(HEAD_PATIENCE, self._too_slow)

    def _too_slow(self) -> None:
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, "headers_too_slow", f"the headers were not there within {HEAD_PATIENCE:.0f} seconds")
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        if self._at_work:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = envelope(status, code, message, headers={**_CLOSING, "X-Request-Id": new_request_id()})
            headers = [*self.server_state.default_headers, *answer.raw_headers]
            head = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


_CLOSING = {"Connection": "close", "X-Content-Type-Options": "nosniff"}


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    """What a client gets that is one too many."""
    headers = {**_CLOSING, "Retry-After": "5", "X-Request-Id": new_request_id()}
    answer = envelope(503, "unavailable", "too many connections at once", headers=headers)
    await answer(scope, receive, send)
