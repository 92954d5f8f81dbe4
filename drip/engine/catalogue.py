"""Sequences as last applied, kept in memory and read again when a revision is newer."""

from __future__ import annotations

from collections.abc import Iterable

from drip.engine.ports import Store
from drip.engine.records import StoredSequence


class Catalogue:
    """Answers for one thread at a time which steps a sequence has today."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[int, StoredSequence] = {}

    def refresh(self, sequence_ids: Iterable[int]) -> None:
        """Read again those of these that have a newer revision; call it in the transaction that relies on them."""
        for row_id, revision in self._store.sequences.stamps(sequence_ids).items():
            known = self._known.get(row_id)
            if known is not None and known.revision == revision:
                continue
            stored = self._store.sequences.by_id(row_id)
            if stored is not None:
                self._known[row_id] = stored

    def get(self, sequence_id: int) -> StoredSequence:
        """A sequence as of the last refresh."""
        if sequence_id not in self._known:
            self.refresh([sequence_id])
        return self._known[sequence_id]
