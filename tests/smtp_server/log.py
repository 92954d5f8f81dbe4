"""The oracle: one JSON line per accepted message, connection and login, on disk before the client is told."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message the server took responsibility for."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    time: float
    """Seconds since the epoch, when it was logged: before the client was told."""
    sha256: str
    """Of the octets as meant: unstuffed, with CRLF."""
    size: int
    connection: int
    """Counted from 1."""
    mail_options: str = ""
    """What stood behind the address at MAIL FROM."""
    tls: bool = False
    content: bytes = b""
    """The octets; empty in what is read from a log without a spool."""


@dataclass(frozen=True, slots=True)
class Login:
    """One AUTH command, however many lines it took."""

    connection: int
    mechanism: str
    user: str
    password: str
    accepted: bool
    tls: bool
    """False: the password went over a plain socket."""
    time: float


@dataclass(frozen=True, slots=True)
class LogReading:
    """A log, read back."""

    messages: tuple[Accepted, ...]
    logins: tuple[Login, ...]
    connections: int

    @property
    def plain_password(self) -> bool:
        """Whether a password was ever sent without TLS."""
        return any(not login.tls for login in self.logins)


class Log:
    """Keeps what happened in memory, and in a file when there is one; may be used by many threads."""

    def __init__(self, path: Path | None, spool: Path | None, *, fsync: bool) -> None:
        self._lock = threading.Lock()
        self._file = open(path, "ab") if path is not None else None  # noqa: SIM115
        self._spool = spool
        self._fsync = fsync
        self.messages: list[Accepted] = []
        self.logins: list[Login] = []
        self.connections = 0

    def connection(self) -> int:
        """Count a connection; returns its number."""
        with self._lock:
            self.connections += 1
            self._write({"event": "connection", "connection": self.connections, "time": time.time()})
            return self.connections

    def login(self, login: Login) -> None:
        """Note an AUTH."""
        with self._lock:
            self.logins.append(login)
            self._write({"event": "login", **asdict(login)})

    def accept(
        self, content: bytes, sender: str, recipients: list[str], connection: int, mail_options: str, tls: bool
    ) -> Accepted:
        """Note an accepted message; it is on disk when this returns (with fsync)."""
        digest = hashlib.sha256(content).hexdigest()
        message_id = _message_id(content)
        with self._lock:
            accepted = Accepted(
                message_id,
                sender,
                tuple(recipients),
                time.time(),
                digest,
                len(content),
                connection,
                mail_options,
                tls,
                content,
            )
            self.messages.append(accepted)
            if self._spool is not None:
                (self._spool / f"{digest}.eml").write_bytes(content)
            self._write({"event": "message", **asdict(accepted)})
            return accepted

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, event: dict[str, Any]) -> None:
        if self._file is None:
            return
        event.pop("content", None)
        self._file.write(json.dumps(event).encode() + b"\n")
        self._file.flush()
        if self._fsync:
            os.fsync(self._file.fileno())


def read_log(path: Path, spool: Path | None = None) -> LogReading:
    """Read a log back, also while it is being written; a torn last line is left out."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    events = [json.loads(line) for line in lines]
    return LogReading(
        tuple(_accepted(event, spool) for event in events if event["event"] == "message"),
        tuple(Login(**_without_event(event)) for event in events if event["event"] == "login"),
        sum(event["event"] == "connection" for event in events),
    )


def _accepted(event: dict[str, Any], spool: Path | None) -> Accepted:
    values = _without_event(event)
    values["recipients"] = tuple(values["recipients"])
    if spool is not None:
        values["content"] = (spool / f"{values['sha256']}.eml").read_bytes()
    return Accepted(**values)


def _without_event(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "event"}


def _message_id(content: bytes) -> str:
    header = content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    return str(message_from_bytes(header, policy=policy.compat32)["Message-ID"] or "").strip()
