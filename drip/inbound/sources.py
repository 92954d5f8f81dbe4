"""Where messages come from: a file, a pipe, a Maildir. IMAP is in `imap`.

A source is read message by message; what was taken in is put away, and only then: whoever is killed in between reads
it again, and the second time changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from drip.errors import Invalid, Unavailable
from drip.inbound.mail import LARGEST

AT_ONCE = 10_000
"""Messages of a mailbox that one look takes at the most."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a source."""

    name: str
    """Names it within its source, as long as it stays there."""
    content: Callable[[], bytes | None]
    """Its octets, at most one more than 10 MiB; None when it is gone."""
    put_away: Callable[[], None]
    """Call it once what it says is stored."""


class Source(Protocol):
    """A place that reports arrive at."""

    def opened(self) -> AbstractContextManager[Iterable[Letter]]:
        """What is new there, until the block ends.

        Raises:
            Unavailable: it can't be read now.
            Invalid: it is not there, or not what it should be.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file with one message, or a mailbox in mbox format (RFC 4155). It stays as it is."""

    path: Path

    @contextmanager
    def opened(self) -> Iterator[Iterable[Letter]]:
        """Its messages, in order."""
        try:
            with self.path.open("rb") as stream:
                yield _letters(_split(stream))
        except IsADirectoryError as error:
            hint = "a Maildir is read when drip.yaml has inbound: {maildir: …}"
            raise Invalid(f"{self.path} is a folder", hint) from error
        except OSError as error:
            raise Invalid(f"{self.path} can't be read: {(error.strerror or str(error)).lower()}") from error


@dataclass(frozen=True, slots=True)
class PipeSource:
    """One message on a stream, as mail servers hand it to a program."""

    stream: BinaryIO

    @contextmanager
    def opened(self) -> Iterator[Iterable[Letter]]:
        """The message. All of the stream is read: a server takes a pipe that is closed early for a failure."""
        raw = self.stream.read(LARGEST + 1)
        while self.stream.read(1 << 20):
            pass
        yield _letters([raw[raw.find(b"\n") + 1 :] if raw.startswith(b"From ") else raw] if raw else [])


@dataclass(frozen=True, slots=True)
class MaildirSource:
    """A Maildir: what is in `new` is looked at, and what was taken in goes to `cur` as seen."""

    path: Path

    @contextmanager
    def opened(self) -> Iterator[Iterable[Letter]]:
        """What is in `new`, oldest first."""
        new = self.path / "new"
        try:
            names = sorted(entry.name for entry in os.scandir(new) if entry.is_file(follow_symlinks=False))
        except FileNotFoundError as error:
            raise Unavailable(f"{self.path} is not a Maildir: it has no folder `new`", _MAILDIR_HINT) from error
        except OSError as error:
            raise Unavailable(f"{new} can't be read: {error.strerror}", _MAILDIR_HINT) from error
        yield [self._letter(name) for name in names[:AT_ONCE]]

    def _letter(self, name: str) -> Letter:
        return Letter(name, lambda: self._content(name), lambda: self._put_away(name))

    def _content(self, name: str) -> bytes | None:
        try:
            with (self.path / "new" / name).open("rb") as stream:
                return stream.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self.path / 'new' / name} can't be read: {error.strerror}", _MAILDIR_HINT) from error

    def _put_away(self, name: str) -> None:
        seen = name.partition(":")[0] + ":2,S"
        try:
            (self.path / "cur").mkdir(exist_ok=True)
            (self.path / "new" / name).rename(self.path / "cur" / seen)
        except FileNotFoundError:
            return  # somebody else has put it away
        except OSError as error:
            raise Unavailable(
                f"{name} can't be moved to {self.path / 'cur'}: {error.strerror}", _MAILDIR_HINT
            ) from error


_MAILDIR_HINT = "look at `inbound.maildir` in drip.yaml, and at who may read and write there"


def _letters(contents: Iterable[bytes]) -> Iterator[Letter]:
    for number, content in enumerate(contents, 1):
        yield Letter(str(number), lambda content=content: content, lambda: None)  # type: ignore[misc]


def _split(stream: BinaryIO) -> Iterator[bytes]:
    """One message, or those of an mbox; of each at most one octet more than is looked at."""
    first = stream.readline(LARGEST + 1)
    if not first.startswith(b"From "):
        yield first + stream.read(LARGEST + 1 - len(first))
        return
    lines, size, after_blank = list[bytes](), 0, False
    while line := stream.readline(LARGEST + 1):
        if after_blank and line.startswith(b"From "):
            yield b"".join(lines)
            lines, size = [], 0
        elif size <= LARGEST:
            lines.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
        after_blank = line in (b"\n", b"\r\n")
    yield b"".join(lines)[: LARGEST + 1]
