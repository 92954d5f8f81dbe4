"""What servers of many kinds send back, and what each message must give."""

from __future__ import annotations

import pytest

from drip.core.reports import NoReport
from drip.core.tokens import Purpose, make_token
from tests.inbound.post import CORPUS, EMAIL, PostOffice

HARD, SOFT = ("hard", "bounce", "bounced"), ("soft", None, None)
COMPLAINT, LEFT = ("complaint", "complaint", "complained"), ("unsubscribe", "unsubscribed", "unsubscribed")

REPORTS = {
    # sample: (kind, suppressed as, cancelled as), code
    "postfix-user-unknown": (HARD, "5.1.1"),
    "postfix-no-such-domain": (HARD, "5.4.4"),
    "postfix-delayed": (SOFT, "4.4.1"),
    "exim-user-unknown": (HARD, "5.0.0"),
    "exim-old-prose": (HARD, None),
    "sendmail-user-unknown": (HARD, "5.1.1"),
    "microsoft365-no-mailbox": (HARD, "5.1.10"),
    "microsoft365-our-domain": (SOFT, "5.7.515"),
    "gmail-no-such-user": (HARD, "5.1.1"),
    "gmail-over-quota": (SOFT, "5.2.2"),
    "yahoo-no-such-user": (HARD, None),
    "qmail-no-mailbox": (HARD, "5.1.1"),
    "amazon-ses-dsn": (HARD, "5.1.1"),
    "internationalised-dsn": (HARD, "5.1.1"),
    "failed-for-now": (SOFT, "4.4.7"),
    "arf-abuse": (COMPLAINT, None),
    "unsubscribe-by-mail": (LEFT, None),
}
NO_REPORTS = {
    "vacation-rfc3834": NoReport.AUTO_REPLY,
    "vacation-exchange": NoReport.AUTO_REPLY,
    "forward-by-a-person": NoReport.OTHER,
    "forwarded-bounce-in-prose": NoReport.OTHER,
    "delivered-receipt": NoReport.OTHER,
    "arf-auth-failure": NoReport.OTHER,
    "newsletter": NoReport.OTHER,
}
UNPROVEN = {"bare-recipient"}


def test_every_sample_of_the_corpus_is_in_a_table() -> None:
    assert {path.stem for path in CORPUS.glob("*.eml")} == {*REPORTS, *NO_REPORTS, *UNPROVEN}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_acts_once_on_the_person_that_its_token_names(post: PostOffice, name: str) -> None:
    (kind, suppressed, cancelled), code = REPORTS[name]
    raw = post.sample(name)
    taken = post.one(raw)
    assert (taken.kind.value, taken.proven, taken.new, taken.email) == (kind, True, True, EMAIL)
    assert taken.code == (code if kind != "complaint" else "abuse")
    assert post.suppressed == ({EMAIL: suppressed} if suppressed else {})
    expected = ("cancelled", cancelled) if cancelled else ("active", None)
    assert post.status("welcome") == post.status("news") == expected

    # The same by another way: with other trace headers and line ends.
    before = post.lab.store.events.last(), post.lab.store.reports.counts()
    again = post.one(b"Received: from elsewhere\nDelivered-To: archive@miempresa.com\n" + raw.replace(b"\n", b"\r\n"))
    assert not again.new
    assert (post.lab.store.events.last(), post.lab.store.reports.counts()) == before


def test_what_is_no_report_changes_nothing(post: PostOffice) -> None:
    before = post.lab.store.events.last()
    assert {name: post.take(post.sample(name)) for name in NO_REPORTS} == NO_REPORTS
    assert post.suppressed == {}
    assert post.lab.store.events.last() == before


@pytest.mark.parametrize("forgery", ["of another key", "altered", "for another purpose", "missing"])
def test_a_forged_report_suppresses_nobody(post: PostOffice, forgery: str) -> None:
    ids = (1, 1)
    token, leave = {
        "of another key": (make_token(b"guess", Purpose.DELIVERY, *ids), make_token(b"guess", Purpose.UNSUBSCRIBE, 1)),
        "altered": (post.token()[:-3] + "aaq", post.leave_token()[:-3] + "aaq"),
        "for another purpose": (post.leave_token(), post.token()),
        "missing": ("", ""),
    }[forgery]
    for name in (*REPORTS, *UNPROVEN):
        taken = post.take(post.sample(name, token=token, leave=leave))
        assert isinstance(taken, NoReport) or not any(one.proven for one in taken), name
    assert post.suppressed == {}
    assert post.status("welcome") == post.status("news") == ("active", None)


def test_a_bare_recipient_is_counted_and_shown(post: PostOffice) -> None:
    taken = post.one(post.sample("bare-recipient"))
    assert (taken.proven, taken.email, taken.code) == (False, EMAIL, "5.1.1")
    assert post.lab.store.reports.counts().unproven == 1
    shown = post.lab.store.events.entries(email_key=EMAIL, newest=True, limit=1)[0]
    assert shown.type == "report.unproven"
    assert shown.data == {"reason": "hard", "code": "5.1.1", "error": "550 5.1.1 user unknown", "email": EMAIL}
