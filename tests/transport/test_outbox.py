"""The Maildir: complete files or none, names that are safe, and words when the disk says no."""

from __future__ import annotations

import errno
import mailbox
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.delivery import OutcomeKind as Kind
from drip.engine.ports import Envelope, Transport
from drip.transport.outbox import OutboxTransport, file_name

ENVELOPE = Envelope("a@example.org", "ana@example.com", "t1")
CONTENT = b"Message-ID: <1@example.org>\r\nSubject: Hi\r\n\r\n.\r\nHello.\r\n"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_message_becomes_a_file_that_mailbox_reads(folder: Path) -> None:
    transport: Transport = OutboxTransport(folder)
    session = transport.session()
    assert (transport.connections, folder.exists()) == (1, False)
    outcome = session.send(ENVELOPE, CONTENT, lambda: True)
    session.close()
    assert (outcome.kind, outcome.code) == (Kind.SENT, None)
    box = mailbox.Maildir(folder, create=False)
    (message,) = list(box)
    assert message["Subject"] == "Hi"
    (name,) = files(folder)
    assert outcome.text == f"written to {name}"
    assert (folder / name).read_bytes() == CONTENT.replace(b"\r\n", b"\n")


def test_the_mark_comes_between_the_file_and_its_publication(folder: Path) -> None:
    seen: list[list[str]] = []

    def mark() -> bool:
        seen.append([name.split("/")[0] for name in files(folder)])
        return True

    OutboxTransport(folder).session().send(ENVELOPE, CONTENT, mark)
    assert seen == [["tmp"]]
    assert [name.split("/")[0] for name in files(folder)] == ["new"]


def test_without_the_mark_nothing_stays(folder: Path) -> None:
    assert OutboxTransport(folder).session().send(ENVELOPE, CONTENT, lambda: False).kind is Kind.NOT_MARKED
    assert files(folder) == []


def test_a_mark_that_raises_leaves_nothing(folder: Path) -> None:
    def mark() -> bool:
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="database"):
        OutboxTransport(folder).session().send(ENVELOPE, CONTENT, mark)
    assert files(folder) == []


def test_names_differ_for_one_token(folder: Path) -> None:
    session = OutboxTransport(folder).session()
    for _ in range(50):
        assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.SENT
    assert len(files(folder)) == 50


@given(st.text(max_size=300))
def test_nothing_hostile_gets_into_a_name(token: str) -> None:
    name = file_name(token)
    assert all(character.isascii() and (character.isalnum() or character in "-.") for character in name)
    assert len(name) < 255
    assert name[0].isdigit()
    assert ".." not in name


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    folder.write_text("")
    outcome = OutboxTransport(folder).session().send(ENVELOPE, CONTENT, pytest.fail)
    assert (outcome.kind, str(folder) in outcome.text, outcome.in_hand) == (Kind.DOWN, True, False)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    session = OutboxTransport(folder).session()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    outcome = session.send(ENVELOPE, CONTENT, (lambda: True) if call == "rename" else pytest.fail)
    assert (outcome.kind, "No space left" in outcome.text, str(folder) in outcome.text) == (Kind.DOWN, True, True)
    assert files(folder) == []
    monkeypatch.undo()
    assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.SENT


def test_a_publication_the_disk_does_not_confirm_is_unknown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = OutboxTransport(folder).session()
    real = os.fsync
    calls: list[int] = []

    def second_fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    assert session.send(ENVELOPE, CONTENT, lambda: True).kind is Kind.UNKNOWN
    assert len(files(folder)) == 1
