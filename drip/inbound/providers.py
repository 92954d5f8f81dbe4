"""The webhooks of email providers: what each event means. Whether it is genuine is looked at in `proofs` and `sns`.

A provider that has proven who it is may name people by their address alone: its own list refuses them anyway.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drip.core.reports import Finding, Report, ReportKind, grade, one_line, status_code

_TOKEN = re.compile(r"(?<![a-z0-9])[a-z2-7]{29,100}(?![a-z0-9])")
MOST_TOKENS = 20
MOST_EVENTS = 10_000
"""More than fit into a body, were they real."""
_MANY_AT_ONCE = ("sendgrid", "brevo")
"""Brevo only where its webhook is made with `batched` (https://developers.brevo.com/docs/batch-webhooks)."""

Event = Mapping[str, Any]
HARD, SOFT, COMPLAINT, UNSUBSCRIBE = ReportKind


@dataclass(frozen=True, slots=True)
class Told:
    """One event, understood."""

    id: str
    """The provider's own, the same when it tells it again."""
    findings: tuple[Finding, ...]


def read_events(provider: str, body: Any) -> tuple[list[Report], int]:
    """The reports in a webhook's body, and how many events were of no interest.

    Args:
        body: as JSON gives it; for SES the message within the notification.
    """
    reports, ignored = list[Report](), 0
    for event in _events(provider, body):
        told = _READERS[provider](event)
        findings = tuple(finding for finding in told.findings if finding.address) if told else ()
        if told is None or not findings:
            ignored += 1
            continue
        reports.append(
            Report(
                key=f"{provider}:{told.id or _digest(event)}",
                findings=findings,
                source=provider,
                tokens=_tokens(event),
                trusted=True,
            )
        )
    return reports, ignored


def _events(provider: str, body: Any) -> Iterator[Event]:
    if provider == "mailgun" and isinstance(body, dict):
        body = body.get("event-data")
    events = body if provider in _MANY_AT_ONCE and isinstance(body, list) else [body]
    yield from (event for event in events[:MOST_EVENTS] if isinstance(event, dict))


def _ses(event: Event) -> Told | None:
    """Amazon SES: "Amazon SNS notification contents", and the event publishing that looks alike."""
    kind = event.get("notificationType") or event.get("eventType")
    if kind == "Bounce":
        said = _part(event, "bounce")
        hard = said.get("bounceType") == "Permanent"
        findings = [
            _finding(HARD if hard else SOFT, one.get("emailAddress"), one.get("status"), one.get("diagnosticCode"))
            for one in _parts(said, "bouncedRecipients")
        ]
    elif kind == "DeliveryDelay":
        said = _part(event, "deliveryDelay")
        findings = [
            _finding(SOFT, one.get("emailAddress"), one.get("status"), one.get("diagnosticCode"))
            for one in _parts(said, "delayedRecipients")
        ]
    elif kind == "Complaint":
        said = _part(event, "complaint")
        word = said.get("complaintFeedbackType")
        if word == "not-spam":
            return None
        recipients = _parts(said, "complainedRecipients")
        findings = [_finding(COMPLAINT, one.get("emailAddress"), None, None, word) for one in recipients]
    elif kind == "Subscription":
        said = _part(event, "subscription")
        if _part(said, "newTopicPreferences").get("unsubscribeAll") is not True:
            return None
        findings = [_finding(UNSUBSCRIBE, who) for who in _texts(_part(event, "mail").get("destination"))]
    else:
        return None
    return Told(_text(said.get("feedbackId")), tuple(findings))


def _postmark(event: Event) -> Told | None:
    """Postmark: "Bounce webhook", "Spam complaint webhook", "Subscription change webhook"."""
    record = event.get("RecordType") or ("Bounce" if event.get("Type") else None)
    if record == "SubscriptionChange":
        if event.get("SuppressSending") is not True:
            return None
        reasons = {"HardBounce": HARD, "SpamComplaint": COMPLAINT, "ManualSuppression": UNSUBSCRIBE}
        kind = reasons.get(_text(event.get("SuppressionReason")))
        return Told("", (_finding(kind, event.get("Recipient")),)) if kind else None
    kinds = {
        **dict.fromkeys(("HardBounce", "BadEmailAddress"), HARD),
        **dict.fromkeys(("SoftBounce", "Transient", "DnsError", "Undeliverable", "Blocked", "SpamNotification"), SOFT),
        **dict.fromkeys(("DMARCPolicy", "VirusNotification", "SMTPApiError"), SOFT),
        "SpamComplaint": COMPLAINT,
        "Unsubscribe": UNSUBSCRIBE,
    }
    kind = kinds.get(_text(event.get("Type"))) if record in ("Bounce", "SpamComplaint") else None
    if kind is None:
        return None
    details = _text(event.get("Details"))
    return Told(_text(event.get("ID")), (_finding(kind, event.get("Email"), details, details, event.get("Type")),))


def _mailgun(event: Event) -> Told | None:
    """Mailgun: "Webhook payloads", the `event-data` of each."""
    kind, status, reason = event.get("event"), _part(event, "delivery-status"), event.get("reason")
    said = _text(status.get("message")) or _text(status.get("description"))
    code = status_code(_text(status.get("enhanced-code"))) or status_code(said)
    found: ReportKind | None = None
    if kind == "failed" and event.get("severity") == "permanent":
        listed = {"suppress-complaint": COMPLAINT, "suppress-unsubscribe": UNSUBSCRIBE, "suppress-bounce": HARD}
        found = listed.get(_text(reason)) or (_graded(code) if reason == "bounce" else SOFT)
    elif kind == "failed":
        found = SOFT
    elif kind in ("complained", "unsubscribed"):
        found = COMPLAINT if kind == "complained" else UNSUBSCRIBE
    return (
        None
        if found is None
        else Told(_text(event.get("id")), (_finding(found, event.get("recipient"), code, said, reason),))
    )


def _sendgrid(event: Event) -> Told | None:
    """SendGrid: "Event webhook reference"."""
    kind, reason = event.get("event"), _text(event.get("reason"))
    code = status_code(_text(event.get("status"))) or status_code(reason)
    found: ReportKind | None = None
    if kind == "bounce":
        found = SOFT if event.get("type") == "blocked" else _graded(code)
    elif kind == "dropped":
        listed = {"bounced address": HARD, "spam reporting address": COMPLAINT, "unsubscribed address": UNSUBSCRIBE}
        found = listed.get(reason.lower())
    elif kind == "deferred":
        found = SOFT
    elif kind in ("spamreport", "unsubscribe", "group_unsubscribe"):
        found = COMPLAINT if kind == "spamreport" else UNSUBSCRIBE
    return (
        None
        if found is None
        else Told(_text(event.get("sg_event_id")), (_finding(found, event.get("email"), code, reason),))
    )


def _brevo(event: Event) -> Told | None:
    """Brevo: "Transactional webhooks"; it gives its events no id."""
    kinds = {
        **dict.fromkeys(("hard_bounce", "invalid_email", "invalid"), HARD),
        **dict.fromkeys(("soft_bounce", "deferred", "blocked", "error"), SOFT),
        **dict.fromkeys(("spam", "complaint"), COMPLAINT),
        **dict.fromkeys(("unsubscribed", "unsubscribe"), UNSUBSCRIBE),
    }
    # Written `hardBounce` in its settings, and `hard_bounce` in what it posts.
    kind = kinds.get(re.sub(r"([A-Z])", r"_\1", _text(event.get("event"))).lower())
    if kind is None:
        return None
    names = ("event", "email", "message-id", "ts_event", "ts_epoch", "date")
    reason = _text(event.get("reason"))
    return Told(
        _digest({name: event.get(name) for name in names}), (_finding(kind, event.get("email"), reason, reason),)
    )


def _resend(event: Event) -> Told | None:
    """Resend: "Event types"; the id is of the delivery, see `drip.api.routes.inbound`."""
    kind, data = event.get("type"), _part(event, "data")
    bounce = _part(data, "bounce")
    found = {
        "email.bounced": HARD if bounce.get("type") == "Permanent" else SOFT,
        "email.delivery_delayed": SOFT,
        "email.complained": COMPLAINT,
    }.get(_text(kind))
    if kind == "contact.updated" and data.get("unsubscribed") is True:
        return Told("", (_finding(UNSUBSCRIBE, data.get("email")),))
    if kind == "suppression.added":
        origin = _text(data.get("origin"))
        listed = {"bounce": HARD, "complaint": COMPLAINT}.get(origin)
        return Told(_text(data.get("id")), (_finding(listed, data.get("email"), word=origin),)) if listed else None
    if found is None:
        return None
    said = " ".join(_texts(bounce.get("diagnosticCode"))) or _text(bounce.get("message"))
    recipients = _texts(data.get("to")) or [_text(data.get("to"))]
    identity = f"{_text(kind)}:{_text(data.get('email_id'))}" if data.get("email_id") else ""
    return Told(identity, tuple(_finding(found, who, said, said, bounce.get("subType")) for who in recipients))


_READERS: Mapping[str, Callable[[Event], Told | None]] = {
    "ses": _ses,
    "postmark": _postmark,
    "mailgun": _mailgun,
    "sendgrid": _sendgrid,
    "brevo": _brevo,
    "resend": _resend,
}


def _graded(code: str | None) -> ReportKind:
    """A provider that calls it a bounce knows that it is for good, but for what the code says otherwise."""
    return grade("failed", code or "5.0.0") or SOFT


def _finding(kind: ReportKind, address: Any, code: Any = None, said: Any = None, word: Any = None) -> Finding:
    """The code as found in what is given; the provider's own word for it where there is none."""
    name = _text(address).strip()[:320]
    named = re.search(r"<([^<>]+)>$", name)
    found = status_code(_text(code)) or (one_line(_text(word)) or None)
    return Finding(kind, (named[1] if named else name) or None, found, one_line(_text(said)))


def _tokens(event: Event) -> tuple[str, ...]:
    """What may be delivery tokens, wherever the provider gives back something of the message."""
    text = json.dumps(event, ensure_ascii=False).lower()
    return tuple(dict.fromkeys(_TOKEN.findall(text)))[:MOST_TOKENS]


def _digest(event: Any) -> str:
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()


def _part(event: Event, name: str) -> Event:
    found = event.get(name)
    return found if isinstance(found, dict) else {}


def _parts(event: Event, name: str) -> Iterable[Event]:
    found = event.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
