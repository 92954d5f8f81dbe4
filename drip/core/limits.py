"""How many messages may leave: a bucket per rate, a count per day. Pure arithmetic; the store keeps what is left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from drip.core.schedule import next_clock_time
from drip.core.settings import Limits, Ramp, Rate

BURST = timedelta(seconds=1)
"""What a bucket holds: the messages of one second, and never less than one."""
CLOCKS_APART = timedelta(minutes=1)
"""By so much the clocks of machines that share a bucket may differ; a clock that is further behind was put back."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket as it was when it was last looked at."""

    tokens: float
    at: datetime
    """Aware."""


def capacity(rate: Rate) -> float:
    """What a bucket holds at the most."""
    return max(1.0, rate.count * (BURST / rate.per))


def refilled(bucket: Bucket | None, rate: Rate, now: datetime) -> Bucket:
    """The bucket as it is now; None is one that was never used, and full.

    A clock that went back fills nothing, and of clocks that differ the one that is ahead fills it.
    """
    most = capacity(rate)
    if bucket is None:
        return Bucket(most, now)
    at = bucket.at if now < bucket.at <= now + CLOCKS_APART else now
    passed = max(at - bucket.at, timedelta(0))
    return Bucket(min(most, bucket.tokens + rate.count * (passed / rate.per)), at)


def whole_tokens(bucket: Bucket) -> int:
    """How many messages may leave at once."""
    return max(0, math.floor(bucket.tokens + 1e-9))


def next_token_at(bucket: Bucket, rate: Rate) -> datetime:
    """When the bucket will hold a token."""
    missing = max(0.0, 1 - bucket.tokens)
    return bucket.at + rate.per * (missing / rate.count)


def allowed_per_day(limits: Limits, day: date, first_day: date) -> int | None:
    """How many may leave on a day; None is no limit.

    Args:
        first_day: the day on which the first message left, for the ramp.
    """
    allowances = [limits.per_day, None if limits.ramp is None else _ramp(limits.ramp, (day - first_day).days)]
    return min((allowance for allowance in allowances if allowance is not None), default=None)


def next_day_at(now: datetime, local: ZoneInfo) -> datetime:
    """The next local midnight, UTC: when the count of the day begins anew."""
    return next_clock_time(now + timedelta(milliseconds=1), time(0), local)


def day_began_at(day: date, local: ZoneInfo) -> datetime:
    """The local midnight that a day began with, UTC."""
    return datetime.combine(day, time(0), local).astimezone(UTC)


def _ramp(ramp: Ramp, days: int) -> int:
    # The exponent is bounded: a factor to the power of a large count overflows a float.
    return int(min(ramp.until, ramp.start * ramp.factor ** min(max(days, 0), 500)))
