"""Whether a web address answers, and what its clock says. One GET; nothing is followed, only the head is kept."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpcore

SECONDS = 5.0
"""For each step: connecting, asking, the head of the answer."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of it."""

    status: int | None
    """None: no answer."""
    why: str = ""
    """Why there was none."""
    date: datetime | None = None
    """The server's clock; None when it does not say."""


def reach(url: str) -> Reached:
    """Ask once; never raises for what the other side does."""
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=ssl.create_default_context()) as pool,
            pool.stream("GET", url, headers={"Accept": "*/*"}, extensions={"timeout": timeout}) as response,
        ):
            return Reached(response.status, date=_date(response.headers))
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ValueError) as error:
        late = isinstance(error, httpcore.TimeoutException)
        return Reached(None, "no answer in time" if late else str(error) or type(error).__name__)


def _date(headers: list[tuple[bytes, bytes]]) -> datetime | None:
    text = next((value.decode("latin-1") for name, value in headers if name.lower() == b"date"), None)
    try:
        at = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None
