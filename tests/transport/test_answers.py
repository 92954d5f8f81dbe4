"""Every row of the table of SMTP answers, without a socket."""

from __future__ import annotations

import smtplib
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.delivery import OutcomeKind as Kind
from drip.transport.answers import (
    OPENING,
    Stage,
    classify,
    clean,
    enhanced_code,
    expected,
    from_exception,
    in_step,
)

ROWS = [
    # connect, TLS, greeting, EHLO, STARTTLS fail; 421 anywhere: transport down
    (Stage.GREETING, 554, "no SMTP service here", Kind.DOWN),
    (Stage.GREETING, 450, "busy", Kind.DOWN),
    (Stage.EHLO, 550, "go away", Kind.DOWN),
    (Stage.EHLO, 535, "not a login", Kind.DOWN),
    (Stage.STARTTLS, 454, "4.7.0 TLS not available", Kind.DOWN),
    (Stage.AUTH, 421, "4.7.0 too many", Kind.DOWN),
    *((stage, 421, "4.3.2 closing", Kind.DOWN) for stage in Stage),
    # AUTH
    (Stage.AUTH, 535, "5.7.8 bad credentials", Kind.MISCONFIGURED),
    (Stage.AUTH, 534, "5.7.9 too weak", Kind.MISCONFIGURED),
    (Stage.AUTH, 530, "5.7.0 STARTTLS first", Kind.MISCONFIGURED),
    (Stage.AUTH, 538, "5.7.11 encryption required", Kind.MISCONFIGURED),
    (Stage.AUTH, 550, "account disabled", Kind.MISCONFIGURED),
    (Stage.AUTH, 454, "4.7.0 temporary failure", Kind.DOWN),
    # MAIL FROM: down for this From, but for the size
    (Stage.MAIL, 450, "4.1.8 domain not found", Kind.DOWN),
    (Stage.MAIL, 452, "4.3.1 no space", Kind.DOWN),
    (Stage.MAIL, 550, "5.7.1 not allowed to send as", Kind.MISCONFIGURED),
    (Stage.MAIL, 553, "5.1.8 sender domain does not exist", Kind.MISCONFIGURED),
    (Stage.MAIL, 554, "5.7.1 no", Kind.MISCONFIGURED),
    (Stage.MAIL, 530, "5.7.0 authentication required", Kind.MISCONFIGURED),
    (Stage.MAIL, 552, "too big", Kind.REFUSED),
    (Stage.MAIL, 552, "5.3.4 message too big", Kind.REFUSED),
    (Stage.MAIL, 550, "5.3.4 message too big", Kind.REFUSED),
    (Stage.MAIL, 550, "5.2.3 message too long for this mailbox", Kind.REFUSED),
    (Stage.MAIL, 503, "5.5.1 nested MAIL", Kind.DOWN),
    (Stage.MAIL, 503, "5.5.4 send AUTH first", Kind.MISCONFIGURED),
    # RCPT: the mailbox or the domain does not exist
    *((Stage.RCPT, 550, f"{code} nobody", Kind.NO_MAILBOX) for code in ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.2.1")),
    (Stage.RCPT, 556, "5.1.10 null MX", Kind.NO_MAILBOX),
    (Stage.RCPT, 550, "No such user here", Kind.NO_MAILBOX),
    (Stage.RCPT, 550, "<x@y.org>: User unknown", Kind.NO_MAILBOX),
    (Stage.RCPT, 551, "user not found", Kind.NO_MAILBOX),
    (Stage.RCPT, 553, "mailbox does not exist", Kind.NO_MAILBOX),
    (Stage.RCPT, 550, "unknown recipient", Kind.NO_MAILBOX),
    (Stage.RCPT, 550, "the email account that you tried to reach doesn't exist", Kind.NO_MAILBOX),
    (Stage.RCPT, 550, "5.0.0 no such user", Kind.NO_MAILBOX),
    # … and what only looks like it
    (Stage.RCPT, 550, "mailbox unavailable", Kind.REFUSED),
    (Stage.RCPT, 550, "sender address unknown", Kind.REFUSED),
    (Stage.RCPT, 550, "user unknown, or blocked by policy", Kind.REFUSED),
    (Stage.RCPT, 552, "user unknown", Kind.REFUSED),
    (Stage.RCPT, 550, "5.7.1 user unknown", Kind.REFUSED),
    (Stage.RCPT, 450, "5.1.1 user unknown", Kind.DEFERRED),
    (Stage.RCPT, 450, "4.1.1 user unknown", Kind.DEFERRED),
    # RCPT: our domain or relay
    (Stage.RCPT, 550, "5.7.515 Access denied, sending domain does not meet", Kind.OUR_FAULT),
    (Stage.RCPT, 550, "5.7.26 unauthenticated", Kind.OUR_FAULT),
    (Stage.RCPT, 554, "5.7.1 <x@y.org>: Relay access denied", Kind.OUR_FAULT),
    (Stage.RCPT, 454, "4.7.1 <x@y.org>: Relay access denied", Kind.OUR_FAULT),
    (Stage.RCPT, 550, "relaying denied", Kind.OUR_FAULT),
    (Stage.RCPT, 550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Kind.OUR_FAULT),
    (Stage.RCPT, 550, "we do not relay", Kind.OUR_FAULT),
    (Stage.RCPT, 550, "5.7.1 authentication required", Kind.OUR_FAULT),
    (Stage.RCPT, 530, "5.7.0 must issue STARTTLS", Kind.OUR_FAULT),
    # RCPT: other 5xx
    (Stage.RCPT, 552, "5.2.2 mailbox full", Kind.REFUSED),
    (Stage.RCPT, 550, "5.3.2 not now", Kind.REFUSED),
    (Stage.RCPT, 550, "5.4.1 no answer from host", Kind.REFUSED),
    (Stage.RCPT, 550, "5.7.1 blocked", Kind.REFUSED),
    (Stage.RCPT, 554, "no", Kind.REFUSED),
    # 4xx
    (Stage.RCPT, 450, "4.2.1 busy", Kind.DEFERRED),
    (Stage.RCPT, 452, "4.5.3 too many recipients", Kind.DEFERRED),
    (Stage.DATA, 451, "4.3.0 later", Kind.DEFERRED),
    (Stage.DOT, 451, "4.3.0 later", Kind.DEFERRED),
    (Stage.DOT, 452, "4.3.1 full", Kind.DEFERRED),
    # DATA and dot 5xx: never the person
    (Stage.DATA, 554, "5.1.1 no valid recipients", Kind.REFUSED),
    (Stage.DOT, 550, "5.1.1 no such user", Kind.REFUSED),
    (Stage.DOT, 550, "user unknown", Kind.REFUSED),
    (Stage.DOT, 554, "5.7.1 spam", Kind.REFUSED),
    (Stage.DOT, 550, "5.7.26 unauthenticated", Kind.OUR_FAULT),
    (Stage.BODY, 552, "5.3.4 too big", Kind.REFUSED),
    # sent
    (Stage.DOT, 250, "2.0.0 queued as 4F1", Kind.SENT),
    # what makes no sense
    (Stage.DATA, 250, "ok", Kind.LOST),
    (Stage.RCPT, 354, "go on", Kind.LOST),
    (Stage.MAIL, 334, "what", Kind.LOST),
    (Stage.BODY, 250, "ok", Kind.LOST),
    (Stage.DOT, 354, "go on", Kind.UNKNOWN),
]


@pytest.mark.parametrize(("stage", "code", "text", "kind"), ROWS)
def test_an_answer_means_what_the_table_says(stage: Stage, code: int, text: str, kind: Kind) -> None:
    outcome = classify(stage, code, text)
    assert (outcome.kind, outcome.code) == (kind, code)
    assert outcome.text
    assert outcome.in_hand is (stage not in OPENING)


def test_the_code_of_another_class_is_not_believed() -> None:
    assert enhanced_code(450, "5.1.1 unknown") is None
    assert enhanced_code(550, "5.1.1 unknown") == "5.1.1"
    assert enhanced_code(550, "5.01.001: x") == "5.1.1"
    assert enhanced_code(550, "5.1.1.4 is a version") is None
    assert enhanced_code(250, "192.168.0.1 hello") is None


@pytest.mark.parametrize(
    ("code", "text", "greylisted"),
    [
        (450, "4.2.0 <x@y>: Recipient address rejected: Greylisted, see http://postgrey", True),
        (451, "4.7.1 Greylisting in action, please come back later", True),
        (451, "grey-listed", True),
        (451, "Graylist in effect", True),
        (450, "4.7.1 please wait", True),
        (451, "try again in 300 seconds", True),
        (451, "4.3.0 local error", False),
        (450, "4.2.2 mailbox full", False),
        (550, "5.7.1 greylisted for ever", False),
        (454, "4.7.1 Relay access denied", False),
        (421, "4.7.1 greylisted", False),
    ],
)
def test_greylisting_is_recognised(code: int, text: str, greylisted: bool) -> None:
    assert classify(Stage.RCPT, code, text).greylisted is greylisted


def test_the_setting_is_named() -> None:
    assert classify(Stage.AUTH, 535, b"5.7.8 bad").text == (
        "the server refused the login (535 5.7.8 bad): check smtp.user and smtp.password"
    )
    assert "from" in classify(Stage.MAIL, 550, "5.7.1 not owned by user").text
    assert "smtp.user" in classify(Stage.MAIL, 530, "5.7.0 authentication required").text
    assert "smtp.user" in classify(Stage.RCPT, 550, "relaying denied").text


def test_an_answer_becomes_one_line() -> None:
    text = b"5.1.1 The account\n5.1.1 that you\x1b[31m tried\r\n5.1.1 \xff does not exist \xe2\x80\xae"
    outcome = classify(Stage.RCPT, 550, text)
    assert outcome.text == "5.1.1 The account that you [31m tried \ufffd does not exist"
    assert outcome.enhanced == "5.1.1"
    assert outcome.kind is Kind.NO_MAILBOX


def test_braces_in_an_answer_are_only_braces() -> None:
    assert "{0} {answer}" in classify(Stage.AUTH, 535, "{0} {answer}").text


@given(st.binary(max_size=3000) | st.text(max_size=3000))
def test_any_text_becomes_one_printable_line(text: bytes | str) -> None:
    line = clean(text)
    assert len(line) <= 500
    assert line.isprintable()
    assert line == line.strip()


@given(st.sampled_from(Stage), st.integers(200, 599), st.binary(max_size=600))
def test_every_answer_means_something(stage: Stage, code: int, text: bytes) -> None:
    outcome = classify(stage, code, text)
    assert len(outcome.text) <= 500
    assert (outcome.kind is Kind.SENT) == (stage is Stage.DOT and code // 100 == 2)
    if outcome.kind is Kind.NO_MAILBOX:
        assert stage is Stage.RCPT
        assert code // 100 == 5
    if outcome.kind is Kind.UNKNOWN:
        assert stage is Stage.DOT
        assert code // 100 == 3


@pytest.mark.parametrize(
    ("stage", "error", "kind"),
    [
        # 421 hides in several classes: the code comes first
        (Stage.MAIL, smtplib.SMTPSenderRefused(421, b"bye", "a@b.org"), Kind.DOWN),
        (Stage.RCPT, smtplib.SMTPRecipientsRefused({"c@d.org": (421, b"bye")}), Kind.DOWN),
        (Stage.DOT, smtplib.SMTPDataError(421, b"bye"), Kind.DOWN),
        (Stage.RCPT, smtplib.SMTPRecipientsRefused({"c@d.org": (550, b"5.1.1 nobody")}), Kind.NO_MAILBOX),
        (Stage.AUTH, smtplib.SMTPAuthenticationError(535, b"no"), Kind.MISCONFIGURED),
        (Stage.AUTH, smtplib.SMTPAuthenticationError(454, b"4.7.0 later"), Kind.DOWN),
        (Stage.GREETING, smtplib.SMTPConnectError(554, b"no"), Kind.DOWN),
        (Stage.EHLO, smtplib.SMTPHeloError(501, b"no"), Kind.DOWN),
        (Stage.DOT, smtplib.SMTPDataError(554, b"5.7.1 spam"), Kind.REFUSED),
        # without a code: where it happened decides
        (Stage.GREETING, smtplib.SMTPServerDisconnected("closed"), Kind.DOWN),
        (Stage.AUTH, smtplib.SMTPServerDisconnected("closed"), Kind.DOWN),
        (Stage.RCPT, smtplib.SMTPServerDisconnected("closed"), Kind.LOST),
        (Stage.BODY, TimeoutError("timed out"), Kind.LOST),
        (Stage.DOT, smtplib.SMTPServerDisconnected("timed out"), Kind.UNKNOWN),
        (Stage.DOT, ConnectionResetError(104, "reset"), Kind.UNKNOWN),
        (Stage.CONNECT, socket.gaierror(-2, "Name or service not known"), Kind.DOWN),
        (Stage.CONNECT, ConnectionRefusedError(111, "Connection refused"), Kind.DOWN),
        (Stage.TLS, ssl.SSLError(1, "wrong"), Kind.DOWN),
    ],
)
def test_an_exception_means_what_its_code_or_its_place_says(stage: Stage, error: Exception, kind: Kind) -> None:
    outcome = from_exception(stage, error)
    assert outcome.kind is kind
    assert outcome.in_hand is (stage not in OPENING)


def test_only_an_agreed_answer_keeps_the_connection() -> None:
    assert [code for code in (250, 354, 421, 450, 451, 500, 503, 509, 510, 550, 554, 555) if in_step(code)] == [
        *(250, 450, 451, 510, 550, 554)
    ]
    assert expected(Stage.DATA, 354)
    assert not expected(Stage.DATA, 250)
    assert not expected(Stage.RCPT, 354)
