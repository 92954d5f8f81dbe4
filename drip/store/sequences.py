"""Sequences as last applied, their steps, revisions and templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drip.core.definition import definition_from_json, definition_to_json
from drip.core.edits import merge_order
from drip.core.moments import from_milliseconds, to_milliseconds
from drip.core.sequence import Definition, Sequence, SequenceStatus, Source, Step, Template
from drip.engine.records import StoredSequence, StoredStep
from drip.store.database import Database
from drip.store.rows import marks

_COLUMNS = (
    "q.id, q.status, q.file_status, q.source, q.path, q.key_id, q.revision, q.created_at, q.updated_at, r.content"
    " FROM sequence q JOIN revision r ON r.sequence_id = q.id AND r.number = q.revision"
)


@dataclass(frozen=True, slots=True)
class Revision:
    """What a sequence looked like after one apply or API change."""

    number: int
    at: datetime
    source: Source
    author: str | None
    """Who applied it, or the API key's id; None when it is not known."""
    commit: str | None
    """The git commit of the files; None outside of git, or when it came over the API."""
    dirty: bool
    """Whether the tree differed from that commit."""


class Sequences:
    """What sending needs of the files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def slugs(self) -> list[str]:
        """All ids, sorted."""
        return [slug for (slug,) in self._database.rows("SELECT slug FROM sequence ORDER BY slug")]

    def all(self) -> list[StoredSequence]:
        """All sequences, by id."""
        return [self._stored(row) for row in self._database.rows(f"SELECT {_COLUMNS} ORDER BY q.slug")]

    def by_slug(self, slug: str) -> StoredSequence | None:
        """One by its id, or None."""
        row = self._database.row(f"SELECT {_COLUMNS} WHERE q.slug = ?", slug)
        return None if row is None else self._stored(row)

    def by_id(self, row_id: int) -> StoredSequence | None:
        """One by its row's id, or None."""
        row = self._database.row(f"SELECT {_COLUMNS} WHERE q.id = ?", row_id)
        return None if row is None else self._stored(row)

    def stamps(self, row_ids: Iterable[int]) -> dict[int, int]:
        """The newest revision number of each, to see whether a cached one is still right."""
        ids = sorted(set(row_ids))
        rows = self._database.rows(f"SELECT id, revision FROM sequence WHERE id IN ({marks(len(ids))})", *ids)
        return dict(rows)

    def save(
        self,
        definition: Definition,
        *,
        now: datetime,
        source: Source,
        path: str | None = None,
        key_id: str | None = None,
        author: str | None = None,
        commit: str | None = None,
        dirty: bool = False,
    ) -> StoredSequence:
        """Make or change a sequence and write its next revision; people are not looked at here.

        The status is set only for a new sequence; see `set_status`.
        """
        sequence, at = definition.sequence, to_milliseconds(now)
        file_status = sequence.status.value if source is Source.FILE else None
        row_id = self._database.value("SELECT id FROM sequence WHERE slug = ?", sequence.id)
        if row_id is None:
            row_id = self._database.value(
                "INSERT INTO sequence (slug, name, status, source, key_id, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
                *(sequence.id, sequence.name, sequence.status.value, source.value, key_id, at, at),
            )
        before = self._steps_of(row_id)
        self._database.run(
            "UPDATE sequence SET name = ?, file_status = ?, source = ?, path = ?, revision = revision + 1,"
            " updated_at = ? WHERE id = ?",
            *(sequence.name, file_status, source.value, path, at, row_id),
        )
        self._database.run(
            "INSERT INTO revision (sequence_id, number, at, source, author, commit_id, dirty, content)"
            " SELECT id, revision, ?, ?, ?, ?, ?, ? FROM sequence WHERE id = ?",
            *(at, source.value, author, commit, int(dirty), definition_to_json(definition), row_id),
        )
        steps = _steps_of(sequence)
        self._save_steps(row_id, {key: position for key, (position, _) in steps.items()}, at)
        changed = [key for key, step in steps.items() if step != before.get(key)]
        self._database.run_many(
            "UPDATE step SET updated_at = ? WHERE sequence_id = ? AND key = ?", [(at, row_id, key) for key in changed]
        )
        stored = self.by_id(row_id)
        assert stored is not None
        return stored

    def set_status(self, row_id: int, status: SequenceStatus, now: datetime) -> bool:
        """Whether the status was another before."""
        return bool(
            self._database.run(
                "UPDATE sequence SET status = ?, updated_at = ? WHERE id = ? AND status <> ?",
                *(status.value, to_milliseconds(now), row_id, status.value),
            )
        )

    def set_file(self, row_id: int, path: str, status: SequenceStatus) -> None:
        """Remember where the file is now, and which status it asks for."""
        self._database.run("UPDATE sequence SET path = ?, file_status = ? WHERE id = ?", path, status.value, row_id)

    def delete(self, row_id: int) -> None:
        """Remove a sequence that nobody ever was in."""
        self._database.run("DELETE FROM sequence WHERE id = ?", row_id)

    def revisions(self, row_id: int) -> list[Revision]:
        """All revisions of a sequence, newest first."""
        rows = self._database.rows(
            "SELECT number, at, source, author, commit_id, dirty FROM revision WHERE sequence_id = ?"
            " ORDER BY number DESC",
            row_id,
        )
        return [
            Revision(number, from_milliseconds(at), Source(source), author, commit, bool(dirty))
            for number, at, source, author, commit, dirty in rows
        ]

    def definition_at(self, row_id: int, number: int) -> Definition | None:
        """What a sequence looked like at a revision, or None when there is none of that number."""
        content = self._database.value(
            "SELECT content FROM revision WHERE sequence_id = ? AND number = ?", row_id, number
        )
        return None if content is None else definition_from_json(content)

    def save_templates(self, templates: Mapping[str, Template], now: datetime) -> None:
        """Make the templates of the files what they are now; those made over the API are left alone."""
        at, known = to_milliseconds(now), self.templates()
        changed = [template for template in templates.values() if template != known.get(template.name)]
        self._database.run_many(
            "INSERT INTO template (name, source, subject, layout, markdown, html, text, created_at, updated_at)"
            " VALUES (?, 'file', ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET source = 'file', subject = excluded.subject,"
            " layout = excluded.layout, markdown = excluded.markdown, html = excluded.html, text = excluded.text,"
            " updated_at = excluded.updated_at",
            [(t.name, t.subject, t.layout, t.markdown, t.html, t.text, at, at) for t in changed],
        )
        names = sorted(templates)
        self._database.run(
            "DELETE FROM template WHERE source = 'file' AND name NOT IN"
            f" (SELECT kept.name FROM template kept WHERE kept.name IN ({marks(len(names))}))",
            *names,
        )

    def templates(self) -> dict[str, Template]:
        """All templates by name."""
        rows = self._database.rows("SELECT name, subject, layout, markdown, html, text, source FROM template")
        return {
            name: Template(name, subject, layout, markdown, html, text, Source(source))
            for name, subject, layout, markdown, html, text, source in rows
        }

    def _stored(self, row: tuple[Any, ...]) -> StoredSequence:
        row_id, status, file_status, source, path, key_id, revision, created, updated, content = row
        steps = self._database.rows(
            "SELECT id, key, rank, position FROM step WHERE sequence_id = ? ORDER BY rank", row_id
        )
        return StoredSequence(
            id=row_id,
            status=SequenceStatus(status),
            file_status=SequenceStatus(file_status) if file_status else None,
            source=Source(source),
            path=path,
            key_id=key_id,
            revision=revision,
            steps=tuple(StoredStep(*step) for step in steps),
            definition=definition_from_json(content, SequenceStatus(status)),
            created_at=from_milliseconds(created),
            updated_at=from_milliseconds(updated),
        )

    def _steps_of(self, row_id: int) -> Mapping[str, tuple[int | None, Step]]:
        stored = self.by_id(row_id)
        return {} if stored is None else _steps_of(stored.sequence)

    def _save_steps(self, row_id: int, positions: Mapping[str, int | None], at: int) -> None:
        before = [
            key for (key,) in self._database.rows("SELECT key FROM step WHERE sequence_id = ? ORDER BY rank", row_id)
        ]
        order = merge_order(before, list(positions))
        # Positions are unique: all are cleared before any is set.
        self._database.run("UPDATE step SET position = NULL WHERE sequence_id = ?", row_id)
        self._database.run_many(
            "INSERT INTO step (sequence_id, key, rank, position, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (sequence_id, key) DO UPDATE SET rank = excluded.rank, position = excluded.position",
            [(row_id, key, rank, positions.get(key), at, at) for rank, key in enumerate(order, 1)],
        )


def _steps_of(sequence: Sequence) -> dict[str, tuple[int | None, Step]]:
    """Each step and its position, by key: a step that is the same in both was not changed."""
    return {step.key: (sequence.position(step.key), step) for step in sequence.steps}
