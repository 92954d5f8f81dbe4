"""One step for one subscription: how far it got, and why not further."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from drip.core.immutable import immutable


class DeliveryState(StrEnum):
    """How far a delivery got. A row exists only once something happened."""

    SENDING = "sending"  # marked: the final dot may have been sent
    SENT = "sent"  # accepted by the server
    UNKNOWN = "unknown"  # nobody knows whether the server took it; never sent again by itself
    DEFERRED = "deferred"  # will be tried at the subscription's next_send_at
    FAILED = "failed"  # refused for good, or out of attempts
    SKIPPED = "skipped"  # the person goes on without it


class Reason(StrEnum):
    """Why a message was not sent: one vocabulary for log, commands, dashboard and API."""

    WHEN = "when"  # skipped: the step's condition was not true
    STALE = "stale"  # skipped: overdue for longer than `stale_after`
    WINDOW = "window"  # deferred: outside its send window
    LIMIT = "limit"  # deferred: a limit of drip.yaml is reached
    TEMPORARY = "temporary"  # deferred: the server said "later" (4xx)
    CONNECTION = "connection"  # deferred: the connection was lost before the final dot
    POISON = "poison"  # deferred: three connections died on it while others passed
    RETRY = "retry"  # deferred: a person asked for another try
    NOT_SENT = "not_sent"  # deferred: an unknown delivery was settled as not sent
    BREAKER = "breaker"  # deferred: refused while the relay refused nearly everybody
    RENDER = "render"  # failed: the template or a variable is wrong
    CONDITION = "condition"  # failed: `when` or `stop_when` could not be evaluated
    ADDRESS = "address"  # failed: the address can't be used with this server
    REFUSED = "refused"  # failed: the server refused the message for good
    NO_MAILBOX = "no_mailbox"  # failed: the mailbox or domain does not exist
    ATTEMPTS = "attempts"  # failed: temporary refusals until the attempts ran out
    RESTORED = "restored"  # unknown: it was due in what a restored database has lost
    INTERRUPTED = "interrupted"  # unknown: the process died between dot and answer
    NO_ANSWER = "no_answer"  # unknown: the connection was lost between dot and answer


class OutcomeKind(StrEnum):
    """What came of handing one message to a transport."""

    SENT = "sent"  # accepted
    DEFERRED = "deferred"  # refused for now
    REFUSED = "refused"  # refused for good; says nothing about the person
    NO_MAILBOX = "no_mailbox"  # refused for good; the mailbox or domain does not exist
    BAD_ADDRESS = "bad_address"  # never offered: the server can't take such an address
    LOST = "lost"  # the connection was lost before the dot: not sent
    UNKNOWN = "unknown"  # the connection was lost after the dot
    NOT_MARKED = "not_marked"  # the mark was refused: given up before the dot, not sent
    DOWN = "down"  # the transport can't be used now; no message is to blame
    MISCONFIGURED = "misconfigured"  # a setting is wrong (login, certificate, From): stop the run
    OUR_FAULT = "our_fault"  # our domain or relay is refused: stop the run, suppress nobody


@immutable
class Outcome:
    """The answer of a transport to one message."""

    kind: OutcomeKind
    code: int | None = None
    """The SMTP code; None when there was no answer."""
    enhanced: str | None = None
    """The enhanced status code of RFC 3463, as `5.1.1`; None without one."""
    text: str = ""
    """The server's words, or ours when there was no answer; one line, at most 500 characters."""
    greylisted: bool = False
    """The answer looks like greylisting: the first retry comes not before five minutes (RFC 6647)."""
    in_hand: bool = True
    """For `down`: whether a message had been begun on the connection (the poison rule counts those)."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """When a deferred delivery is tried again: `retry` of drip.yaml."""

    attempts: int = 8
    """Tries in all; after the last the step fails."""
    first: timedelta = timedelta(minutes=1)
    """The wait after the first try."""
    factor: float = 3.0
    """Each wait is that many times the one before."""
    longest: timedelta = timedelta(hours=6)
    """No wait is longer."""


GREYLIST_WAIT = timedelta(minutes=5)
"""RFC 6647, section 5: servers commonly want at least that."""


def retry_wait(rule: RetryRule, attempts: int, *, jitter: float, greylisted: bool = False) -> timedelta | None:
    """How long to wait after a try that was refused for now; None when the attempts are used up.

    Args:
        attempts: tries made so far, this one included; from 1.
        jitter: between -1 and 1, drawn by the caller; spreads the wait by 20 %.
    """
    if attempts >= rule.attempts:
        return None
    wait = rule.first.total_seconds()
    longest = rule.longest.total_seconds()
    for _ in range(attempts - 1):  # not a power: a float's overflow is an error, a product's is not
        wait = min(wait * rule.factor, longest)
    spread = timedelta(seconds=min(wait * (1 + 0.2 * jitter), longest))
    return max(spread, GREYLIST_WAIT) if greylisted else spread


POISON_AFTER = 3
"""Connections in a row that may die on one message before it is set aside."""

BREAKER_WINDOW = 50
BREAKER_REFUSALS = 10
BREAKER_SHARE = 0.3


def breaker_opens(refusals: int, handed_over: int) -> bool:
    """Whether so many hard refusals among the last messages (at most 50 are looked at) point at us, not at them."""
    return refusals >= BREAKER_REFUSALS and refusals > BREAKER_SHARE * min(handed_over, BREAKER_WINDOW)
