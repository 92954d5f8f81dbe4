"""Templates by themselves: those of the files as last applied, and those made over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drip.core.moments import from_milliseconds, to_milliseconds
from drip.core.sequence import Source, Template
from drip.engine.records import StoredTemplate
from drip.store.database import Database

_TEMPLATE = "SELECT name, subject, layout, markdown, html, text, source, title, created_at, updated_at FROM template"


class Templates:
    """Content that several steps may use."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredTemplate]:
        """All of them, newest first."""
        return [_stored(row) for row in self._database.rows(_TEMPLATE + " ORDER BY created_at DESC, name")]

    def get(self, name: str) -> StoredTemplate | None:
        """One by its name, or None."""
        row = self._database.row(_TEMPLATE + " WHERE name = ?", name)
        return None if row is None else _stored(row)

    def save(self, template: Template, title: str, now: datetime) -> None:
        """Make or change one that belongs to the API."""
        at = to_milliseconds(now)
        self._database.run(
            "INSERT INTO template (name, source, title, subject, html, text, created_at, updated_at)"
            " VALUES (?, 'api', ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET title = excluded.title,"
            " subject = excluded.subject, html = excluded.html, text = excluded.text,"
            " updated_at = excluded.updated_at WHERE template.source = 'api'",
            *(template.name, title, template.subject, template.html, template.text, at, at),
        )

    def delete(self, name: str) -> None:
        """Remove one that belongs to the API."""
        self._database.run("DELETE FROM template WHERE name = ? AND source = 'api'", name)


def _stored(row: tuple[Any, ...]) -> StoredTemplate:
    name, subject, layout, markdown, html, text, source, title, created, updated = row
    return StoredTemplate(
        template=Template(name, subject, layout, markdown, html, text, Source(source)),
        title=title or name,
        created_at=from_milliseconds(created),
        updated_at=from_milliseconds(updated),
    )
