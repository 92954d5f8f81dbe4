"""peewee without the drivers of other databases: it loads each that is installed, which takes longer than a run."""

from __future__ import annotations

import sys

_DRIVERS = ("psycopg", "psycopg2", "psycopg2cffi", "pymysql", "MySQLdb", "mysql")

_hidden = [name for name in _DRIVERS if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]  # None makes an import fail at once
try:
    import peewee
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["peewee"]
