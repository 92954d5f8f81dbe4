"""The limits of drip.yaml, kept over all processes on one database: reserved with the claim, given back when unused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from drip.core.address import domain_of
from drip.core.delivery import Reason
from drip.core.limits import allowed_per_day, day_began_at, next_day_at, next_token_at, refilled, whole_tokens
from drip.core.policy import Defer
from drip.core.settings import Rate, Settings
from drip.engine.ports import Store
from drip.engine.records import Claim

TOTAL = "*"
"""The name of the bucket of `rate`; the others are named after their domain."""
LONGEST_HOLD = timedelta(hours=6)
"""Whoever waits for their domain is looked at again after so long, as the limit may be another by then; each look at a
long queue is an event for all who stand in it."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the limits leave now."""

    count: int
    """How many may be claimed."""
    free_at: datetime | None = None
    """When there is room again; None when there is some now."""
    held_until: datetime | None = None
    """Until when those wait whose domain has had enough for now; None when nobody was put off for that."""


@dataclass(frozen=True, slots=True)
class Limited:
    """People who are due and wait for a limit of all messages together."""

    due: int
    until: datetime
    """When there is room for the next one."""


def limited(store: Store, settings: Settings, now: datetime, due: int) -> Limited | None:
    """Who waits for `rate`, `per_day` or `ramp`, and until when; None when nobody does.

    Who waits for a limit of their domain is deferred until a time of their own.
    """
    if not due:
        return None
    free_at = Allowance(store, settings).room(now, 1).free_at
    return None if free_at is None else Limited(due, free_at)


class Allowance:
    """Asked inside the transaction that claims, told inside the one that records."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._limits = settings.limits
        self._zone = settings.timezone
        self._counts_days = settings.limits.per_day is not None or settings.limits.ramp is not None
        self._queued_until: dict[str, datetime] = {}
        """By domain: when the last of those who were put off is due, behind whom the next one waits."""

    def begin_day(self, now: datetime) -> None:
        """To be told before anything is claimed or taken back: what is in hand at midnight counts for the new day."""
        if self._counts_days:
            day = now.astimezone(self._zone).date()
            self._store.budgets.begin(day, *self._bounds(day))

    def room(self, now: datetime, wanted: int) -> Room:
        """How many of `wanted` may be claimed now."""
        if self._counts_days:
            day = now.astimezone(self._zone).date()
            first_day = self._store.budgets.first_day() or day
            most = allowed_per_day(self._limits, day, first_day)
            wanted = min(wanted, max(0, (most or 0) - self._store.budgets.used(day, *self._bounds(day))))
            if wanted == 0:
                return Room(0, next_day_at(now, self._zone))
        if self._limits.rate is None:
            return Room(wanted)
        bucket = refilled(self._store.budgets.bucket(TOTAL), self._limits.rate, now)
        count = min(wanted, whole_tokens(bucket))
        return Room(count) if count else Room(0, next_token_at(bucket, self._limits.rate))

    def reserve(self, claims: Sequence[Claim], now: datetime) -> tuple[list[Claim], list[tuple[Claim, Defer]]]:
        """Count these claims; those that may go, and those whose domain has had enough for now."""
        going, held = self._by_domain(claims, now)
        self._count(len(going), now)
        if self._limits.rate is not None:
            self._take(TOTAL, self._limits.rate, len(going), now)
        return going, held

    def give_back(self, untried: Collection[str], now: datetime, *, refused: int = 0) -> None:
        """Claims of these addresses did not become messages after all.

        Args:
            refused: so many others were offered to the server, as fast as the rates allow; the day has lost nothing.
        """
        if self._counts_days and (untried or refused):
            self.begin_day(now)
            self._count(-len(untried) - refused, now)
        if self._limits.rate is not None and untried:
            self._take(TOTAL, self._limits.rate, -len(untried), now)
        for domain, count in Counter(map(domain_of, untried)).items():
            if (rate := self._limits.per_domain.get(domain)) is not None:
                self._take(domain, rate, -count, now)

    def _count(self, count: int, now: datetime) -> None:
        if self._counts_days:
            self._store.budgets.use(now.astimezone(self._zone).date(), count)

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        return day_began_at(day, self._zone), day_began_at(day + timedelta(days=1), self._zone)

    def _by_domain(self, claims: Iterable[Claim], now: datetime) -> tuple[list[Claim], list[tuple[Claim, Defer]]]:
        going: list[Claim] = []
        held: list[tuple[Claim, Defer]] = []
        waiting: set[str] = set()
        for claim in claims:
            domain = domain_of(claim.email)
            rate = self._limits.per_domain.get(domain)
            if rate is None or (domain not in waiting and self._take(domain, rate, 1, now)):
                going.append(claim)
                continue
            waiting.add(domain)
            held.append((claim, Defer(Reason.LIMIT, self._queue(domain, rate, now))))
        return going, held

    def _queue(self, domain: str, rate: Rate, now: datetime) -> datetime:
        """When the next one of a domain may go that must wait: each at a time of their own, in the order they came."""
        until = next_token_at(refilled(self._store.budgets.bucket(domain), rate, now), rate)
        last = self._queued_until.get(domain)
        if last is not None and last <= now + LONGEST_HOLD:  # else the clock was put back since
            until = max(until, last + rate.per / rate.count)
        until = min(max(until, now + timedelta(milliseconds=1)), now + LONGEST_HOLD)
        self._queued_until[domain] = until
        return until

    def _take(self, name: str, rate: Rate, count: int, now: datetime) -> bool:
        bucket = refilled(self._store.budgets.bucket(name), rate, now)
        if count > 0 and whole_tokens(bucket) < count:
            return False
        self._store.budgets.set_bucket(name, replace(bucket, tokens=bucket.tokens - count))
        return True
