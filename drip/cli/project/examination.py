"""What `doctor` looks at on this machine: files, database, clock, secrets, the way out. Each gives lines with cures."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from drip.core.checkup import Check, failure, ok, warning
from drip.core.delivery import OutcomeKind
from drip.core.plain import count
from drip.core.settings import Security, Settings, TransportKind
from drip.engine.compose import envelope_sender
from drip.errors import DatabaseEmpty, DatabaseUnavailable, Severity
from drip.project import Project
from drip.store.invariants import violations
from drip.store.migrate import SCHEMA_VERSION

SAFE_SQLITE = (3, 51, 3)
"""The first whose WAL can't be damaged by two connections that reset it at once (sqlite.org/wal.html)."""
LITTLE_SPACE = 1024 * 1024 * 1024
OLD_BACKUP = timedelta(days=7)
CLOCK_OFF, CLOCK_WRONG = 30.0, 300.0
"""Seconds: a warning, a failure."""
SHORT_SECRET = 32


def examine_files(project: Project) -> Iterator[Check]:
    """drip.yaml has been read; what the sequence files say."""
    settings = project.settings
    yield ok("config", f"{settings.path.name} can be read")
    files = project.files()
    errors = sum(problem.severity is Severity.ERROR for problem in files.problems)
    warnings = len(files.problems) - errors
    number = count(len(files.paths), "sequence file")
    if errors:
        yield failure("files", f"{number}, {count(errors, 'error')}", "`drip check` shows them")
    elif warnings:
        yield warning("files", f"{number}, {count(warnings, 'warning')}", "`drip check` shows them")
    else:
        yield ok("files", f"{number}, no problems")
    if settings.postal_address is None:
        cure = "write postal_address: in drip.yaml; the law wants one in advertising, in the US and elsewhere"
        yield warning("postal_address", "there is none", cure)
    else:
        yield ok("postal_address", "it is in the footer")


def examine_database(project: Project) -> Iterator[Check]:
    """Whether it is there, whole, of this program's schema, and has room."""
    database = project.store.database
    if database.path is not None:
        yield _sqlite()
    if not database.exists:
        yield warning("database", f"there is none yet ({database.place})", "`drip apply` makes it")
        return
    try:
        with database.read_only() as witness:
            version = witness.schema_version()
            damage = violations(witness) if version == SCHEMA_VERSION else []
            torn = [] if version == SCHEMA_VERSION else witness.damage(100)
            sent = version == SCHEMA_VERSION and witness.value("SELECT 1 FROM delivery LIMIT 1") is not None
    except DatabaseEmpty as error:
        yield warning("database", error.message, error.hint or "`drip apply` makes it")
        return
    except DatabaseUnavailable as error:
        yield failure("database", error.message, error.hint or "look at `database` in drip.yaml")
        return
    if damage or torn:
        found = f"{database.place}: {count(len(damage) + len(torn), 'thing')} that can't be"
        yield failure("database", found, "`drip db check` lists them; restore a backup")
    elif version > SCHEMA_VERSION:
        yield failure("database", f"schema {version} is newer than this drip's {SCHEMA_VERSION}", "update drip")
    elif version < SCHEMA_VERSION:
        yield warning("database", f"schema {version}, this drip wants {SCHEMA_VERSION}", "`drip db migrate`")
    else:
        yield ok("database", f"{database.place}: whole, schema {version}")
    if database.path is not None:
        yield _space(database.path)
        yield _backups(database.path, sent=sent)


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return ok("sqlite", f"SQLite {sqlite3.sqlite_version}")
    message = f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug: very rarely, two programs damage the database"
    cure = "use a Python with SQLite 3.51.3 or later (your distribution may have mended its own), and keep backups"
    return warning("sqlite", message, cure)


def _space(path: Path) -> Check:
    disk = os.statvfs(path.parent)
    free = disk.f_bavail * disk.f_frsize
    words = f"{free // 1_048_576} MB are free beside the database"
    if free < 64 * 1024 * 1024:
        return failure("disk", words, "nothing is sent below 64 MB: free some space")
    return warning("disk", words, "free some space") if free < LITTLE_SPACE else ok("disk", words)


def _backups(path: Path, *, sent: bool) -> Check:
    copies = [other for other in path.parent.iterdir() if other != path and _is_copy(other)]
    newest = max((other.stat().st_mtime for other in copies), default=None)
    if newest is not None and time.time() - newest < OLD_BACKUP.total_seconds():
        return ok("backups", "there is one of the last days beside the database")
    if not sent:
        return ok("backups", "nothing was sent yet: there is nothing to lose")
    last = "none" if newest is None else f"the newest is {int((time.time() - newest) / 86_400)} days old"
    cure = "`drip db backup FILE` from cron; copies on other disks can't be seen from here"
    return warning("backups", f"beside the database: {last}", cure)


def _is_copy(path: Path) -> bool:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def examine_secrets(settings: Settings) -> Iterator[Check]:
    """What must not be read by others, and what signs the links."""
    given = os.environ.get("DRIP_SECRET_KEY")
    if given is not None and len(given) < SHORT_SECRET:
        yield warning("secrets", "DRIP_SECRET_KEY is short: links could be forged", "openssl rand -hex 32 makes one")
    elif given is not None:
        yield ok("secrets", "DRIP_SECRET_KEY signs the links")
    else:
        yield ok("secrets", "the database keeps the key that signs the links")
    for written, variable in _written_secrets(settings):
        cure = f"write ${{{variable}}} or the like, and set it where drip runs"
        yield warning("secrets", f"{settings.path.name} holds {written}: git remembers it", cure)
    for path in _private_files(settings):
        if path.exists() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            yield warning("secrets", f"others can read {path.name}", f"chmod 600 {path}")


def _written_secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    """What stands in drip.yaml as it is, and a variable that it could be in."""
    text = settings.path.read_text("utf-8", "replace")
    smtp = settings.smtp
    if smtp is not None and smtp.password and smtp.password in text:
        yield "a password", "SMTP_PASSWORD"
    if any(secret in text for endpoint in settings.webhooks for secret in endpoint.secrets):
        yield "a webhook's secret", "DRIP_WEBHOOK_SECRET"
    if re.search(r"^database:.*://[^:/\s]+:(?!\$\{)[^@\s]+@", text, re.MULTILINE):
        yield "the database's password", "PGPASSWORD"


def _private_files(settings: Settings) -> list[Path]:
    smtp = settings.smtp
    if smtp is None:
        return []
    return [path for path in (smtp.oauth2_file, smtp.dkim.key_file if smtp.dkim else None) if path is not None]


def examine_transport(project: Project) -> Iterator[Check]:
    """Whether the server lets us in; no message is sent."""
    settings = project.settings
    if settings.transport is TransportKind.OUTBOX:
        yield _outbox(settings)
        return
    from drip.transport.smtp import SmtpTransport

    assert settings.smtp is not None  # the reader has looked
    smtp = settings.smtp
    server = f"{smtp.host}:{smtp.port}"
    outcome = SmtpTransport(smtp).try_out(envelope_sender(settings, settings.sender, "doctor"))
    said = f"{outcome.code or ''} {outcome.text}".strip()
    if outcome.kind is OutcomeKind.SENT:
        entered = f"logged in as {smtp.user}" if smtp.user else "no login"
        sealed = "in the clear" if smtp.security is Security.NONE else "over TLS, its certificate checked"
        yield ok("transport", f"{server} lets us in, {sealed}, {entered}, and takes {settings.sender.email} as sender")
    elif outcome.kind is OutcomeKind.MISCONFIGURED:
        yield failure("transport", said, "set it right under `smtp` in drip.yaml")
    else:
        cure = "look at smtp.host, smtp.port and smtp.security in drip.yaml; many hosters block ports 25 and 587"
        yield failure("transport", said, cure)


def _outbox(settings: Settings) -> Check:
    folder = settings.outbox
    standing = next(place for place in (folder, *folder.parents) if place.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        return failure("transport", f"the outbox {folder} can't be written", "look at its permissions")
    return ok("transport", f"mail goes into files in {folder.name}; transport: smtp sends it")


def examine_web(settings: Settings, clock: Callable[[], float] = time.time) -> Iterator[Check]:
    """Whether unsubscribe links lead anywhere, and what time it is there.

    Args:
        clock: this machine's, in seconds since 1970.
    """
    if settings.base_url is None:
        cure = "write base_url: https://mail.example.com, and serve it: `drip run --http` behind a web server"
        yield warning("base_url", "there is none: no mail has an unsubscribe link", cure)
        yield from _clock(settings, clock, None, "")
        return
    from drip.notify.reach import reach

    reached = reach(f"{settings.base_url}/healthz")
    if not settings.base_url.startswith("https://"):
        cure = "one-click unsubscribing wants https, and a host that people reach"
        yield warning("base_url", f"{settings.base_url} is this machine alone", cure)
    elif reached.status is None:
        cure = "serve it (`drip run --http`, `drip serve`), and let the web server lead there"
        yield failure("base_url", f"{settings.base_url} does not answer: {reached.why}", cure)
    elif reached.status not in (200, 503):
        cure = "let the web server lead /u/ and /healthz to `drip run --http` or `drip serve`"
        yield failure("base_url", f"{settings.base_url}/healthz answers {reached.status}: that is not drip", cure)
    else:
        yield ok("base_url", f"{settings.base_url} answers")
    yield from _clock(settings, clock, reached.date, settings.base_url)


def _clock(settings: Settings, clock: Callable[[], float], theirs: datetime | None, where: str) -> Iterator[Check]:
    """Against the file system (as Postfix does), and the web server where it says its time."""
    with tempfile.NamedTemporaryFile(prefix=".drip-clock-", dir=_writable(settings)) as file:
        off = clock() - os.stat(file.name).st_mtime
    against = "the file system"
    if theirs is not None:
        off, against = max(off, clock() - theirs.timestamp(), key=abs), f"the file system and {where}"
    cure = "let this machine ask a time server (NTP); steps go out too early or too late"
    if abs(off) > CLOCK_OFF:
        level = failure if abs(off) > CLOCK_WRONG else warning
        yield level("clock", f"this machine and {against} differ by {abs(off):.0f} s", cure)
        return
    unsure = "" if theirs is not None else "; nobody else was asked, so both may be wrong"
    yield ok("clock", f"this machine agrees with {against}{unsure}")


def _writable(settings: Settings) -> Path | None:
    return settings.folder if os.access(settings.folder, os.W_OK) else None
