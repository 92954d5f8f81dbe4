"""What the agenda of a million subscriptions costs: `python -m tests.benchmarks.bench_agenda` prints it.

The aim is under 3 seconds. Absolute times are this machine's.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from drip.core.moments import to_milliseconds
from drip.engine.agenda import entries
from drip.store.store import Store
from tests.lab import Lab, a_sequence, a_step, open_lab

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SEQUENCES, STEPS = 10, 10

# People are spread over sequences and steps; each is due somewhere in the next ten days, or is overdue by up to one.
PEOPLE = """
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO contact (email, email_key, name, created_at, updated_at)
    SELECT 'p' || i || '@example.com', 'p' || i || '@example.com', 'P', 0, 0 FROM n
"""
SUBSCRIPTIONS = """
    INSERT INTO subscription (sequence_id, contact_id, status, started_at, origin_at, next_step_id, next_send_at,
        created_at, updated_at)
    SELECT q.id, c.id, 'active', ?, ?, t.id, ? + (c.id * 7919 % 11000) * 86400, 0, 0
    FROM contact c
    JOIN (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS place FROM sequence) q ON q.place = c.id % ?
    JOIN step t ON t.sequence_id = q.id AND t.position = 1 + c.id / 10 % ?
"""


def fill(lab: Lab, people: int) -> None:
    """Put so many people into the sequences, by bulk SQL."""
    steps = [a_step(f"step-{index}", "1d" if index else "0") for index in range(STEPS)]
    lab.apply(*(a_sequence(*steps, id=f"sequence-{index}") for index in range(SEQUENCES)))
    start = to_milliseconds(NOW - timedelta(days=1))
    with lab.store.transaction():
        lab.store.database.run(PEOPLE, people)
        lab.store.database.run(SUBSCRIPTIONS, start, start, start, SEQUENCES, STEPS)


def agenda(store: Store, until: datetime) -> int:
    """Ask as the command does; the number of messages that are to come."""
    total = 0
    for stored in store.sequences.all():
        waiting = store.agenda.waiting(stored.id, until)
        found = entries(stored, waiting, now=NOW, until=until, shown=ZoneInfo("Europe/Madrid"))
        total += sum(entry.total for entry in found)
    store.agenda.held()
    return total


def main() -> None:
    """Print the table."""
    people = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with TemporaryDirectory() as folder, open_lab(Path(folder)) as lab:
        fill(lab, people)
        for days in (1, 7, 30):
            begin = time.perf_counter()
            messages = agenda(lab.store, NOW + timedelta(days=days))
            print(
                f"{people:,} subscriptions, {days:2} days: {messages:,} messages, {time.perf_counter() - begin:.2f} s"
            )


if __name__ == "__main__":
    main()
