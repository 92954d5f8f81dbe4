"""The oracle must be right: the fault server against the standard library's client, and in its own process."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from tests.smtp_server import Action, Fault, Phase, SmtpServer, read_log, spawn_server

CONTENT = "Message-ID: <1@example.org>\r\n\r\n.hi\r\n"


def test_faults_are_read() -> None:
    assert Fault.parse("mail=drop") == Fault(Phase.MAIL, Action.DROP)
    assert Fault.parse("rcpt~*@bad.test#2=reply 550 5.1.1 a\\nb") == Fault(
        Phase.RCPT, Action.REPLY, "550 5.1.1 a\nb", "*@bad.test", 2, 2
    )
    assert Fault.parse("after-dot#3+=delay 0.2") == Fault(Phase.AFTER_DOT, Action.DELAY, "0.2", "*", 3, None)
    for wrong in ("", "mail", "mail=", "nowhere=drop", "mail=explode"):
        with pytest.raises(ValueError, match=r"phase|is not a valid"):
            Fault.parse(wrong)


def test_a_process_of_its_own_keeps_the_log(tmp_path: Path) -> None:
    log, spool = tmp_path / "accepted.jsonl", tmp_path / "spool"
    spool.mkdir()
    with spawn_server(log, "--spool", str(spool), "--fault", "rcpt~bad@*=reply 550 5.1.1 nobody") as (port, process):
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            client.sendmail("a@example.org", ["ana@example.com"], CONTENT)
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("a@example.org", ["bad@example.com"], CONTENT)
        reading = read_log(log, spool)
        assert process.poll() is None
    (message,) = reading.messages
    assert (message.message_id, message.sender, message.recipients) == (
        "<1@example.org>",
        "a@example.org",
        ("ana@example.com",),
    )
    assert message.content == CONTENT.encode()
    assert (reading.connections, reading.logins, reading.plain_password) == (1, (), False)
    assert process.poll() is not None


def test_the_log_is_written_before_the_client_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with SmtpServer(log=log, faults=["after-dot=drop"]) as server:
        client = smtplib.SMTP("127.0.0.1", server.port, timeout=60)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail("a@example.org", ["ana@example.com"], CONTENT)
        client.close()
        assert len(read_log(log).messages) == 1


def test_a_message_without_its_dot_is_not_accepted() -> None:
    with SmtpServer() as server:
        client = smtplib.SMTP("127.0.0.1", server.port, timeout=60)
        client.ehlo()
        client.mail("a@example.org")
        client.rcpt("ana@example.com")
        client.docmd("DATA")
        client.send(b"Subject: x\r\n\r\nhi\r\n.\n\n.\r\r\n.")
        client.close()
        with smtplib.SMTP("127.0.0.1", server.port, timeout=60) as second:
            second.noop()
        assert server.messages == []
