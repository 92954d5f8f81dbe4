"""`python -m tests.faults.worker FOLDER [naive]`: one pass on a project, in a process that can be killed."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from drip.core.delivery import DeliveryState
from drip.engine.ledger import Ledger
from drip.engine.records import Marked
from drip.project import open_project
from drip.store.claims import Claims


def make_naive() -> None:
    """The control: send, then record. Nothing is written before the final dot."""

    def mark(self: Ledger, marked: Marked, now: datetime) -> bool:
        return True

    def settle(
        self: Claims, subscription_id: int, step_id: int, claim: int, state: DeliveryState, now: datetime, **rest: Any
    ) -> bool:
        return bool(
            self._database.run(
                "INSERT INTO delivery (subscription_id, step_id, state, at, reason) VALUES (?, ?, ?, 0, 'naive')"
                " ON CONFLICT DO NOTHING",
                *(subscription_id, step_id, state.value),
            )
        )

    Ledger.mark = mark  # type: ignore[method-assign]
    Claims.settle = settle  # type: ignore[method-assign]


def main() -> None:
    """Run one pass; exit 3 when the transport is in trouble."""
    if "naive" in sys.argv[2:]:
        make_naive()
    project = open_project(Path(sys.argv[1]))
    with project.opened(), project.worker() as worker:
        report = worker.run_once()
    sys.exit(3 if report.trouble else 0)


if __name__ == "__main__":
    main()
