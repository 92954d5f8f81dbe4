"""Row 28: a stop signal finishes what is in hand; a second one stops at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from drip.cli.main import INTERRUPTED
from drip.engine.worker import Worker
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import Trial, a_trial, run_drip

DUE = 20
LONGEST = 15.0
"""Seconds that a stop may take, but for those without a processor; the dot's answer may take longer, but not here."""
AT_ONCE = 5.0
"""Seconds, counted so, that a second signal may take; with the answers of this server a message takes less."""


def trial(case: Case) -> Figures:
    """One signal, or two, at a random moment of `drip run`."""
    random, twice = case.random, case.number % 2 == 1
    connections, command = random.randint(1, 4), random.choice((["run"], ["run", "--once"]))
    latency = 0.03 if twice else random.choice((0.002, 0.02))
    with a_trial(case, due=DUE, connections=connections, latency=latency) as one:
        child = run_drip(one, *command)
        one.wait_for(random.randint(1, DUE // 2), child)
        time.sleep(random.random() * 4 * latency)
        begun, starved = time.monotonic(), child.starved
        child.signal(random.choice((signal.SIGTERM, signal.SIGINT)))
        if twice:
            time.sleep(random.random() * 0.02)
            child.signal(signal.SIGTERM)
        code = child.wait()
        took = time.monotonic() - begun - (child.starved - starved)
        figures = Figures(trials=1, kills=1, faults=1 + twice)
        if twice:
            figures.breach(code not in (0, INTERRUPTED), f"two signals: exit code {code}: {one.errors.read_text()}")
            figures.breach(took > AT_ONCE, f"two signals: it took {took:.1f} s")
        else:
            figures.breach(code != 0, f"one signal: exit code {code}: {one.errors.read_text()}")
            figures.breach(took > LONGEST, f"one signal: it took {took:.1f} s")
            _at_rest(one, figures)
        one.finish()
        books = one.books()
        found = books.figures()
        found.trials = 0
        figures += found
        limit = connections if twice else 0
        figures.breach(len(books.unknown) > limit, f"{len(books.unknown)} unknown after {1 + twice} signals")
        one.look_over(figures)
        one.all_had_one(books, figures)
    return figures


def _at_rest(one: Trial, figures: Figures) -> None:
    """Nothing is claimed, nothing is in doubt, before anybody has swept."""
    with one.project().opened() as store:
        held = store.database.value("SELECT COUNT(*) FROM subscription WHERE owner IS NOT NULL")
        doubtful = store.database.value("SELECT COUNT(*) FROM delivery WHERE state IN ('sending', 'unknown')")
    figures.breach(held > 0, f"one signal: {held} claims were not freed")
    figures.breach(doubtful > 0, f"one signal: {doubtful} messages were left in hand")


@contextmanager
def at_once() -> Iterator[None]:
    """The first signal ends the process."""
    with patch.object(Worker, "stop", lambda self: os._exit(0)):
        yield


ROWS = [
    Row(
        number=28,
        promise="Stop is graceful",
        fault="SIGTERM or SIGINT at a random moment of `drip run`, then a second one",
        ci=100,
        release=1000,
        trial=trial,
        databases=("sqlite", "postgresql"),
        control=Control("the first signal ends the process", at_once, within=20, shows="were not freed"),
    )
]
