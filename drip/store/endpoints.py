"""Where events are posted to: the endpoints of drip.yaml, and one per key. No post is made or planned here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from drip.core.moments import to_milliseconds
from drip.core.settings import WebhookEndpoint
from drip.engine.records import Endpoint
from drip.store.database import Database
from drip.store.rows import moment, ms

_ENDPOINT = """
    SELECT id, key_id, url, secret, old_secret, old_secret_until, disabled_at, held_until
    FROM webhook_endpoint WHERE removed_at IS NULL
"""

_SET = """
    INSERT INTO webhook_endpoint AS e (key_id, url, secret, created_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (key_id) WHERE key_id IS NOT NULL DO UPDATE SET url = excluded.url, secret = excluded.secret,
        old_secret = CASE WHEN e.removed_at IS NULL AND e.secret <> excluded.secret THEN e.secret
            WHEN e.removed_at IS NULL THEN e.old_secret END,
        old_secret_until = CASE WHEN e.removed_at IS NULL AND e.secret <> excluded.secret THEN ?
            WHEN e.removed_at IS NULL THEN e.old_secret_until END,
        disabled_at = NULL, removed_at = NULL, held_until = NULL
"""

BURY = """
    UPDATE webhook_delivery SET state = 'dead', next_attempt_at = NULL, owner = NULL, lease_until = NULL, answer = ?
    WHERE state = 'waiting' AND endpoint_id = ?
"""


class Endpoints:
    """Which endpoints there are, and in what state."""

    def __init__(self, database: Database, declared: Sequence[WebhookEndpoint] = ()) -> None:
        """`declared` are those of drip.yaml; a URL is one endpoint."""
        self._database = database
        self._declared = {endpoint.url: endpoint for endpoint in declared}
        self._active: tuple[int, list[Endpoint]] = (0, [])

    def active(self) -> list[Endpoint]:
        """Those that events are for now. Inside a transaction they are read once: nobody else can change them."""
        epoch = self._database.epoch
        read_in, found = self._active
        if epoch is None or read_in != epoch:
            found = [endpoint for endpoint in self.all() if endpoint.disabled_at is None]
            if epoch is not None:
                self._active = (epoch, found)
        return found

    def all(self) -> list[Endpoint]:
        """Every endpoint in use, disabled ones included: those of drip.yaml in its order, then the keys'."""
        rows = self._database.rows(_ENDPOINT)
        by_url = {row[2]: row for row in rows if row[1] is None}
        if missing := [url for url in self._declared if url not in by_url]:
            with self._database.transaction():
                self._declare(missing)
            rows = self._database.rows(_ENDPOINT)
            by_url = {row[2]: row for row in rows if row[1] is None}
        declared = [self._from_file(by_url[url], endpoint) for url, endpoint in self._declared.items()]
        return declared + [_from_key(row) for row in sorted(rows) if row[1] is not None]

    def of_key(self, key_id: str) -> Endpoint | None:
        """The endpoint of a key, or None."""
        row = self._database.row(_ENDPOINT + " AND key_id = ?", key_id)
        return None if row is None else _from_key(row)

    def set(self, key_id: str, url: str, secret: str, now: datetime, *, old_secret_until: datetime) -> None:
        """Give a key an endpoint, or change it; in use again if it was disabled.

        Args:
            old_secret_until: how long a secret that is replaced goes on signing.
        """
        self._forget()
        self._database.run(_SET, key_id, url, secret, ms(now), ms(old_secret_until))

    def remove(self, key_id: str, why: str, now: datetime) -> bool:
        """Take a key's endpoint away; what waits for it is dead. False when it had none."""
        row_id = self._database.value(
            "UPDATE webhook_endpoint SET removed_at = ? WHERE key_id = ? AND removed_at IS NULL RETURNING id",
            *(ms(now), key_id),
        )
        self._forget()
        if row_id is not None:
            self._database.run(BURY, why, row_id)
        return row_id is not None

    def disable(self, endpoint_id: int, why: str, now: datetime) -> None:
        """Make nothing more for an endpoint; what waits for it is dead."""
        self._database.run("UPDATE webhook_endpoint SET disabled_at = ? WHERE id = ?", ms(now), endpoint_id)
        self._forget()
        self._database.run(BURY, why, endpoint_id)

    def enable(self, endpoint_id: int) -> bool:
        """Use an endpoint again; False when it was in use."""
        self._forget()
        return bool(
            self._database.run(
                "UPDATE webhook_endpoint SET disabled_at = NULL, held_until = NULL"
                " WHERE id = ? AND disabled_at IS NOT NULL",
                endpoint_id,
            )
        )

    def hold(self, endpoint_id: int, until: datetime) -> None:
        """Leave an endpoint alone until then."""
        self._database.run(
            "UPDATE webhook_endpoint SET held_until = ? WHERE id = ? AND COALESCE(held_until, 0) < ?",
            *(ms(until), endpoint_id, ms(until)),
        )

    def any(self) -> bool:
        """Whether there is any endpoint to post to."""
        return (
            bool(self._declared)
            or self._database.row("SELECT 1 FROM webhook_endpoint WHERE removed_at IS NULL LIMIT 1") is not None
        )

    def retire_undeclared(self, now: datetime) -> None:
        """Give up what waits for endpoints that drip.yaml no longer has."""
        gone = [
            row_id
            for row_id, key_id, url, *_ in self._database.rows(_ENDPOINT)
            if key_id is None and url not in self._declared
        ]
        if not gone:
            return
        with self._database.transaction():
            for row_id in gone:
                self._database.run("UPDATE webhook_endpoint SET removed_at = ? WHERE id = ?", ms(now), row_id)
                self._database.run(BURY, "the endpoint is no longer in drip.yaml", row_id)

    def _declare(self, urls: Sequence[str]) -> None:
        now = ms(datetime.now(UTC))
        self._database.run_many(
            "INSERT INTO webhook_endpoint (url, created_at) VALUES (?, ?)"
            " ON CONFLICT (url) WHERE key_id IS NULL DO UPDATE SET removed_at = NULL",
            [(url, now) for url in urls],
        )

    def _forget(self) -> None:
        self._active = (0, [])

    def _from_file(self, row: tuple[Any, ...], declared: WebhookEndpoint) -> Endpoint:
        return Endpoint(row[0], None, row[2], declared.secrets, declared.events, moment(row[6]), moment(row[7]))


def _from_key(row: tuple[Any, ...]) -> Endpoint:
    row_id, key_id, url, secret, old_secret, until, disabled_at, held_until = row
    replaced = (old_secret,) if old_secret is not None and until > to_milliseconds(datetime.now(UTC)) else ()
    return Endpoint(row_id, key_id, url, (secret, *replaced), None, moment(disabled_at), moment(held_until))
