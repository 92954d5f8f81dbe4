"""Which database a URL names. Only the one that is named is imported."""

from __future__ import annotations

from pathlib import Path

from drip.errors import Invalid
from drip.store.database import Database


def open_url(url: str) -> Database:
    """The database behind a URL; nothing is opened yet.

    Raises:
        Invalid: the URL is of a kind drip does not know.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        from drip.store.sqlite import SqliteDatabase

        return SqliteDatabase(None if rest == "/:memory:" else Path(rest[1:]))
    if scheme == "postgresql":
        try:
            from drip.store.postgres.database import PostgresDatabase
        except ImportError as error:
            raise Invalid(
                f"database: PostgreSQL needs psycopg 3: {error}",
                "install it: `pipx inject drip 'psycopg[binary]'`, or pip install 'psycopg[binary]'",
            ) from error
        return PostgresDatabase(url)
    raise Invalid(
        f"database: {scheme}:// is not a database drip knows", "write sqlite:///drip.db or postgresql://user@host/name"
    )
