"""peewee without the drivers of other databases: it loads each that is installed, which takes longer than a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_DRIVERS = ("psycopg", "psycopg2", "psycopg2cffi", "pymysql", "MySQLdb", "mysql")


@contextmanager
def without_drivers() -> Iterator[None]:
    """In this block, drivers that are not loaded yet seem not to be installed."""
    hidden = [name for name in _DRIVERS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import fail at once
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with without_drivers():
    import peewee

__all__ = ["peewee", "without_drivers"]
