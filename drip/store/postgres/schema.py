"""The migrations, which are written in SQLite's words, made on PostgreSQL."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drip.errors import DripError
from drip.store.database import Cursor
from drip.store.postgres.sql import definition

Execute = Callable[[str, Sequence[Any]], Cursor]


def make_migrations(folder: Path, standing: int, execute: Execute) -> None:
    """Make those of a folder that come after number `standing`, in their order.

    Raises:
        DripError: a file is no migration.
        psycopg.Error: as the server says.
    """
    for path in sorted(folder.glob("[0-9]*.py")):
        if int(path.name.partition("_")[0]) > standing:
            _load(path).up(None, _Definer(execute))


class _Definer:
    """What a migration is given."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def execute_sql(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Execute one statement."""
        return self._execute(definition(sql), params)


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"drip_migration_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DripError(f"{path} is no migration")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
