"""The database as one object, a question per attribute."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from drip.core.moments import from_milliseconds, to_milliseconds
from drip.core.settings import Settings
from drip.store.budgets import Budgets
from drip.store.claims import Claims
from drip.store.contacts import Contacts, Suppressions
from drip.store.database import Database
from drip.store.deliveries import Deliveries
from drip.store.endpoints import Endpoints
from drip.store.erasure import Erasure
from drip.store.events import Events
from drip.store.keys import Keys
from drip.store.migrate import ensure_schema, open_patiently
from drip.store.overview import Overview
from drip.store.pruning import Pruning
from drip.store.reports import Reports
from drip.store.sequences import Sequences
from drip.store.subscriptions import Subscriptions
from drip.store.templates import Templates
from drip.store.webhooks import Webhooks

if TYPE_CHECKING:
    from drip.store.agenda import Agenda
    from drip.store.letters import Letters
    from drip.store.stats import Stats


class Store:
    """One project's memory."""

    def __init__(self, database: Database, settings: Settings | None = None) -> None:
        """Nothing is opened yet; see `opened`. Without settings no event is made ready for drip.yaml's webhooks."""
        self.database = database
        self.sequences = Sequences(database)
        self.contacts = Contacts(database)
        self.suppressions = Suppressions(database)
        self.subscriptions = Subscriptions(database)
        self.claims = Claims(database)
        self.budgets = Budgets(database)
        self.deliveries = Deliveries(database)
        self.keys = Keys(database)
        self.endpoints = Endpoints(database, settings.webhooks if settings else ())
        self.webhooks = Webhooks(database, self.endpoints, settings.project if settings else "")
        self.events = Events(database, self.webhooks)
        self.reports = Reports(database)
        self.overview = Overview(database)
        self.templates = Templates(database)
        self.erasure = Erasure(database)
        self.pruning = Pruning(database)

    # One command each asks for these; all others start without them.

    @cached_property
    def agenda(self) -> Agenda:
        """What is to come for everybody."""
        from drip.store.agenda import Agenda

        return Agenda(self.database)

    @cached_property
    def letters(self) -> Letters:
        """What explains a message."""
        from drip.store.letters import Letters

        return Letters(self.database)

    @cached_property
    def stats(self) -> Stats:
        """How far people got."""
        from drip.store.stats import Stats

        return Stats(self.database)

    @contextmanager
    def opened(self) -> Iterator[Path | None]:
        """Connect this thread, and bring the schema up to date.

        Yields:
            The backup that was made before a migration, or None.

        Raises:
            DatabaseUnavailable: it can't be opened or written, or a newer program has migrated it.
        """
        open_patiently(self.database)
        try:
            backup = ensure_schema(self.database)
            # Before anybody can make a copy: one that is put back is known by its id, and its links are the same.
            self.identity()
            self.secret()
            yield backup
        finally:
            self.database.close()

    def connected(self) -> AbstractContextManager[None]:
        """This thread's connection, held open; may be nested."""
        return self.database.connected()

    def transaction(self, *, alone: bool = True, patient: bool = True) -> AbstractContextManager[None]:
        """All or nothing; joins one that is open.

        Args:
            alone: nobody else writes meanwhile. False: others of these may go on beside it, each with rows that are
                its own alone, as claims are.
        """
        return self.database.transaction(alone=alone, patient=patient)

    def awake(self) -> datetime:
        """The real moment, by the clock that all processes on this database share; leases run by it."""
        return self.database.now()

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of a transaction that can fail by itself."""
        return self.database.savepoint()

    def version(self) -> object:
        """Another one whenever anything was written to the database, by whomever."""
        return self.database.version()

    def require_space(self) -> None:
        """Raise DatabaseUnavailable when what is sent might not be recorded for want of disk."""
        self.database.require_space()

    def secret(self) -> bytes:
        """The key that tokens are signed with: `DRIP_SECRET_KEY`, or one made once and kept in the database."""
        given = os.environ.get("DRIP_SECRET_KEY")
        return given.encode() if given else self._meta("secret_key", secrets.token_hex(32)).encode()

    def identity(self) -> str:
        """The database's own id, made once; a copy has the same."""
        return self._meta("database_id", uuid.uuid4().hex)

    def restored_until(self) -> datetime | None:
        """Until when messages may have been sent that the database does not know of; None: it never went back."""
        kept = self.database.value("SELECT value FROM meta WHERE name = 'restored_until'")
        return None if kept is None else from_milliseconds(int(kept))

    def set_restored_until(self, moment: datetime) -> None:
        """Remember that the database went back in time."""
        self.database.run(
            "INSERT INTO meta (name, value) VALUES ('restored_until', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            str(to_milliseconds(moment)),
        )

    def breaker_openings(self) -> int:
        """How often a breaker has opened, of whichever worker."""
        return int(self.database.value("SELECT value FROM meta WHERE name = 'breaker_openings'") or 0)

    def count_breaker_opening(self) -> None:
        """A breaker has opened."""
        self.database.run(
            "INSERT INTO meta (name, value) VALUES ('breaker_openings', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            str(self.breaker_openings() + 1),
        )

    def _meta(self, name: str, fresh: str) -> str:
        found: str | None = self.database.value("SELECT value FROM meta WHERE name = ?", name)
        if found is not None:
            return found
        self.database.run("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, fresh)
        return str(self.database.value("SELECT value FROM meta WHERE name = ?", name))
