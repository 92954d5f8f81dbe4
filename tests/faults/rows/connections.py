"""Rows 6 to 8: a connection that dies anywhere, a login that is refused, a relay that refuses everybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import drip.transport.conversation
from drip.core.delivery import Outcome
from drip.core.delivery import OutcomeKind as Kind
from drip.engine.breaker import Breaker
from drip.project import open_project
from drip.transport.answers import Stage, classify
from drip.transport.conversation import Habits
from drip.transport.door import Door
from drip.transport.smtp import SmtpTransport
from tests.faults.processes import a_server, fork
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import Trial, a_trial, credentials, look_over, run_drip
from tests.smtp_server import Features, read_log
from tests.transport.test_faults import OPENING, PAIRS

T = TypeVar("T")

SECONDS = 1.5
"""How long an answer is waited for: longer than a busy machine takes for one."""
LONGEST = 30.0
"""Seconds for three passes, but for those without a processor."""
VICTIM = "p2@example.com"

BETWEEN = [
    (phase, fault, Kind.SENT)
    for phase in ("rset", "quit")
    for fault in ("drop", "reset", "stall", "garbage", "long", "reply 421 4.3.2 closing", "reply 550 5.3.0 no")
]
# A server that takes a message and then says that it did not has lied: it will get the message again.
TABLE = [
    *(pair for pair in PAIRS if not (pair[0] == "after-dot" and pair[1].startswith(("reply 4", "reply 5")))),
    *BETWEEN,
]


def connection_trial(case: Case) -> Figures:
    """One pair of the table: it happens to one message in the middle of a run over two connections."""
    phase, fault, kind = TABLE[case.number % len(TABLE)]
    opening = phase in OPENING
    where = phase if opening or phase in ("rset", "quit") else f"{phase}~{VICTIM}"
    faults = [f"{where}#1={fault}", *(["rcpt~p1@*#1=reply 450 4.3.0 later"] if phase == "rset" else [])]
    authority, certificate = credentials()
    features = Features(starttls=True, mechanisms=("PLAIN",), users=frozenset({("us", "secret")}), login_required=True)
    figures = Figures(trials=1, faults=1)
    with a_server(case.folder / "server.jsonl", faults=faults, features=features, certificate=certificate) as port:
        login: dict[str, Any] = {"user": "us", "password": "secret", "security": "starttls", "ca_file": authority.file}
        one = Trial(case, 5, port=port, connections=2, **login)
        begun = time.monotonic()
        children = []
        for _ in range(3):
            children.append(fork(lambda: _quick_pass(one.folder), one.errors))
            children[-1].wait()
        took = time.monotonic() - begun - sum(child.starved for child in children)
        codes = [child.wait() for child in children]
        figures.breach(took > LONGEST, f"three passes took {took:.0f} s")
        figures.breach(not set(codes) <= {0, 3}, f"exit codes {codes}: {one.errors.read_text()[-500:]}")
        figures += _as_the_table_says(one, phase, fault, kind)
        figures.breach(read_log(one.log).plain_password, "a password went over a plain socket")
        one.look_over(figures)
    figures.trials = 1
    return figures


def closing_at_rcpt(case: Case) -> Figures:
    """Of the table, the pair whose code and class disagree."""
    place = next(n for n, (phase, fault, _) in enumerate(TABLE) if phase == "rcpt" and fault.startswith("reply 421"))
    return connection_trial(replace(case, number=place))


def _quick_pass(folder: Path) -> int:
    """A pass that is patient for a moment only."""
    project = open_project(folder)
    assert project.settings.smtp is not None
    smtp = replace(project.settings.smtp, timeout=timedelta(seconds=SECONDS))
    habits = Habits(dot_timeout=timedelta(seconds=SECONDS), login_pause=timedelta(0))
    project.__dict__["transport"] = SmtpTransport(smtp, habits=habits)
    with project.opened(), project.worker() as worker:
        report = worker.run_once()
    return 3 if report.trouble else 0


EXPECTED = {
    Kind.SENT: ("sent", None),
    Kind.DOWN: ("sent", None),
    Kind.MISCONFIGURED: ("sent", None),
    Kind.UNKNOWN: ("unknown", "no_answer"),
    Kind.DEFERRED: ("deferred", "temporary"),
    Kind.LOST: ("deferred", "connection"),
    Kind.REFUSED: ("failed", "refused"),
}
"""What the victim's delivery is when the passes are over."""


def _as_the_table_says(one: Trial, phase: str, fault: str, kind: Kind) -> Figures:
    figures = Figures()
    accepted = [message.recipients[0] for message in one.messages()]
    with one.project().opened() as store:
        rows = store.database.rows(
            "SELECT c.email, d.state, d.reason FROM subscription s JOIN contact c ON c.id = s.contact_id"
            " LEFT JOIN delivery d ON d.subscription_id = s.id"
        )
    states = {email: (state, reason) for email, state, reason in rows}
    figures.duplicates = len(accepted) - len(set(accepted))
    figures.breach(figures.duplicates > 0, f"{phase}={fault}: mailed twice")
    for email, (state, reason) in states.items():
        wanted = EXPECTED[kind] if email == VICTIM and phase not in OPENING else ("sent", None)
        if phase == "rset" and email.startswith("p1@"):
            wanted = ("deferred", "temporary")
        if email == VICTIM and phase == "mail" and kind is Kind.LOST and state == "sent":
            wanted = ("sent", None)  # a connection that had served before is opened anew, no one is blamed
        figures.breach((state, reason) != wanted, f"{phase}={fault}: {email} is {state} {reason}, not {wanted}")
        figures.unknown += state == "unknown"
        figures.unknown_had += state == "unknown" and email in accepted
        figures.lost += state == "sent" and email not in accepted
        figures.breach(state == "sent" and email not in accepted, f"{phase}={fault}: {email} is said to be sent")
    return figures


@contextmanager
def by_class_only() -> Iterator[None]:
    """421 at RCPT is a refused recipient, as smtplib's class says."""

    def blind(stage: Stage, code: int, text: bytes | str) -> Outcome:
        return classify(stage, 550 if code == 421 and stage not in (Stage.AUTH, Stage.EHLO) else code, text)

    with patch.object(drip.transport.conversation, "classify", blind):
        yield


LOGINS = ("535", "534", "454", "expired", "wrong name", "stripped", "oauth2")
RIGHT = {"user": "us", "password": "secret"}
SHUT_OUT = 8
"""People who are due: more than connections that could log in."""


def login_trial(case: Case) -> Figures:
    """A login that can't work: nobody is blamed, nothing leaks, and all goes out once it is mended."""
    kind = LOGINS[case.number % len(LOGINS)]
    authority, good = credentials()
    bad = {
        "expired": lambda: authority.certificate(expired=True, label="expired"),
        "wrong name": lambda: authority.certificate("mail.example.org", label="wrong"),
    }.get(kind, lambda: good)()
    mechanisms = ("XOAUTH2",) if kind == "oauth2" else ("PLAIN", "LOGIN", "CRAM-MD5")
    users = frozenset({("us", "secret")})
    features = Features(
        starttls=kind != "stripped", mechanisms=mechanisms, users=users, login_required=True, plain_login=True
    )
    faults = {"534": ["auth=reply 534 5.7.9 stronger, please"], "454": ["auth=reply 454 4.7.0 later"]}.get(kind, [])
    figures = Figures(trials=1, faults=1)
    smtp: dict[str, Any] = {"security": "starttls", "ca_file": authority.file, "connections": 4}
    login = {"user": "us", "password": "wrong"} if kind == "535" else RIGHT
    before: Callable[[], None] = lambda: None  # noqa: E731
    if kind == "oauth2":
        token = case.folder / "oauth2.json"
        token.write_text(
            '{"email_address": "us", "google_client_id": "a", "google_client_secret": "b", "google_refresh_token": "c"}'
        )
        login, before = {"user": "us", "oauth2_file": str(token)}, _with_a_stale_token
    log = case.folder / "server.jsonl"
    with a_server(log, features=features, certificate=bad, faults=faults) as port:
        one = Trial(case, SHUT_OUT, port=port, **login, **smtp)
        child = run_drip(one, "run", "--once", before=before)
        code = child.wait()
        said = one.errors.read_text()
    reading = read_log(log)
    words = {
        "454": "can't be used now",
        "stripped": "smtp.security",
        "wrong name": "smtp.host",
        "expired": "smtp.ca_file",
    }
    figures.breach(code != 3, f"{kind}: exit code {code}: {said[-300:]}")
    figures.breach(words.get(kind, "smtp.") not in said, f"{kind}: the setting is not named: {said[-300:]}")
    figures.breach("Traceback" in said, f"{kind}: a traceback")
    figures.breach(len(reading.logins) > 1, f"{kind}: {len(reading.logins)} logins were tried")
    figures.breach(reading.plain_password, f"{kind}: a password went over a plain socket")
    with one.project().opened() as store:
        blamed = store.database.value("SELECT COUNT(*) FROM delivery")
        figures.breach(blamed > 0, f"{kind}: {blamed} deliveries were blamed")
    one.look_over(figures)
    with a_server(log, features=Features(starttls=True, mechanisms=("PLAIN",), users=users), certificate=good) as port:
        one.configure(port=port, **RIGHT, **smtp)
        one.finish()
        books = one.books()
    found = books.figures()
    found.trials = 0
    figures += found
    return figures


def _with_a_stale_token() -> None:
    import yagmail

    yagmail.Client.get_oauth_string = lambda *_: "user=us\1auth=Bearer stale\1\1"


@contextmanager
def every_connection_tries() -> Iterator[None]:
    """Each connection logs in by itself, whatever the others were told."""

    def enter(self: Door, connect: Callable[[], T]) -> T:
        return connect()

    with patch.object(Door, "enter", enter):
        yield


REFUSALS = ("550 5.7.1 access denied", "554 transaction failed", "550 5.1.1 user unknown", "550 5.7.26 unauthenticated")
MANY = 40
"""People who are due: more than the good ones, and those that may be refused before it is noticed."""


def relay_trial(case: Case) -> Figures:
    """After some good ones everybody is refused; then the relay is mended."""
    answer, good = REFUSALS[case.number % len(REFUSALS)], case.random.randint(0, 12)
    phase = case.random.choice(("rcpt", "dot")) if "5.7" in answer else "rcpt"
    connections = case.random.randint(1, 4)
    figures = Figures(trials=1, faults=1)
    with a_trial(case, due=MANY, connections=connections, faults=[f"{phase}#{good + 1}+=reply {answer}"]) as one:
        code = one.start().wait()
        refused = _tried(one)
        figures.breach(code != 3, f"{answer} at {phase} after {good}: exit code {code}")
        figures.breach(refused > 15 + connections, f"{answer} at {phase} after {good}: {refused} were refused")
        with one.project().opened() as store:
            suppressed = store.database.value("SELECT COUNT(*) FROM suppression")
            figures.breach(suppressed > 0, f"{answer} at {phase} after {good}: {suppressed} stay suppressed")
            look_over(store.database, figures)
    with a_server(one.log, latency=0.0) as port:
        one.configure(port=port, connections=connections)
        one.finish()
        books = one.books()
    found = books.figures()
    found.breach(bool(books.failed), f"{answer} at {phase} after {good}: {len(books.failed)} failed for ever")
    found.trials = 0
    figures += found
    one.look_over(figures)
    return figures


def _tried(one: Trial) -> int:
    """How many people's deliveries a refusal was recorded for, in the log of events."""
    with one.project().opened() as store:
        return int(store.database.value("SELECT COUNT(*) FROM event WHERE type = 'sequence.step.failed'"))


@contextmanager
def no_breaker() -> Iterator[None]:
    """Every refusal is taken at its word."""

    def opens(self: Breaker, now: datetime) -> bool:
        return False

    def open_for_this_pass(self: Breaker, now: datetime) -> None:
        return None

    with patch.object(Breaker, "opens", opens), patch.object(Breaker, "open_for_this_pass", open_for_this_pass):
        yield


ROWS = [
    Row(
        number=6,
        promise="The connection may die anywhere",
        fault="drop, RST, stall, 421, 4xx, 5xx, garbage, 10 MB line, endless, bytewise, wrong class x every phase",
        ci=len(TABLE),
        release=len(TABLE) * 10,
        table=len(TABLE),
        trial=connection_trial,
        control=Control(
            *("classifies by the exception's class", by_class_only),
            within=1,
            shows="failed refused, not",
            trial=closing_at_rcpt,
        ),
    ),
    Row(
        number=7,
        promise="A bad login fails nobody",
        fault="535, 534, 454, expired certificate, wrong name, STARTTLS stripped, OAuth2 refused",
        ci=len(LOGINS) * 20,
        release=len(LOGINS) * 100,
        table=len(LOGINS),
        trial=login_trial,
        control=Control("every connection tries the login", every_connection_tries, within=7, shows="logins"),
    ),
    Row(
        number=8,
        promise="A misconfigured relay suppresses nobody",
        fault="550 5.7.1, 554, 550 5.1.1, 5.7.26 for everybody after some good ones",
        ci=50,
        release=500,
        trial=relay_trial,
        control=Control("no breaker", no_breaker, within=8, shows="stay suppressed"),
    ),
]
