"""How long a worker's claims stand without a sign of life."""

from __future__ import annotations

from datetime import datetime, timedelta

from drip.engine.records import Worker

LEASE = timedelta(minutes=2)


def has_run_out(worker: Worker, now: datetime) -> bool:
    """Whether a worker has given no sign of life for too long.

    A lease that ends later than anybody could have taken it now is one from before the clock was put back: whoever is
    alive renews it soon, and waiting for its end might take years.
    """
    return not now <= worker.lease_until <= now + 2 * LEASE
