"""What becomes of a bounce, a complaint or an opt-out by mail. Each is taken in once, in one transaction.

Whoever can write to the bounce address can forge a bounce. So a report acts only on whom a signed token names, or
whom a provider names that has proven who it is; an address by itself is counted and shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from drip.core.address import email_key, parse_email
from drip.core.events import EventType
from drip.core.reports import SOFT_LIMIT, Finding, Report, ReportKind
from drip.core.settings import Settings
from drip.core.subscription import SuppressionReason
from drip.core.tokens import Purpose, read_token
from drip.engine.ports import Store
from drip.engine.records import Contact, Event, Posted, StoredReport
from drip.engine.suppress import suppress
from drip.engine.unsubscribe import opt_out, read_holder

SUPPRESSES = {
    ReportKind.HARD: SuppressionReason.BOUNCE,
    ReportKind.COMPLAINT: SuppressionReason.COMPLAINT,
    ReportKind.UNSUBSCRIBE: SuppressionReason.UNSUBSCRIBED,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of what a report says of one recipient."""

    kind: ReportKind
    proven: bool
    """Whether it is certain who is meant; nothing happens otherwise."""
    new: bool
    """False: it was taken in before, and changes nothing."""
    email: str | None
    """Who is meant; when that is not proven, only whom the report names."""
    sequence: str | None
    """With the next, the message it is about; None when that is not known."""
    step: str | None
    code: str | None
    text: str
    source: str
    suppressed: bool = False
    """Whether the address was suppressed by it."""
    cancelled: int = 0
    """Subscriptions that it ended."""


@dataclass(frozen=True, slots=True)
class _Meant:
    """Who is proven to be meant, and by which message."""

    contact: Contact | None
    """None: somebody that a provider named, who is no contact."""
    email: str
    posted: Posted | None


def take_in(store: Store, settings: Settings, report: Report, now: datetime) -> list[Taken]:
    """Act on a report, once; what came of each of its findings."""
    with store.transaction():
        if report.leave_token is not None:
            return [_leave(store, settings, report, report.leave_token, now)]
        named = _named_by_token(store, report)
        if named is not None:
            return [_act(store, report, _about(report, named), named, now)]
        return [
            _act(store, report, finding, _named_by_address(store, report, finding), now) for finding in report.findings
        ]


@contextmanager
def undone(store: Store) -> Iterator[None]:
    """Whatever is done in the block is undone at its end: a rehearsal on the real database."""
    try:
        with store.transaction():
            yield
            raise _Undo
    except _Undo:
        return


class _Undo(Exception):
    """Ends a rehearsal."""


def _named_by_token(store: Store, report: Report) -> _Meant | None:
    for token in report.tokens:
        ids = read_token(store.secret(), Purpose.DELIVERY, token)
        if ids is None or len(ids) != 2 or max(ids) >= 1 << 63:
            continue
        person = store.subscriptions.people([ids[0]]).get(ids[0])
        contact = store.contacts.by_id(person.contact_id) if person else None
        if contact is not None:
            return _Meant(contact, contact.email, store.reports.posted(*ids))
    return None


def _named_by_address(store: Store, report: Report, finding: Finding) -> _Meant | None:
    """Only a reporter that has proven who it is may name somebody so; it is about the last message they were sent."""
    email = _email(finding.address)
    if email is None or not report.trusted:
        return None
    contact = store.contacts.by_email(email)
    if contact is None:
        return _Meant(None, email, None)
    return _Meant(contact, contact.email, store.reports.last_posted(contact.id))


def _about(report: Report, named: _Meant) -> Finding:
    """The finding about the person that the token names; the gravest when none, or more than one, says so."""
    own = [one for one in report.findings if one.address and email_key(one.address) == email_key(named.email)]
    gravity = list(ReportKind)
    return min(own or report.findings, key=lambda one: gravity.index(one.kind))


def _act(store: Store, report: Report, finding: Finding, meant: _Meant | None, now: datetime) -> Taken:
    posted = meant.posted if meant else None
    who = meant.email if meant else finding.address
    contact_id = meant.contact.id if meant and meant.contact else None
    kept = StoredReport(
        *(_key(report, who), now, finding.kind, report.source),
        proven=meant is not None,
        contact_id=contact_id,
        subscription_id=posted.subscription_id if posted else None,
        step_id=posted.step_id if posted else None,
        sent_at=posted.at if posted else now,
        code=finding.code,
    )
    taken = _taken(store, report, finding, meant, new=store.reports.add(kept))
    if not taken.new:
        return taken
    if meant is None:
        _note_unproven(store, report, finding, now)
        return taken
    kind = finding.kind
    if kind is ReportKind.SOFT and contact_id is not None and store.reports.soft_in_a_row(contact_id) >= SOFT_LIMIT:
        store.reports.harden(kept.key)
        kind = ReportKind.HARD
    _log(store, report, replace(finding, kind=kind), meant, now)
    if kind not in SUPPRESSES:
        return taken
    detail = finding.text if finding.code and finding.code in finding.text else _words(finding)
    added, cancelled = suppress(store, meant.email, SUPPRESSES[kind], now, code=finding.code, detail=detail)
    return replace(taken, kind=kind, suppressed=added, cancelled=cancelled)


def _leave(store: Store, settings: Settings, report: Report, token: str, now: datetime) -> Taken:
    """An opt-out by mail: the same as the link's one click."""
    finding = report.findings[0]
    holder = read_holder(store, settings, token)
    meant = _Meant(holder.contact, holder.contact.email, None) if holder else None
    kept = StoredReport(
        *(_key(report, meant.email if meant else None), now, finding.kind, report.source),
        proven=holder is not None,
        contact_id=holder.contact.id if holder else None,
    )
    taken = _taken(store, report, finding, meant, new=store.reports.add(kept))
    if holder is None or not taken.new:
        return taken
    suppressed, live = store.suppressions.get(holder.contact.email), store.subscriptions.of_contact(holder.contact.id)
    opt_out(store, holder, settings.unsubscribe_scope, now)
    return replace(
        taken,
        suppressed=store.suppressions.get(holder.contact.email) != suppressed,
        cancelled=len(live) - len(store.subscriptions.of_contact(holder.contact.id)),
    )


def _taken(store: Store, report: Report, finding: Finding, meant: _Meant | None, *, new: bool) -> Taken:
    posted = meant.posted if meant else None
    person = store.subscriptions.people([posted.subscription_id]).get(posted.subscription_id) if posted else None
    stored = store.sequences.by_id(person.sequence_id) if person else None
    return Taken(
        kind=finding.kind,
        proven=meant is not None,
        new=new,
        email=meant.email if meant else finding.address,
        sequence=stored.slug if stored else None,
        step=stored.keys.get(posted.step_id) if stored and posted else None,
        code=finding.code,
        text=finding.text,
        source=report.source,
    )


def _log(store: Store, report: Report, finding: Finding, meant: _Meant, now: datetime) -> None:
    kind = {ReportKind.COMPLAINT: EventType.COMPLAINED}.get(finding.kind, EventType.BOUNCED)
    if finding.kind is ReportKind.UNSUBSCRIBE:
        return
    data = _data(report, finding)
    posted = meant.posted
    person = store.subscriptions.people([posted.subscription_id]).get(posted.subscription_id) if posted else None
    if posted is None or person is None:
        store.events.append([Event(kind, now, data={**data, "email": email_key(meant.email)})])
        return
    store.events.append([Event(kind, now, person.sequence_id, person.id, posted.step_id, data)])


def _note_unproven(store: Store, report: Report, finding: Finding, now: datetime) -> None:
    """Somebody's address in a report that proves nothing is shown where that somebody is a contact."""
    email = _email(finding.address)
    if email is not None and store.contacts.by_email(email) is not None:
        data = {**_data(report, finding), "email": email_key(email)}
        store.events.append([Event(EventType.UNPROVEN, now, data=data)])


def _key(report: Report, who: str | None) -> str:
    """Of a report about somebody; nothing can be read from it."""
    words = f"{report.key}\0{email_key(who) if who else ''}"
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def _data(report: Report, finding: Finding) -> dict[str, Any]:
    data: dict[str, Any] = {} if finding.kind is ReportKind.COMPLAINT else {"reason": finding.kind.value}
    data |= {"code": finding.code} if finding.code else {}
    data |= {"error": finding.text} if finding.text else {}
    return data if report.source == "mail" else {**data, "source": report.source}


def _words(finding: Finding) -> str | None:
    return " ".join(word for word in (finding.code, finding.text) if word) or None


def _email(address: str | None) -> str | None:
    try:
        return parse_email(address) if address else None
    except ValueError:
        return None
