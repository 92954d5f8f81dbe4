"""A mailbox over IMAP (RFC 3501), always encrypted, its certificate always checked.

What is unseen is looked at; a report becomes seen once it is stored, all else stays unseen.
"""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from drip.core.settings import ImapSecurity, ImapSettings
from drip.errors import Unavailable
from drip.inbound.mail import LARGEST
from drip.inbound.sources import AT_ONCE, Letter

SECONDS = 30.0
"""For every answer of the server."""
_TROUBLE = (OSError, imaplib.IMAP4.error, EOFError, UnicodeError)


@dataclass(frozen=True, slots=True)
class ImapSource:
    """One folder of an IMAP account."""

    settings: ImapSettings

    @contextmanager
    def opened(self) -> Iterator[Iterable[Letter]]:
        """What is unseen, oldest first; messages are fetched one by one."""
        connection = self._connect()
        try:
            with self._translated():
                self._log_in(connection)
                self._select(connection)
                uids = _search(connection)
            yield (self._letter(connection, uid) for uid in uids[:AT_ONCE])
        finally:
            with suppress(*_TROUBLE):
                connection.logout()

    def _connect(self) -> imaplib.IMAP4:
        with self._translated():
            given = self.settings
            context = ssl.create_default_context(cafile=None if given.ca_file is None else str(given.ca_file))
            if given.security is ImapSecurity.TLS:
                return imaplib.IMAP4_SSL(given.host, given.port, ssl_context=context, timeout=SECONDS)
            connection = imaplib.IMAP4(given.host, given.port, timeout=SECONDS)
            try:
                connection.starttls(context)
            except _TROUBLE:
                connection.shutdown()
                raise
            return connection

    def _log_in(self, connection: imaplib.IMAP4) -> None:
        user, password = self.settings.user, self.settings.password
        try:
            if "AUTH=PLAIN" in connection.capabilities:
                connection.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
            else:
                connection.login(user, password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            message = f"{self._server} refuses the login of {user}: {_words(error)}"
            raise Unavailable(message, "look at `inbound.imap` in drip.yaml (user, password)") from error

    def _select(self, connection: imaplib.IMAP4) -> None:
        folder = self.settings.folder
        quoted = '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
        status, said = connection.select(quoted)
        if status != "OK":
            message = f"{self._server} has no folder {folder!r} for {self.settings.user}: {_words(said)}"
            raise Unavailable(message, "look at `inbound.imap.folder` in drip.yaml")

    def _letter(self, connection: imaplib.IMAP4, uid: str) -> Letter:
        validity = connection.untagged_responses.get("UIDVALIDITY", [b""])[0]
        name = f"{validity!r}.{uid}"
        return Letter(name, lambda: self._content(connection, uid), lambda: self._put_away(connection, uid))

    def _content(self, connection: imaplib.IMAP4, uid: str) -> bytes | None:
        with self._translated():
            _, answer = connection.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LARGEST + 1}>)")
        found = [part[1] for part in answer if isinstance(part, tuple)]
        return found[0] if found else None

    def _put_away(self, connection: imaplib.IMAP4, uid: str) -> None:
        with self._translated():
            connection.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)")

    @property
    def _server(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What servers and networks do, as one error."""
        try:
            yield
        except ssl.SSLError as error:
            hint = (
                "look at `inbound.imap` in drip.yaml (host, port, security, ca_file); certificates are always checked"
            )
            raise Unavailable(f"{self._server} can't be trusted: {error.reason or error}", hint) from error
        except _TROUBLE as error:
            hint = "look at `inbound.imap` in drip.yaml (host, port); nothing was lost, it is read again later"
            raise Unavailable(f"{self._server} can't be read now: {_words(error)}", hint) from error


def _search(connection: imaplib.IMAP4) -> list[str]:
    _, answer = connection.uid("SEARCH", "UNSEEN")
    found = b" ".join(part for part in answer if isinstance(part, bytes))
    return sorted((uid.decode() for uid in found.split() if re.fullmatch(rb"\d{1,10}", uid)), key=int)


def _words(said: Any) -> str:
    """A server's words, whatever imaplib made of them."""
    first = said.args[0] if isinstance(said, Exception) and said.args else said
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(said, OSError) and said.strerror:
        first = said.strerror
    return (first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first))[:300] or "no answer"
