"""API keys: made, recognised, revoked. A key is shown once and never kept; nothing here may log or quote one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drip.core.address import clean_line
from drip.engine.ports import Store
from drip.engine.records import Key
from drip.errors import DatabaseBusy, Invalid, NotFound, Refused

KEY_PREFIX = "drip_"
"""What every key begins with: secret scanners can look for it."""
SHOWN = len(KEY_PREFIX) + 6
"""So many characters of a key are kept to tell it apart; 220 bits stay secret."""
USE_EVERY = timedelta(minutes=1)
"""How exactly the last use is remembered: a request must not cost a write."""

_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key on the only occasion that it is known."""

    key: Key
    secret: str = field(repr=False)
    """The key itself, `drip_…`."""


def create_key(store: Store, name: str, now: datetime) -> NewKey:
    """Make a key.

    Raises:
        Invalid: the name is empty or too long.
    """
    presented = KEY_PREFIX + secrets.token_urlsafe(32)
    key = Key(f"key_{secrets.token_hex(8)}", checked_name(name), presented[:SHOWN], now, None, None)
    with store.transaction():
        store.keys.add(key, _digest(presented))
    return NewKey(key, presented)


def rename_key(store: Store, key: Key, name: str) -> None:
    """Call a key something else; raises Invalid."""
    with store.transaction():
        store.keys.rename(key.id, checked_name(name))


def checked_name(name: str) -> str:
    """What a key may be called; raises Invalid."""
    name = clean_line(name)
    if not 1 <= len(name) <= 100:
        raise Invalid("the name of a key has 1 to 100 characters")
    return name


def authenticate(store: Store, presented: str, now: datetime) -> Key | None:
    """Whose key was presented; None when it is nobody's, or revoked.

    Takes the same work whether the prefix is known or not, and compares in constant time. Where somebody else writes, a
    use goes unnoted: who only reads must not wait for that.
    """
    digest = _digest(presented)
    candidates: list[tuple[Key | None, bytes]] = [(None, _NOBODY)]
    candidates += store.keys.with_prefix(presented[:SHOWN].encode("utf-8", "replace").decode())
    found = None
    for key, known in candidates:
        if hmac.compare_digest(digest, known):
            found = key
    if found is None or found.revoked_at is not None:
        return None
    if found.last_used_at is None or now - found.last_used_at >= USE_EVERY:
        with suppress(DatabaseBusy), store.transaction(patient=False):
            store.keys.note_use(found.id, now)
    return found


def find_key(store: Store, name: str) -> Key:
    """A key by its id, or by its name where only one good key has it.

    Raises:
        NotFound: there is none.
        Refused: several have that name.
    """
    key = store.keys.get(name)
    if key is not None:
        return key
    keys = store.keys.all()
    named = [key for key in keys if key.name == name]
    good = [key for key in named if key.revoked_at is None] or named[-1:]
    if len(good) > 1:
        raise Refused("already_exists", f"several keys are called {name!r}", "use an id: `drip keys list`")
    if not good:
        hint = None if keys else "`drip keys create NAME` makes one"
        raise NotFound("key", _not_a_key(name), [*(key.id for key in keys), *(key.name for key in keys)], hint)
    return good[0]


def revoke_key(store: Store, name: str, now: datetime) -> tuple[Key, bool]:
    """Refuse a key from now on, and post nothing more to its webhook. The key, and whether it was good until now.

    Raises:
        NotFound: there is no such key.
    """
    with store.transaction():
        key = find_key(store, name)
        revoked = store.keys.revoke(key.id, now)
        if revoked:
            store.endpoints.remove(key.id, "the key was revoked", now)
    return key, revoked


def _digest(presented: str) -> bytes:
    return hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()


def _not_a_key(name: str) -> str:
    """The name, unless somebody gave the key itself: that must be in no error."""
    return f"{name[:SHOWN]}…" if name.startswith(KEY_PREFIX) else name
