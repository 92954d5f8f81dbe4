"""Messages as files in a Maildir, for development and for delivery by other programs. No network enters here.

The order is that of SMTP: written and synced in `tmp/`, then `mark`, then one rename into `new/`
(https://cr.yp.to/proto/maildir.html).
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine.points import Point, reached
from drip.engine.ports import Envelope
from drip.transport.answers import clean, describe

_count = itertools.count()
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]")


class OutboxTransport:
    """Messages become files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def connections(self) -> int:
        """One: a disk is not faster for being asked twice."""
        return 1

    def session(self) -> OutboxSession:
        """A new session; the folders are made with the first message."""
        return OutboxSession(self._folder)

    def fleet(self) -> None:
        """None: each message is synced by itself."""
        return


class OutboxSession:
    """Writes one file after another; fulfils `engine.ports.Session`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, envelope: Envelope, content: bytes, mark: Callable[[], bool]) -> Outcome:
        """Write one message with LF line ends, as a Maildir wants them; the answer names the file."""
        name = file_name(envelope.token)
        draft, final = self._folder / "tmp" / name, self._folder / "new" / name
        try:
            self._make_folders()
            _write(draft, content.replace(b"\r\n", b"\n"))
        except OSError as error:
            return self._down(error)
        reached(Point.OUTBOX_WRITTEN)
        try:
            return self._publish(draft, final) if mark() else Outcome(OutcomeKind.NOT_MARKED, text="not published")
        finally:
            _remove(draft)

    def close(self) -> None:
        """Nothing is kept open."""

    def _make_folders(self) -> None:
        for part in ("cur", "new", "tmp"):  # `new` and `tmp` last: a reader takes it for a Maildir when all are there
            (self._folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _publish(self, draft: Path, final: Path) -> Outcome:
        try:
            draft.rename(final)
        except OSError as error:
            return self._down(error)
        reached(Point.OUTBOX_PUBLISHED)
        try:
            _sync_folder(final.parent)
        except OSError as error:
            text = f"{final} is there, but the disk did not confirm it: {describe(error)}"
            return Outcome(OutcomeKind.UNKNOWN, text=clean(text))
        reached(Point.OUTBOX_SYNCED)
        return Outcome(OutcomeKind.SENT, text=clean(f"written to new/{final.name}"))

    def _down(self, error: OSError) -> Outcome:
        text = f"can't write to the outbox {self._folder}: {describe(error)}"
        return Outcome(OutcomeKind.DOWN, text=clean(text), in_hand=False)


def file_name(token: str) -> str:
    """A name no other message has: time, process, a count, the delivery, host; letters, digits, dots and dashes."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    delivery = _NOT_IN_NAMES.sub("", token)[:80]
    host = _NOT_IN_NAMES.sub("-", socket.gethostname())[:64] or "localhost"
    return f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_count)}D{delivery}.{host}"


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        _remove(path)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
