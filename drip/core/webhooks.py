"""Webhooks in values: the body of an event, secrets, and when a failed post is tried again. No I/O, no clock.

Standard Webhooks 1.0.0 (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
is followed for secrets, the schedule and what an answer means.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""The waits after the first failed try, the second, …; after one more the delivery is dead."""
JITTER = 0.1
"""How far a wait is spread, as a part of it."""
LONGEST_HOLD = timedelta(days=1)
"""What a `Retry-After` may ask for at the most."""
HOLD = timedelta(minutes=5)
"""How long an endpoint is left alone, at the most, that is too busy and does not say for how long."""
LONGEST_ANSWER = 300
"""Characters of an answer that are kept."""
OLD_SECRET_LIVES = timedelta(days=1)
"""How long a replaced secret goes on signing beside the new one."""

_PREFIX = "whsec_"
_BUSY = (429, 502, 504)
_GONE = 410


class PostState(StrEnum):
    """How far the posting of one event to one endpoint got."""

    WAITING = "waiting"  # will be posted at its next_attempt_at
    DELIVERED = "delivered"  # answered with 2xx
    DEAD = "dead"  # out of tries, or the endpoint is gone; can be replayed


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one post."""

    status: int | None
    """Of HTTP; None when there was no answer."""
    text: str = ""
    """The beginning of the answer, or why there was none; one line."""
    retry_after: str | None = None
    """The header as it came (RFC 9110, section 10.2.3)."""

    @property
    def is_success(self) -> bool:
        """2xx; a redirect is none."""
        return self.status is not None and 200 <= self.status <= 299


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an answer."""

    state: PostState
    next_attempt_at: datetime | None
    """Set when it goes on waiting."""
    hold_until: datetime | None = None
    """The endpoint gets nothing before; None: it is not held."""
    disables: bool = False
    """The endpoint is gone for good."""


def judge(answer: Answer, attempts: int, now: datetime, *, jitter: float) -> Verdict:
    """What follows from an answer.

    Args:
        attempts: tries made so far, this one included; from 1.
        jitter: between -1 and 1, drawn by the caller; spreads the wait by 10 %.
    """
    if answer.is_success:
        return Verdict(PostState.DELIVERED, None)
    if answer.status == _GONE:
        return Verdict(PostState.DEAD, None, disables=True)
    asked = retry_after(answer.retry_after, now)
    if attempts > len(WAITS):
        return Verdict(PostState.DEAD, None, hold_until=_hold(answer, asked, HOLD, now))
    wait = WAITS[attempts - 1] * (1 + JITTER * jitter)
    return Verdict(PostState.WAITING, now + max(wait, asked), _hold(answer, asked, wait, now))


def _hold(answer: Answer, asked: timedelta, wait: timedelta, now: datetime) -> datetime | None:
    if asked:
        return now + asked
    return now + min(wait, HOLD) if answer.status in _BUSY else None


def retry_after(text: str | None, now: datetime) -> timedelta:
    """How long an endpoint asks to be left alone: seconds or a date, at most a day; 0 when it does not say."""
    if text is None:
        return timedelta(0)
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_HOLD)
    from email.utils import parsedate_to_datetime  # most commands start without it

    try:
        at = parsedate_to_datetime(text)
        asked = at - now
    except (ValueError, TypeError, IndexError, OverflowError):
        # TypeError: a date without a zone can't be compared.
        return timedelta(0)
    return max(timedelta(0), min(asked, LONGEST_HOLD))


def event_body(
    event: str, *, ts: str, app: str, public_id: str, subject: Mapping[str, Any], extra: Mapping[str, Any]
) -> bytes:
    """The JSON that is posted; flat, and the same octets for every try.

    Args:
        subject: the sequence, the subscription and its contact.
        extra: what this event carries besides.
    """
    fields = {"event": event, "ts": ts, "app": app, "id": public_id, **subject, **extra}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def new_secret(octets: bytes) -> str:
    """A secret from 24 to 64 random octets."""
    return _PREFIX + base64.b64encode(octets).decode("ascii")


def check_secret(text: str) -> str:
    """The secret, when it is `whsec_` and base64.

    Raises:
        ValueError: it is not; the text does not repeat it.
    """
    try:
        usable = text.startswith(_PREFIX) and bool(base64.b64decode(text.removeprefix(_PREFIX), validate=True))
    except (ValueError, binascii.Error):
        usable = False
    if not usable:
        raise ValueError("a webhook secret is whsec_ and base64")
    return text


def masked_secret(secret: str) -> str:
    """`whsec_••••3a9f`."""
    return f"{_PREFIX}••••{secret.rstrip('=')[-4:]}" if len(secret) > 22 else f"{_PREFIX}••••"
