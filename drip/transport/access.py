"""What must be right in the settings before a connection is opened: TLS, login, OAuth2. Opens nothing but files."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drip.core.networks import is_loopback
from drip.core.settings import Security, SmtpSettings
from drip.transport.answers import Unusable, describe, misconfigured

_OAUTH2_KEYS = ("google_client_id", "google_client_secret", "google_refresh_token")


@dataclass(frozen=True, slots=True)
class Access:
    """How to get in, checked."""

    user: str | None
    """None: no login."""
    tls: ssl.SSLContext | None
    """None only for `security: none`."""
    oauth2: Mapping[str, str] | None = field(default=None, repr=False)
    """What the OAuth2 file says; None logs in with the password."""


def prepare(settings: SmtpSettings) -> Access:
    """Check the settings of a connection, and read the files they name.

    Raises:
        Unusable: a setting is wrong; its outcome names it.
    """
    oauth2 = read_oauth2(settings.oauth2_file) if settings.oauth2_file is not None else None
    user = settings.user or (oauth2 or {}).get("email_address")
    problem = _problem(settings, user, oauth2 is not None)
    if problem is not None:
        raise Unusable(misconfigured(problem))
    keys = {key: oauth2[key] for key in _OAUTH2_KEYS} if oauth2 is not None else None
    tls = None if settings.security is Security.NONE else tls_context(settings.ca_file)
    return Access(user, tls, keys)


def _problem(settings: SmtpSettings, user: str | None, oauth2: bool) -> str | None:
    plain = settings.security is Security.NONE
    if plain and not settings.allow_plaintext and not is_loopback(settings.host):
        return f"smtp.security is none and {settings.host} is another machine: use starttls or tls"
    if plain and (user or oauth2):
        return "a password never goes over a plain connection: set smtp.security to starttls or tls"
    if oauth2:
        return None if user else "smtp.user is missing: with smtp.oauth2_file it is the address to log in as"
    if user and not settings.password:
        return "smtp.password is missing: smtp.user is set"
    if user and not (user + (settings.password or "")).isascii():
        return "smtp.user and smtp.password must be ASCII: the login can't carry anything else"
    return None


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A context that checks the certificate and the host's name.

    Args:
        ca_file: the only CA to trust; None trusts the system's.

    Raises:
        Unusable: the file can't be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Unusable(misconfigured(f"smtp.ca_file {ca_file} can't be used: {describe(error)}")) from error
    context.sslsocket_class = _TidySocket
    return context


class _TidySocket(ssl.SSLSocket):
    """Closes itself where the ssl module forgets to: when the other side resets before the handshake."""

    def __del__(self) -> None:
        self.close()


def read_oauth2(file: Path) -> dict[str, str]:
    """What yagmail wrote when the account was authorised: its client's id and secret, and a refresh token.

    yagmail itself would ask on the terminal for whatever is missing.

    Raises:
        Unusable: the file can't be read, or is not such a file.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unusable(misconfigured(f"smtp.oauth2_file {file} can't be read: {describe(error)}")) from error
    except ValueError as error:
        raise Unusable(misconfigured(f"smtp.oauth2_file {file} is not JSON")) from error
    if isinstance(content, dict) and "installed" in content:
        raise Unusable(misconfigured(f"smtp.oauth2_file {file} has not been authorised yet: do it with yagmail first"))
    missing = [key for key in _OAUTH2_KEYS if not isinstance(content, dict) or not isinstance(content.get(key), str)]
    if missing:
        raise Unusable(misconfigured(f"smtp.oauth2_file {file} lacks {', '.join(missing)}"))
    return {key: value for key, value in content.items() if isinstance(value, str)}
