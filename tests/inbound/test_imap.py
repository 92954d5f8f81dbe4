"""The mailbox over IMAP, held against a real server (Dovecot)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drip.core.settings import ImapSettings
from drip.errors import Unavailable
from drip.inbound.imap import ImapSource
from drip.inbound.taking import Taker, Tally
from tests.inbound.dovecot import Dovecot, dovecot
from tests.inbound.post import EMAIL, PostOffice
from tests.smtp_server.certificates import Authority


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture(autouse=True)
def emptied(server: Dovecot) -> Iterator[None]:
    yield
    for name in ("new", "cur"):
        for path in (server.folder / "Maildir" / name).iterdir():
            path.unlink()


def take(post: PostOffice, settings: ImapSettings) -> Tally:
    taker = Taker(post.lab.store, post.lab.settings, post.reader, lambda: post.lab.now)
    return taker.take(ImapSource(settings))


@pytest.mark.parametrize("starttls", [False, True])
def test_reports_are_seen_once_stored_and_all_else_stays_unseen(
    post: PostOffice, server: Dovecot, starttls: bool
) -> None:
    settings = server.starttls() if starttls else server.settings()
    for number, name in enumerate(("postfix-user-unknown", "newsletter", "vacation-exchange", "bare-recipient")):
        server.deliver(f"{number}.{name}", post.sample(name))
    tally = take(post, settings)
    assert (tally.read, dict(tally.counts)) == (4, {"hard": 1, "other": 1, "auto_reply": 1, "unproven": 1})
    assert post.suppressed == {EMAIL: "bounce"}
    seen = {name for name, flags in server.flags().items() if "S" in flags}
    assert seen == {"0.postfix-user-unknown", "3.bare-recipient"}
    assert take(post, settings).read == 2


def test_a_rehearsal_leaves_everything_unseen(post: PostOffice, server: Dovecot) -> None:
    server.deliver("1", post.sample("postfix-user-unknown"))
    taker = Taker(post.lab.store, post.lab.settings, post.reader, lambda: post.lab.now)
    assert taker.rehearse(ImapSource(server.settings())).counts["hard"] == 1
    assert post.suppressed == {}
    assert not any("S" in flags for flags in server.flags().values())


def test_a_message_over_10_mib_is_not_read(post: PostOffice, server: Dovecot) -> None:
    server.deliver("1", post.sample("postfix-user-unknown") + b"x" * 80 + b"\n" + b"y" * (11 * 1024 * 1024))
    assert take(post, server.settings()).counts["unreadable"] == 1
    assert post.suppressed == {}


def test_what_keeps_it_from_being_read_is_said(post: PostOffice, server: Dovecot, tmp_path: Path) -> None:
    other = Authority(tmp_path).file
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        closed = listener.getsockname()[1]
    for settings, words, hint in [
        (server.settings(ca_file=other), "can't be trusted", "ca_file"),
        (server.settings(ca_file=None), "can't be trusted", "ca_file"),
        (server.settings(password="wrong"), "refuses the login of bounces@miempresa.com", "password"),
        (server.settings(folder="Nowhere"), "has no folder 'Nowhere'", "folder"),
        (server.settings(port=closed), "can't be read now: Connection refused", "port"),
        (server.settings(port=server.plain), "can't be trusted", "security"),
    ]:
        with pytest.raises(Unavailable) as raised:
            take(post, settings)
        assert words in raised.value.message
        assert hint in (raised.value.hint or "")
        assert "wrong" not in raised.value.message


def test_a_password_never_goes_over_a_plain_connection(post: PostOffice, tmp_path: Path) -> None:
    """A server that does not offer STARTTLS gets no login."""
    import threading

    said: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
            stream.flush()
            for line in stream:
                said.append(line)
                tag = line.split()[0]
                stream.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" if b"CAPABILITY" in line else b"")
                stream.write(tag + b" OK done\r\n")
                stream.flush()

    from drip.core.settings import ImapSecurity

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(Unavailable):
            take(post, ImapSettings("localhost", "u", "secret", port, ImapSecurity.STARTTLS))
        thread.join(5)
    assert not any(b"LOGIN" in line or b"AUTHENTICATE" in line for line in said)
