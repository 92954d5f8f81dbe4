"""Bounces, complaints and opt-outs as they came in, each once; and the mailbox they are read from."""

from __future__ import annotations

from datetime import datetime

from drip.core.moments import from_milliseconds
from drip.core.reports import ReportKind
from drip.engine.records import Inbox, Posted, ReportCounts, StoredReport
from drip.store.database import Database
from drip.store.rows import moment, ms

_MAILBOX = "mailbox"
"""What the mailbox of drip.yaml is called in the table; there is one."""

_DELIVERED = """
    SELECT MAX(d.at) FROM subscription s JOIN delivery d ON d.subscription_id = s.id
    WHERE s.contact_id = ? AND s.replaced = 0 AND d.state = 'sent' AND NOT EXISTS (
        SELECT 1 FROM report r WHERE r.contact_id = s.contact_id AND r.kind IN ('soft', 'hard')
        AND r.subscription_id = d.subscription_id AND r.step_id = d.step_id)
"""


class Reports:
    """What came back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, report: StoredReport) -> bool:
        """Whether it is new; one that was there before is left as it is."""
        return bool(
            self._database.run(
                "INSERT INTO report"
                " (key, at, kind, proven, source, contact_id, subscription_id, step_id, sent_at, code)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                *(report.key, ms(report.at), report.kind.value, int(report.proven), report.source),
                *(report.contact_id, report.subscription_id, report.step_id, ms(report.sent_at), report.code),
            )
        )

    def harden(self, key: str) -> None:
        """A soft bounce was one too many."""
        self._database.run("UPDATE report SET kind = 'hard' WHERE key = ? AND kind = 'soft'", key)

    def soft_in_a_row(self, contact_id: int) -> int:
        """Soft bounces of a person since something reached them, or since the last hard one."""
        delivered = self._database.value(_DELIVERED, contact_id)
        hard = self._database.value("SELECT MAX(at) FROM report WHERE contact_id = ? AND kind = 'hard'", contact_id)
        return int(
            self._database.value(
                "SELECT COUNT(*) FROM report WHERE contact_id = ? AND kind = 'soft' AND sent_at >= ? AND at >= ?",
                *(contact_id, -1 if delivered is None else delivered, -1 if hard is None else hard),
            )
        )

    def posted(self, subscription_id: int, step_id: int) -> Posted | None:
        """A message that was handed over; None when there is none."""
        row = self._database.row(
            "SELECT subscription_id, step_id, at FROM delivery WHERE subscription_id = ? AND step_id = ?"
            " AND state IN ('sent', 'sending', 'unknown')",
            *(subscription_id, step_id),
        )
        return None if row is None else Posted(row[0], row[1], from_milliseconds(row[2]))

    def last_posted(self, contact_id: int) -> Posted | None:
        """The newest message that a person was sent; None when there is none."""
        row = self._database.row(
            "SELECT d.subscription_id, d.step_id, d.at FROM subscription s JOIN delivery d ON d.subscription_id = s.id"
            " WHERE s.contact_id = ? AND s.replaced = 0 AND d.state = 'sent' ORDER BY d.at DESC LIMIT 1",
            contact_id,
        )
        return None if row is None else Posted(row[0], row[1], from_milliseconds(row[2]))

    def counts(self) -> ReportCounts:
        """How many of each kind there ever were."""
        rows = self._database.rows("SELECT kind, proven, COUNT(*) FROM report GROUP BY kind, proven")
        by_kind = {ReportKind(kind): count for kind, proven, count in rows if proven}
        return ReportCounts(
            **{kind.value: by_kind.get(kind, 0) for kind in ReportKind},
            unproven=sum(count for _, proven, count in rows if not proven),
        )

    def note_read(self, now: datetime) -> None:
        """The mailbox was read."""
        self._database.run(
            "INSERT INTO inbox (name, read_at) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET read_at = excluded.read_at, error = NULL, error_at = NULL",
            *(_MAILBOX, ms(now)),
        )

    def note_error(self, error: str, now: datetime) -> None:
        """The mailbox could not be read; since when is kept while it lasts."""
        self._database.run(
            "INSERT INTO inbox (name, error, error_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
            " error = excluded.error, error_at = COALESCE(inbox.error_at, excluded.error_at)",
            *(_MAILBOX, error[:500], ms(now)),
        )

    def inbox(self) -> Inbox | None:
        """How the last looks into the mailbox went; None before the first."""
        row = self._database.row("SELECT read_at, error, error_at FROM inbox WHERE name = ?", _MAILBOX)
        return None if row is None else Inbox(moment(row[0]), row[1], moment(row[2]))
