"""URLs and hosts of drip.yaml: what is a database, what is loopback, which web address may be used. No I/O.

Every function that reads a text raises `BadValue` for what it can't use.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote as percent_encode
from urllib.parse import urlsplit

from drip.core.address import ascii_domain
from drip.core.networks import is_loopback
from drip.files.wording import BadValue, quote

_POSTGRES = ("postgresql://", "postgres://")
_PATH_SAFE = "/%:@!$&'()*+,;=~"


def database_url(text: str, folder: Path) -> str:
    """`sqlite:///` with an absolute path, or `postgresql://…`. Messages never repeat it: it may hold a password."""
    if text.startswith(_POSTGRES):
        return _postgres(text)
    if not text.startswith("sqlite:///"):
        raise BadValue("it is not a database", "write sqlite:///drip.db or postgresql://user@host/name")
    name = text.removeprefix("sqlite:///")
    if not name or name == ":memory:" or name.startswith("file:") or "?" in name or "\0" in name:
        raise BadValue("it names no database file", "write sqlite:///drip.db")
    return f"sqlite:///{absolute(name, folder)}"


def _postgres(text: str) -> str:
    try:
        parts = urlsplit(text)
        complete = bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        complete = False
    if not complete:
        raise BadValue("it is not a PostgreSQL URL", "write postgresql://user:${PGPASSWORD}@host/name")
    return "postgresql://" + text.split("://", 1)[1]


def absolute(name: str, folder: Path) -> Path:
    """A path as it is seen from drip.yaml's folder, absolute and without `..`; links are not followed."""
    return Path(os.path.abspath(folder / name))


def file_path(text: str, folder: Path) -> Path:
    """A path that may be used."""
    if not text.strip() or "\0" in text:
        raise BadValue("it is not a path")
    return absolute(text, folder)


def host_name(text: str) -> str:
    """The name or address of a server, without scheme, port or path."""
    if not text or any(character in " /@\t\\" or not character.isprintable() for character in text):
        raise BadValue(f"{quote(text)} is not a host", "write it as smtp.example.com, without scheme or port")
    if text.count(":") == 1:
        raise BadValue(f"{quote(text)} is not a host", "the port has its own key, `port`")
    return text


def base_url(text: str) -> str:
    """Where people reach the HTTP side; https, but for this machine. In ASCII, without a slash at the end."""
    scheme, host = _web(text)
    if scheme == "http" and not is_loopback(host):
        raise BadValue(f"{quote(text)} is not https", "unsubscribe links must be https")
    if "?" in text or "#" in text:
        raise BadValue(f"{quote(text)} has a query or fragment", "write it as https://mail.example.com")
    parts = urlsplit(text)
    if not host.isascii():
        host = _ascii_host(host)
    name = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    # A mail program looks for a link in List-Unsubscribe, which has no other octets (RFC 2369, section 2).
    return f"{scheme}://{name}{port}{percent_encode(parts.path, safe=_PATH_SAFE)}".rstrip("/")


def _ascii_host(host: str) -> str:
    try:
        return ascii_domain(host)
    except ValueError:
        raise BadValue(f"there is no host {quote(host)}", "write it as https://mail.example.com") from None


def webhook_url(text: str) -> str:
    """Where events are posted: http or https."""
    _web(text)
    return text


def _web(text: str) -> tuple[str, str]:
    """Scheme and host of a URL that has both, and no login."""
    hint = "write it as https://app.example.com/path"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadValue("it is not a URL", hint) from None
    if not usable or any(character.isspace() or not character.isprintable() for character in text):
        raise BadValue("it is not an http or https URL", hint)
    if parts.username is not None or parts.password is not None:
        raise BadValue("it has a login in it", "leave out what stands before the @")
    return parts.scheme, parts.hostname or ""
