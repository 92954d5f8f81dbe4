"""What becomes of a report: whom it is about, what counts as hard, and who wins."""

from __future__ import annotations

import pytest

from drip.core.reports import ReportKind, grade, status_code
from drip.core.subscription import SuppressionReason
from drip.engine.contact_book import erase_contact
from drip.engine.people import pause
from drip.engine.suppress import suppress, unsuppress
from tests.inbound.post import EMAIL, PostOffice

DSN = """\
Return-Path: <>
From: MAILER-DAEMON@mx.empresa.com
To: {to}
Subject: Undelivered
Message-ID: <{id}@mx.empresa.com>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=B

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.empresa.com

{blocks}
--B--
"""


def a_dsn(token: str, *blocks: tuple[str, str, str], name: str = "1") -> bytes:
    """A notification about (recipient, action, status) each."""
    text = "\n".join(
        f"Final-Recipient: rfc822; {who}\nAction: {action}\nStatus: {status}\n" for who, action, status in blocks
    )
    return DSN.format(to=f"bounces+{token}@miempresa.com", id=name, blocks=text).encode()


def soft(post: PostOffice, step: str, name: str, status: str = "4.2.2", action: str = "failed") -> str:
    """A soft bounce of a step: what it was taken for."""
    return post.one(a_dsn(post.token(step=step), (EMAIL, action, status), name=name)).kind.value


@pytest.mark.parametrize(
    ("action", "code", "kind"),
    [
        ("failed", "5.1.1", "hard"), ("failed", "5.0.0", "hard"), ("failed", "5.4.1", "hard"),
        ("failed", "5.4.4", "hard"), ("failed", "5.2.1", "hard"), ("failed", "5.5.0", "hard"),
        ("failed", "4.4.7", "soft"), ("failed", None, "soft"), ("delayed", "4.4.1", "soft"), ("delayed", None, "soft"),
        ("failed", "5.2.2", "soft"), ("failed", "5.3.4", "soft"), ("failed", "5.4.6", "soft"),
        ("failed", "5.7.1", "soft"), ("failed", "5.7.515", "soft"), ("failed", "5.6.0", "soft"),
        ("delivered", "2.0.0", None), ("relayed", "2.0.0", None), ("expanded", "2.0.0", None), ("", "5.1.1", None),
    ],
)  # fmt: skip
def test_only_a_failure_that_is_about_the_mailbox_is_hard(action: str, code: str | None, kind: str | None) -> None:
    assert grade(action, code) == (None if kind is None else ReportKind(kind))


@pytest.mark.parametrize(
    ("text", "code"),
    [("5.1.1", "5.1.1"), ("5.01.001 (bad)", "5.1.1"), ("smtp; 550 5.1.1 no", "5.1.1"), ("(#5.1.1)", "5.1.1"),
     ("host 10.5.1.1 said", None), ("5.1", None), ("6.1.1", None), ("", None), ("version 5.1.1.7", None)],
)  # fmt: skip
def test_status_codes_are_found_in_what_servers_say(text: str, code: str | None) -> None:
    assert status_code(text) == code


def test_five_soft_bounces_in_a_row_are_a_hard_one(post: PostOffice) -> None:
    kinds = [soft(post, "one", f"s{number}") for number in range(4)]
    assert kinds == ["soft"] * 4
    assert post.suppressed == {}
    assert soft(post, "one", "s3") == "soft"  # the fourth once more: it does not count twice
    assert soft(post, "one", "s5", action="delayed") == "hard"
    assert post.suppressed == {EMAIL: "bounce"}
    assert post.status("news") == ("cancelled", "bounced")


def test_one_step_after_another_bouncing_softly_counts_too(post: PostOffice) -> None:
    kinds = []
    for step in ("one", "step-2", "step-3", "step-4", "step-5"):
        kinds.append(soft(post, step, step))
        if step != "step-5":
            post.lab.move("1d")
            pause_news(post)
            post.lab.tick()
    assert kinds == ["soft", "soft", "soft", "soft", "hard"]


def pause_news(post: PostOffice) -> None:
    """So that nothing else is sent, which would have been delivered."""
    pause(post.lab.store, "news", EMAIL, post.lab.now)


def test_a_delivery_between_begins_the_count_anew(post: PostOffice) -> None:
    for number in range(4):
        assert soft(post, "one", f"s{number}") == "soft"
    pause_news(post)
    post.lab.move("1d")
    post.lab.tick()  # step-2 is sent, and nothing comes back
    post.lab.move("1d")
    post.lab.tick()
    for number in range(4):
        assert soft(post, "step-3", f"t{number}") == "soft"
    assert soft(post, "step-3", "t5") == "hard"


def test_after_an_operator_has_lifted_a_suppression_the_count_begins_anew(post: PostOffice) -> None:
    for number in range(5):
        post.lab.move("1m")
        soft(post, "one", f"s{number}")
    unsuppress(post.lab.store, EMAIL, post.lab.now)
    post.lab.move("1m")
    assert soft(post, "one", "later") == "soft"
    assert post.suppressed == {}


def test_of_several_recipients_the_one_that_was_mailed_decides(post: PostOffice) -> None:
    other = ("boss@elsewhere.org", "failed", "5.1.1")
    taken = post.one(a_dsn(post.token(), other, (EMAIL, "delayed", "4.4.1")))
    assert (taken.kind, taken.email, post.suppressed) == (ReportKind.SOFT, EMAIL, {})
    taken = post.one(a_dsn(post.token(), other, (EMAIL, "failed", "5.1.1"), name="2"))
    assert (taken.kind, post.suppressed) == (ReportKind.HARD, {EMAIL: "bounce"})


def test_a_redirected_address_is_still_the_one_that_was_mailed(post: PostOffice) -> None:
    taken = post.one(a_dsn(post.token(), ("old-ana@elsewhere.org", "failed", "5.1.1")))
    assert (taken.email, post.suppressed) == (EMAIL, {EMAIL: "bounce"})


def test_every_cancelled_sequence_says_why(post: PostOffice) -> None:
    post.one(post.sample("postfix-user-unknown"))
    told = [entry for entry in post.lab.store.events.entries(limit=1000) if entry.type == "sequence.cancelled"]
    words = "550 5.1.1 <ana@empresa.com>: Recipient address rejected: User unknown in virtual mailbox table"
    assert [(entry.sequence, entry.data) for entry in told] == [
        (slug, {"reason": "bounced", "detail": words}) for slug in ("welcome", "news")
    ]
    contact = post.lab.store.contacts.by_email(EMAIL)
    assert contact is not None
    assert contact.status == "bounced"
    kept = post.lab.store.suppressions.get(EMAIL)
    assert kept is not None
    assert kept.code == "5.1.1"


def test_a_graver_reason_stays(post: PostOffice) -> None:
    suppress(post.lab.store, EMAIL, SuppressionReason.COMPLAINT, post.lab.now)
    taken = post.one(post.sample("postfix-user-unknown"))
    assert (taken.suppressed, post.suppressed) == (False, {EMAIL: "complaint"})


def test_a_complaint_is_graver_than_a_bounce(post: PostOffice) -> None:
    post.one(post.sample("postfix-user-unknown"))
    post.one(post.sample("arf-abuse"))
    assert post.suppressed == {EMAIL: "complaint"}


def test_a_bounce_of_somebody_who_was_erased_is_of_nobody(post: PostOffice) -> None:
    raw = post.sample("postfix-user-unknown")
    post.one(post.sample("failed-for-now"))
    erase_contact(post.lab.store, EMAIL)
    assert post.lab.store.reports.counts().soft == 0
    assert not post.one(raw).proven
    assert post.suppressed == {}


def test_nothing_is_sent_after_a_bounce(post: PostOffice) -> None:
    post.one(post.sample("postfix-user-unknown"))
    post.lab.move("5d")
    post.lab.tick()
    assert len(post.lab.transport.sent) == 2
