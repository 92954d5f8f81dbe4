"""What travel in time costs: `python -m tests.benchmarks.bench_simulate` prints it.

The aim is three years of a sequence of 50 steps in under 2 seconds, the imports included. Absolute times are this
machine's.
"""

from __future__ import annotations

import time
from datetime import time as clock
from datetime import timedelta
from pathlib import Path

BODY = "Hola {{ name }},\n\n" + "te damos la **bienvenida** a todo lo que viene.\n\n" * 20
STEPS, EVERY = 50, timedelta(days=22)
"""Fifty steps of 22 days are three years."""


def main() -> None:
    """Print the times."""
    begin = time.perf_counter()
    from drip.core.address import Address
    from drip.core.expectations import SampleSubscriber
    from drip.core.sequence import Definition, SendWindow, Sequence, Step
    from drip.core.settings import Settings
    from drip.engine.simulate import simulate
    from drip.project import Project

    window = SendWindow(frozenset(range(5)), clock(9), clock(18))
    steps = tuple(Step(f"step-{index}", EVERY, subject="{{ name }}", body=BODY) for index in range(STEPS))
    sequence = Sequence("long", "Long", steps=steps, timezone="Europe/Madrid", send_window=window)
    settings = Settings(folder=Path(), path=Path("drip.yaml"), sender=Address("a@example.com"), project="bench")
    for run in ("first, with imports", "second"):
        subscriber = SampleSubscriber(variables={"name": "Ada"})
        with Project(settings).rehearsal(subscriber.at) as rehearsal:
            calendar = simulate(rehearsal, Definition(sequence), subscriber)
        days = (calendar.rows[-1].at - subscriber.at).days
        print(f"{run}: {len(calendar.rows)} steps over {days} days in {time.perf_counter() - begin:.2f} s")
        begin = time.perf_counter()


if __name__ == "__main__":
    main()
