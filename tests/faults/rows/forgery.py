"""Rows 22 and 25: what was not signed here opens nothing and suppresses nobody, however it is made."""

from __future__ import annotations

import hmac
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from email.policy import default
from random import Random
from types import SimpleNamespace
from unittest.mock import patch

import drip.core.tokens
import drip.inbound.mail
from drip.core.reports import NoReport, Report
from drip.core.tokens import Purpose, make_token, read_token
from drip.engine.keys import authenticate, create_key
from drip.inbound import mail
from tests.faults.registry import Case, Control, Figures, Row, too_many
from tests.faults.trial import look_over
from tests.inbound.post import open_post
from tests.inbound.test_hostile import BOMBS, READER, mutated
from tests.lab import START, open_lab

FORGED = 500
"""Tokens and keys in a trial."""
SECRET, OTHER = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
PAIRS = 100
"""Of times that are compared in a trial."""


def token_trial(case: Case) -> Figures:
    """Tokens and keys that are almost right."""
    figures, random = Figures(trials=1, faults=FORGED), case.random
    ids = (random.randrange(1 << random.choice((7, 32, 60))), random.randrange(1 << 20))
    good = make_token(SECRET, Purpose.DELIVERY, *ids)
    for _ in range(FORGED // 2):
        forged = _forged(random, good, ids)
        try:
            found = read_token(SECRET, Purpose.DELIVERY, forged)
        except Exception as error:
            figures.breaches.append(f"{type(error).__name__} for {forged[:100]!r}")
            continue
        same = forged.isascii() and forged.lower() == good
        figures.breach(found is not None and not same, f"accepted: {forged!r} for {good!r}")
    figures.breach(read_token(SECRET, Purpose.DELIVERY, good) != ids, "the true token is refused")
    _keys(case, figures)
    slower = _slower_when_nearly_right(random, good)
    figures.counts["slower"], figures.counts["pairs"] = slower, PAIRS
    return figures


def _forged(random: Random, good: str, ids: tuple[int, ...]) -> str:
    at = random.randrange(len(good))
    match random.randrange(8):
        case 0 | 1:
            return good[:at] + chr(ord(good[at]) ^ 1 << random.randrange(8)) + good[at + 1 :]
        case 2:
            return good[:at]
        case 3:
            return good[:at] + random.choice("abcdefghijklmnopqrstuvwxyz234567") + good[at:]
        case 4:
            return make_token(OTHER, Purpose.DELIVERY, *ids)
        case 5:
            return make_token(SECRET, Purpose.UNSUBSCRIBE, *ids)
        case 6:
            return "".join(chr(random.choice((random.randrange(0x110000), ord("a")))) for _ in range(len(good)))
    return random.choice((good * 20_000, "", "\0", "a" * 1_000_000, good + "\n", " " + good, good + "="))


def _keys(case: Case, figures: Figures) -> None:
    """API keys that are almost right."""
    random = case.random
    with open_lab(case.folder) as lab:
        true, revoked = create_key(lab.store, "app", START).secret, create_key(lab.store, "old", START)
        with lab.store.transaction():
            lab.store.keys.revoke(revoked.key.id, START)
        figures.breach(authenticate(lab.store, revoked.secret, START) is not None, "accepted: a revoked key")
        figures.breach(authenticate(lab.store, true, START) is None, "the true key is refused")
        for _ in range(FORGED // 2):
            forged = _forged(random, true, (1,))
            try:
                found = authenticate(lab.store, forged, START)
            except Exception as error:
                figures.breaches.append(f"{type(error).__name__} for a key of {len(forged)} characters: {error}")
                continue
            figures.breach(found is not None and forged != true, f"accepted: a key {len(forged)} characters long")


def _slower_when_nearly_right(random: Random, good: str) -> int:
    """How often a token whose last octet is wrong takes longer than one whose MAC is all wrong, side by side."""
    far = make_token(OTHER, Purpose.DELIVERY, *(read_token(SECRET, Purpose.DELIVERY, good) or (0,)))
    raw = drip.core.tokens._decode(good)
    assert raw is not None
    near = drip.core.tokens._encode(raw[:-1] + bytes([raw[-1] ^ 1]))
    slower = 0
    for _ in range(PAIRS):
        times = {}
        for token in random.sample((near, far), 2):
            times[token] = statistics.median(_time(token) for _ in range(5))
        slower += times[near] > times[far]
    return slower


def _time(token: str) -> int:
    began = time.perf_counter_ns()
    read_token(SECRET, Purpose.DELIVERY, token)
    return time.perf_counter_ns() - began


def takes_the_same_time(figures: Figures) -> Iterable[str]:
    """A sign test over all pairs; a comparison that stops early would be slower in nearly all of them."""
    slower, pairs = figures.counts["slower"], figures.counts["pairs"]
    if too_many(slower, pairs, 0.65, doubt=1e-6):
        yield f"a token that is nearly right took longer in {slower} of {pairs} pairs"


@contextmanager
def half_a_mac() -> Iterator[None]:
    """Only the beginning of the MAC is compared."""

    def half(one: bytes, other: bytes) -> bool:
        return one[:8] == other[:8]

    with patch.object(drip.core.tokens, "hmac", SimpleNamespace(**vars(hmac) | {"compare_digest": half})):
        yield


MAILS = 500
"""Mutated messages in a trial."""
TAKEN = 25
"""Of those, how many reach a database."""
TRUE = ("postfix-user-unknown", "gmail-no-such-user", "exim-user-unknown", "sendmail-user-unknown")
SECONDS = 1.0
"""Of the processor for a message; a bomb takes less than ten times that on a busy machine."""


def bounce_trial(case: Case) -> Figures:
    """Real bounces mutated, with another project's tokens; bombs; and one true bounce again and again."""
    figures, random = Figures(trials=1, faults=MAILS), case.random
    messages = [*mutated(MAILS, random.getrandbits(64)), random.choice(list(BOMBS.values()))()]
    for raw in messages:
        began = time.process_time()
        try:
            with suppress(mail.Unreadable):
                READER.understand(mail.parse(raw), raw)
        except Exception as error:
            figures.breaches.append(f"{type(error).__name__}: {error} for {raw[:200]!r}")
        took = time.process_time() - began
        figures.breach(took > (SECONDS if raw is not messages[-1] else 10 * SECONDS), f"{took:.1f} s for {raw[:200]!r}")
    with open_post(case.folder) as post:
        for raw in messages[:TAKEN]:
            post.take(raw)
        figures.breach(bool(post.suppressed), f"a forged bounce suppressed {post.suppressed}")
        true = post.sample(random.choice(TRUE))
        post.take(true)
        figures.breach(not post.suppressed, "the true bounce was not understood")
        before, events = post.status(), post.lab.events()
        for _ in range(3):
            again = post.take(true)
            figures.breach(isinstance(again, NoReport | Report), f"taken for {again}")
        figures.breach(post.status() != before or len(post.suppressed) != 1, "a repetition changed something")
        figures.breach(post.lab.events() != events, "a repetition was told")
        look_over(post.lab.store.database, figures)
    return figures


@contextmanager
def newer_policy() -> Iterator[None]:
    """The policy that the documentation recommends."""
    with patch.object(drip.inbound.mail, "compat32", default):
        yield


ROWS = [
    Row(
        number=22,
        promise="Tokens and keys can't be forged",
        fault="flipped bits, cut, longer, another project's, another purpose's, Unicode, a megabyte; revoked keys",
        ci=10_000,
        release=1_000_000,
        unit="forgeries",
        per_trial=FORGED,
        trial=token_trial,
        judged=takes_the_same_time,
        control=Control("compares half of the MAC", half_a_mac, within=4, shows="accepted"),
    ),
    Row(
        number=25,
        promise="Hostile bounces do no harm",
        fault="real samples mutated, forged without a token, nested, huge, repeated",
        ci=20_000,
        release=200_000,
        unit="messages",
        per_trial=MAILS,
        trial=bounce_trial,
        control=Control("parses with policy.default", newer_policy, within=8, shows="IndexError"),
    ),
]
