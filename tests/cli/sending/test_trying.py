"""`send-test`: one real message through the configured transport, and nothing kept of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email import message_from_bytes, message_from_string
from email.message import EmailMessage
from email.policy import default

import pytest

from drip.store.copying import TABLES
from tests.cli.conftest import CONFIG, Cli
from tests.smtp_server import SmtpServer


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def mailing(ada: Cli, server: SmtpServer) -> Cli:
    """A project whose mail really leaves."""
    extra = (
        "transport: smtp\n"
        f"smtp: {{host: localhost, port: {server.port}, security: none, envelope_from: 'b+{{token}}@example.com'}}\n"
    )
    ada.write("drip.yaml", CONFIG + extra)
    return ada


def everything(cli: Cli) -> list[list[tuple[object, ...]]]:
    return [cli.sql(f"SELECT * FROM {table}") for table in TABLES]


def test_a_message_that_is_a_test_and_leaves_no_trace(mailing: Cli, server: SmtpServer) -> None:
    before = everything(mailing)
    said = mailing("send-test", "welcome", "hello", "--to", "me@example.org", "--as", "ada@example.com")
    assert said.stdout.startswith("sent to me@example.org: [test] Hello Ada\n")
    assert "unsubscribes nobody" in said.stderr
    assert everything(mailing) == before
    (accepted,) = server.messages
    assert accepted.recipients == ("me@example.org",)
    message = message_from_bytes(accepted.content, policy=default)
    assert (message["Subject"], message["X-Drip-Test"], message["To"]) == (
        "[test] Hello Ada",
        "yes",
        "Ada <me@example.org>",
    )
    token = message["X-Drip-Delivery"]
    assert accepted.sender == f"b+{token}@example.com"
    assert message["List-Unsubscribe"] == f"<https://mail.example.com/u/{token}>"
    assert mailing.json("list")[0]["subscribers"]["active"] == 1


def test_each_is_another_message(mailing: Cli, server: SmtpServer) -> None:
    for _ in range(2):
        assert mailing.json("send-test", "welcome", "tips", "--to", "me@example.org")["sent"] is True
    assert len({message.message_id for message in server.messages}) == 2


def test_into_the_outbox_where_that_is_the_transport(files: Cli) -> None:
    found = files.json("send-test", "welcome", "hello", "--to", "me@example.org", "--var", "name=Eve")
    assert found["answer"].startswith("written to new/")
    (mail,) = files.mails()
    message = message_from_string(mail, policy=default)
    assert isinstance(message, EmailMessage)
    assert message["Subject"] == "[test] Hello Eve"
    assert not list(files.folder.glob("drip.db*"))


def test_who_is_suppressed_gets_none_unless_told(mailing: Cli, server: SmtpServer) -> None:
    mailing("suppress", "add", "me@example.org")
    arguments = ["send-test", "welcome", "hello", "--to", "ME@example.org"]
    assert "suppressed (manual)" in mailing(*arguments, code=1).stderr
    assert not server.messages
    mailing(*arguments, "--even-suppressed")
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("rcpt=reply 550 5.1.1 no such user", 1, "the address was refused: 550 5.1.1 no such user"),
        ("dot=reply 554 5.7.1 spam", 1, "the message was refused: 554"),
        ("dot=reply 451 4.3.0 later", 1, "does not take it now: 451"),
        ("after-dot=drop", 1, "nobody knows"),
        ("banner=reply 421 4.3.2 closing", 3, "421"),
        ("mail=reply 550 5.7.1 not yours", 3, "check from in drip.yaml"),
        ("data=drop", 3, "connection was lost"),
    ],
)
def test_what_the_server_answers(ada: Cli, fault: str, code: int, said: str) -> None:
    with SmtpServer(faults=[fault]) as server:
        smtp = f"transport: smtp\nsmtp: {{host: localhost, port: {server.port}, security: none}}\n"
        ada.write("drip.yaml", CONFIG + smtp)
        result = ada("send-test", "welcome", "hello", "--to", "me@example.org", code=code)
        assert said in result.stderr
        assert result.stdout == ""
        found = json.loads(ada("send-test", "welcome", "hello", "--to", "me@example.org", "--json", code=code).stdout)
        assert found["sent"] is False


def test_no_server_is_3(ada: Cli) -> None:
    ada.write("drip.yaml", CONFIG + "transport: smtp\nsmtp: {host: localhost, port: 1, security: none}\n")
    assert "localhost:1" in ada("send-test", "welcome", "hello", "--to", "me@example.org", code=3).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["welcom", "hello", "--to", "a@b.co"], "did you mean 'welcome'?"),
        (["welcome", "helo", "--to", "a@b.co"], "did you mean 'hello'?"),
        (["welcome", "hello"], "--to"),
        (["welcome", "hello", "--to", "nobody"], "nobody"),
        (["welcome", "hello", "--to", "a@b.co", "--as", "adda@example.com"], "did you mean"),
    ],
)
def test_what_is_asked_wrongly(mailing: Cli, server: SmtpServer, arguments: list[str], said: str) -> None:
    assert said in mailing("send-test", *arguments, code=2).stderr
    assert not server.messages
