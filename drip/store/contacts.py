"""People, and the addresses that are never mailed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from drip.core.address import ERASED_KEYS, email_key, erased_key, spelt_like
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.core.subscription import ContactStatus, SuppressionReason
from drip.engine.records import Contact, Suppression
from drip.store.database import EVERYTHING, Database
from drip.store.rows import dump, given, load, marks

_GRAVITY = (
    SuppressionReason.BOUNCE,
    SuppressionReason.MANUAL,
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.COMPLAINT,
)
"""From the least to the gravest: a bounce may turn out to be our own fault, a person's word does not."""

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}|[245][0-9]{2}")
"""A status code; anything else that is kept beside an address is somebody's words, and may name the person."""
_PAGE = 1000
"""Contacts read at once."""
_HAS = "instr(email_key, ?) > 0"
_CONTACT = "id, email, name, variables, status, created_at, updated_at"


class Contacts:
    """People by address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_email(self, email: str) -> Contact | None:
        """The contact with that address, however it is spelt; or None."""
        row = self._database.row(f"SELECT {_CONTACT} FROM contact WHERE email_key = ?", email_key(email))
        return None if row is None else _contact(row)

    def by_keys(self, keys: Sequence[str]) -> dict[str, Contact]:
        """Those of these keys that exist; at most some thousands at once."""
        rows = self._database.rows(
            f"SELECT email_key, {_CONTACT} FROM contact WHERE email_key IN ({marks(len(keys))})", *keys
        )
        return {key: _contact(tuple(row)) for key, *row in rows}

    def by_id(self, row_id: int) -> Contact | None:
        """One by its row's id, or None."""
        row = self._database.row(f"SELECT {_CONTACT} FROM contact WHERE id = ?", row_id)
        return None if row is None else _contact(row)

    def each(
        self, *, status: ContactStatus | None = None, search: str | None = None, limit: int | None = None
    ) -> Iterator[Contact]:
        """As `page`, from the first on, not all in memory at once; a limit of None is no limit."""
        last = None
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            where, params = given(("id < ?", last), ("status = ?", status), (_HAS, search))
            rows = self._database.rows(
                f"SELECT {_CONTACT} FROM contact WHERE 1 = 1{where} ORDER BY id DESC LIMIT ?", *params, size
            )
            yield from map(_contact, rows)
            if len(rows) < size:
                return
            last = rows[-1][0]
            left = None if left is None else left - size

    def page(
        self, *, status: ContactStatus | None = None, search: str | None = None, limit: int, offset: int
    ) -> list[Contact]:
        """Contacts, newest first, whose address has `search` in it."""
        where, params = given(("status = ?", status), (_HAS, search))
        rows = self._database.rows(
            f"SELECT {_CONTACT} FROM contact WHERE 1 = 1{where} ORDER BY id DESC LIMIT ? OFFSET ?",
            *params,
            limit,
            offset,
        )
        return [_contact(row) for row in rows]

    def count(self, *, status: ContactStatus | None = None, search: str | None = None) -> int:
        """How many `page` gives without a limit."""
        where, params = given(("status = ?", status), (_HAS, search))
        return int(self._database.value(f"SELECT COUNT(*) FROM contact WHERE 1 = 1{where}", *params))

    def add(self, people: Iterable[tuple[str, str]], now: datetime) -> dict[str, Contact]:
        """Insert (email, name) pairs; those that exist are left alone, the others returned by their key."""
        at = to_milliseconds(now)
        rows = {email_key(email): (email, name) for email, name in people}
        before = self._database.value("SELECT MAX(id) FROM contact") or 0
        # One by one: whoever inserts several parents at once has SQLite look at all children.
        self._database.run_many(
            "INSERT INTO contact (email, email_key, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (email_key) DO NOTHING",
            [(email, key, name, at, at) for key, (email, name) in rows.items()],
        )
        added = self._database.rows(
            f"SELECT email_key, id FROM contact WHERE email_key IN ({marks(len(rows))}) AND id > ?", *rows, before
        )
        moment = from_milliseconds(at)
        return {
            key: Contact(row_id, *rows[key], {}, ContactStatus.ACTIVE.value, moment, moment) for key, row_id in added
        }

    def rename(self, names: Iterable[tuple[int, str]], now: datetime) -> None:
        """Set the names of contacts, given as (id, name)."""
        at = to_milliseconds(now)
        self._database.run_many(
            "UPDATE contact SET name = ?, updated_at = ? WHERE id = ?", [(name, at, row_id) for row_id, name in names]
        )

    def set_variables(self, row_id: int, variables: dict[str, Any], now: datetime) -> None:
        """Replace a contact's variables."""
        self._database.run(
            "UPDATE contact SET variables = ?, updated_at = ? WHERE id = ?",
            *(dump(variables), to_milliseconds(now), row_id),
        )

    def set_status(self, key: str, status: ContactStatus, now: datetime) -> None:
        """Set whether a contact may be mailed; does nothing when there is no such contact."""
        self._database.run(
            "UPDATE contact SET status = ?, updated_at = ? WHERE email_key = ?",
            *(status.value, to_milliseconds(now), key),
        )

    def near(self, email: str) -> list[str]:
        """A few addresses that are spelt like this one, the nearest first.

        Among those that begin like it and, as a first letter may be wrong too, a thousand others: all there are in a
        small project.
        """
        start = email_key(email)[:2] if "@" in email else email.casefold()[:2]
        rows = self._database.rows(
            "SELECT email FROM contact WHERE email_key >= ? AND email_key < ? LIMIT 1000", start, start + "\U0010ffff"
        )
        rows += self._database.rows("SELECT email FROM contact ORDER BY email_key LIMIT 1000")
        return spelt_like(email, [found for (found,) in rows])


class Suppressions:
    """The list of addresses that are never mailed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def among(self, keys: Sequence[str]) -> dict[str, SuppressionReason]:
        """Those of these keys that are suppressed, with the reason; erased people are recognised."""
        known = {key: key for key in keys}
        if self._database.row("SELECT 1 FROM suppression WHERE email_key >= ? AND email_key < ? LIMIT 1", *ERASED_KEYS):
            known |= {erased_key(key): key for key in keys}
        rows = self._database.rows(
            f"SELECT email_key, reason FROM suppression WHERE email_key IN ({marks(len(known))})", *known
        )
        return {known[spelling]: SuppressionReason(reason) for spelling, reason in rows}

    def get(self, email: str) -> Suppression | None:
        """The entry of an address, or None."""
        key = email_key(email)
        row = self._database.row(
            "SELECT email, reason, code, added_at FROM suppression WHERE email_key IN (?, ?)", key, erased_key(key)
        )
        return None if row is None else _suppression(row)

    def add(
        self,
        email: str,
        reason: SuppressionReason,
        now: datetime,
        *,
        code: str | None = None,
        delivery_id: int | None = None,
    ) -> bool:
        """Whether it is new, or has a graver reason now; a lesser one changes nothing."""
        self.know(email)
        lesser = [other.value for other in _GRAVITY[: _GRAVITY.index(reason)]]
        return bool(
            self._database.run(
                "INSERT INTO suppression (email_key, email, reason, code, delivery_id, added_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (email_key) DO UPDATE SET reason = excluded.reason,"
                " code = excluded.code, delivery_id = excluded.delivery_id, added_at = excluded.added_at"
                f" WHERE suppression.reason IN ({marks(len(lesser))})",
                *(email_key(email), email, reason.value, code, delivery_id, to_milliseconds(now)),
                *lesser,
            )
        )

    def remove(self, email: str) -> bool:
        """Whether it was there."""
        key = email_key(email)
        return bool(self._database.run("DELETE FROM suppression WHERE email_key IN (?, ?)", key, erased_key(key)))

    def forget(self, key: str) -> None:
        """Keep that an address is suppressed, but no longer which one it is."""
        erased = erased_key(key)
        code = self._database.value("SELECT code FROM suppression WHERE email_key = ?", key)
        self._database.run(
            "UPDATE suppression SET code = ?, delivery_id = NULL WHERE email_key = ?",
            *(code if _STATUS.fullmatch(code or "") else None, key),
        )
        self._rename(key, erased, erased)

    def know(self, email: str) -> None:
        """The address of somebody who was erased is known again: if suppressed, it is found under it from now on."""
        key = email_key(email)
        self._rename(erased_key(key), key, email)

    def _rename(self, old: str, new: str, email: str) -> None:
        """Keep an entry under another key, in place of one that stands there."""
        with self._database.transaction():
            if self._database.row("SELECT 1 FROM suppression WHERE email_key = ?", old) is not None:
                self._database.run("DELETE FROM suppression WHERE email_key = ?", new)
                self._database.run(
                    "UPDATE suppression SET email_key = ?, email = ? WHERE email_key = ?", new, email, old
                )

    def count(self, *, reason: SuppressionReason | None = None, search: str | None = None) -> int:
        """How many `list` gives without a limit."""
        where, params = given(("reason = ?", reason), (_HAS, search))
        return int(self._database.value(f"SELECT COUNT(*) FROM suppression WHERE 1 = 1{where}", *params))

    def remove_made_by(self, delivery_ids: Sequence[int]) -> list[tuple[str, datetime]]:
        """Remove the entries that these refusals made: (address, when it was added) of each."""
        rows = self._database.rows(
            "DELETE FROM suppression WHERE reason = 'bounce' AND (email_key, delivery_id) IN ("
            " SELECT c.email_key, d.id FROM delivery d JOIN subscription s ON s.id = d.subscription_id"
            f" JOIN contact c ON c.id = s.contact_id WHERE d.id IN ({marks(len(delivery_ids))}))"
            " RETURNING email, added_at",
            *delivery_ids,
        )
        return [(email, from_milliseconds(added)) for email, added in rows]

    def list(
        self,
        *,
        reason: SuppressionReason | None = None,
        search: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Suppression]:
        """Entries, newest first. A limit of None is no limit."""
        where, params = given(("reason = ?", reason), (_HAS, search))
        rows = self._database.rows(
            f"SELECT email, reason, code, added_at FROM suppression WHERE 1 = 1{where}"
            " ORDER BY added_at DESC, email_key LIMIT ? OFFSET ?",
            *params,
            EVERYTHING if limit is None else limit,
            offset,
        )
        return [_suppression(row) for row in rows]


def _contact(row: tuple[Any, ...]) -> Contact:
    row_id, email, name, variables, status, created, updated = row
    return Contact(row_id, email, name, load(variables), status, from_milliseconds(created), from_milliseconds(updated))


def _suppression(row: tuple[Any, ...]) -> Suppression:
    email, reason, code, added = row
    return Suppression(email, SuppressionReason(reason), code, from_milliseconds(added))
