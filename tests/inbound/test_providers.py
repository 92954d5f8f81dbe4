"""What each event of each provider means; payloads as in the provider's own documentation."""

from __future__ import annotations

from typing import Any

import pytest

from drip.core.settings import PROVIDERS
from drip.inbound.providers import read_events

EMAIL = "ana@empresa.com"
TOKEN = "aea7mozxsl4da6xlknrbfff5j7ms2"


def ses(**parts: Any) -> dict[str, Any]:
    mail = {
        "timestamp": "2026-03-10T09:00:01.000Z", "source": "hola@miempresa.com", "destination": [EMAIL],
        "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/miempresa.com", "sendingAccountId": "123456789012",
        "messageId": "0102018e2a3b4c00-11111111-2222-3333-4444-555555555555-000000", "headersTruncated": False,
        "headers": [{"name": "From", "value": "Ana <hola@miempresa.com>"}, {"name": "X-Drip-Delivery", "value": TOKEN}],
        "commonHeaders": {"from": ["Ana <hola@miempresa.com>"], "to": [EMAIL], "subject": "Bienvenida"},
    }  # fmt: skip
    return {"mail": mail, **parts}


def ses_bounce(kind: str = "Permanent", sub: str = "General", **recipient: str) -> dict[str, Any]:
    bounce = {
        "bounceType": kind, "bounceSubType": sub, "reportingMTA": "dns; email.example.com",
        "bouncedRecipients": [{"emailAddress": EMAIL, **recipient}], "timestamp": "2026-03-10T09:00:03.237Z",
        "feedbackId": "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa068a-000000", "remoteMtaIp": "127.0.2.0",
    }  # fmt: skip
    return ses(notificationType="Bounce", bounce=bounce)


def postmark_bounce(kind: str, code: int) -> dict[str, Any]:
    return {
        "RecordType": "Bounce", "MessageStream": "outbound", "ID": 42, "Type": kind, "TypeCode": code, "Name": kind,
        "Tag": "Test", "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483", "Metadata": {}, "ServerID": 23,
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.", "Email": EMAIL,
        "From": "hola@miempresa.com", "BouncedAt": "2026-03-10T09:00:03Z", "DumpAvailable": True, "Inactive": True,
        "CanActivate": True, "Subject": "Bienvenida",
    }  # fmt: skip


def mailgun(event: str, **fields: Any) -> dict[str, Any]:
    data = {
        "event": event, "id": "CPgfbmQMTCKtHW6uIWtuVe", "timestamp": 1773133203.2, "log-level": "error",
        "recipient": EMAIL, "recipient-domain": "empresa.com", "tags": [], "user-variables": {},
        "message": {"headers": {"message-id": f"{TOKEN}@miempresa.com", "to": EMAIL, "subject": "Hi"}, "size": 341},
        **fields,
    }  # fmt: skip
    return {"signature": {"timestamp": "1773133203", "token": "t", "signature": "s"}, "event-data": data}


def mailgun_failed(severity: str, reason: str, code: int, message: str) -> dict[str, Any]:
    return mailgun(
        "failed", severity=severity, reason=reason, **{"delivery-status": {"code": code, "message": message}}
    )


def sendgrid(event: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "email": EMAIL, "timestamp": 1773133203, "smtp-id": f"<{TOKEN}@miempresa.com>", "event": event,
            "sg_event_id": "bounce-0-12345678-LRzXl_NHStOGhQ4kofSm_A-0",
            "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-1", **fields,
        }
    ]  # fmt: skip


def brevo(event: str, **fields: Any) -> dict[str, Any]:
    return {
        "event": event, "email": EMAIL, "id": 26224, "date": "2026-03-10 09:00:03", "ts": 1773133203,
        "message-id": f"<{TOKEN}@miempresa.com>", "ts_event": 1773133203, "subject": "Bienvenida", "tag": "",
        "sending_ip": "185.41.28.109", "ts_epoch": 1773133203000, "tags": [], **fields,
    }  # fmt: skip


def resend(kind: str, **fields: Any) -> dict[str, Any]:
    data = {
        "broadcast_id": "8b146471-e88e-4322-86af-016cd36fd216", "created_at": "2026-03-10T09:00:01.894719+00:00",
        "email_id": "56761188-7520-42d8-8898-ff6fc54ce618", "from": "Ana <hola@miempresa.com>", "to": [EMAIL],
        "subject": "Bienvenida", **fields,
    }  # fmt: skip
    return {"type": kind, "created_at": "2026-03-10T09:00:03.126Z", "data": data}


def bounced(kind: str) -> dict[str, Any]:
    message = (
        "The recipient's email address is on the suppression list because it has a recent history of hard bounces."
    )
    return {"message": message, "subType": "Suppressed", "type": kind}


def suppression(origin: str) -> dict[str, Any]:
    data = {"id": "520784e2-887d-4c25-b53c-4ad46ad38100", "email": EMAIL, "origin": origin,
            "source_id": "4ef9a417-02e9-4d39-ad75-9611e0fcc33c", "created_at": "2026-03-10T09:00:03.412Z"}  # fmt: skip
    return {"type": "suppression.added", "created_at": "2026-03-10T09:00:03.412Z", "data": data}


NO_USER = "smtp; 550 5.1.1 <ana@empresa.com>... User unknown"
MEANINGS: list[tuple[str, Any, str | None, str | None]] = [
    ("ses", ses_bounce(status="5.1.1", action="failed", diagnosticCode=NO_USER), "hard", "5.1.1"),
    ("ses", ses_bounce(sub="OnAccountSuppressionList"), "hard", None),
    ("ses", ses_bounce("Transient", "MailboxFull", status="5.2.2"), "soft", "5.2.2"),
    ("ses", ses_bounce("Undetermined", "Undetermined"), "soft", None),
    ("ses", ses(eventType="Bounce", bounce=ses_bounce()["bounce"]), "hard", None),
    ("ses", ses(eventType="DeliveryDelay", deliveryDelay={
        "delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": EMAIL, "status": "4.2.2"}],
    }), "soft", "4.2.2"),
    ("ses", ses(notificationType="Complaint", complaint={
        "complainedRecipients": [{"emailAddress": EMAIL}], "complaintFeedbackType": "abuse", "feedbackId": "f",
    }), "complaint", "abuse"),
    ("ses", ses(notificationType="Complaint", complaint={
        "complainedRecipients": [{"emailAddress": EMAIL}], "complaintFeedbackType": "not-spam",
    }), None, None),
    ("ses", ses(eventType="Subscription", subscription={"newTopicPreferences": {"unsubscribeAll": True}}),
     "unsubscribe", None),
    ("ses", ses(notificationType="Delivery", delivery={"recipients": [EMAIL]}), None, None),
    ("postmark", postmark_bounce("HardBounce", 1), "hard", "5.1.1"),
    ("postmark", postmark_bounce("BadEmailAddress", 100000), "hard", "5.1.1"),
    ("postmark", postmark_bounce("SoftBounce", 4096), "soft", "5.1.1"),
    ("postmark", postmark_bounce("SpamNotification", 512), "soft", "5.1.1"),
    ("postmark", postmark_bounce("AutoResponder", 64), None, None),
    ("postmark", {**postmark_bounce("SpamComplaint", 100001), "RecordType": "SpamComplaint"}, "complaint", "5.1.1"),
    ("postmark", {"RecordType": "SubscriptionChange", "MessageID": "883953f4", "ServerID": 23,
                  "MessageStream": "bulk", "ChangedAt": "2026-03-10T09:00:00Z", "Recipient": EMAIL,
                  "Origin": "Recipient", "SuppressSending": True, "SuppressionReason": "ManualSuppression"},
     "unsubscribe", None),
    ("postmark", {"RecordType": "SubscriptionChange", "Recipient": EMAIL, "SuppressSending": False}, None, None),
    ("postmark", {"RecordType": "Open", "Recipient": EMAIL}, None, None),
    ("mailgun", mailgun_failed("permanent", "bounce", 550, "5.1.1 The email account does not exist"), "hard", "5.1.1"),
    ("mailgun", mailgun_failed("permanent", "suppress-bounce", 605, "Not delivering to previously bounced address"),
     "hard", "suppress-bounce"),
    ("mailgun", mailgun_failed("permanent", "suppress-complaint", 607, "Not delivering"), "complaint",
     "suppress-complaint"),
    ("mailgun", mailgun_failed("permanent", "bounce", 550, "5.7.1 blocked by policy"), "soft", "5.7.1"),
    ("mailgun", mailgun_failed("temporary", "generic", 452, "4.2.2 over quota"), "soft", "4.2.2"),
    ("mailgun", mailgun("complained"), "complaint", None),
    ("mailgun", mailgun("unsubscribed"), "unsubscribe", None),
    ("mailgun", mailgun("delivered"), None, None),
    ("sendgrid", sendgrid("bounce", type="bounce", status="5.1.1", reason="550 5.1.1 no such user"), "hard", "5.1.1"),
    ("sendgrid", sendgrid("bounce", type="bounce", status="", reason="500 unknown recipient"), "hard", None),
    ("sendgrid", sendgrid("bounce", type="blocked", status="5.7.1", reason="550 5.7.1 spam"), "soft", "5.7.1"),
    ("sendgrid", sendgrid("bounce", type="bounce", status="5.2.2", reason="552 5.2.2 over quota"), "soft", "5.2.2"),
    ("sendgrid", sendgrid("deferred", response="400 try again later", attempt="5"), "soft", None),
    ("sendgrid", sendgrid("dropped", reason="Bounced Address", status="5.0.0"), "hard", "5.0.0"),
    ("sendgrid", sendgrid("dropped", reason="Unsubscribed Address"), "unsubscribe", None),
    ("sendgrid", sendgrid("spamreport"), "complaint", None),
    ("sendgrid", sendgrid("unsubscribe"), "unsubscribe", None),
    ("sendgrid", sendgrid("processed"), None, None),
    ("brevo", brevo("hard_bounce", reason="550 5.1.1 User unknown"), "hard", "5.1.1"),
    ("brevo", brevo("hardBounce"), "hard", None),
    ("brevo", brevo("invalid_email"), "hard", None),
    ("brevo", brevo("soft_bounce", reason="452 4.2.2 mailbox full"), "soft", "4.2.2"),
    ("brevo", brevo("spam"), "complaint", None),
    ("brevo", brevo("unsubscribed"), "unsubscribe", None),
    ("brevo", brevo("delivered"), None, None),
    ("resend", resend("email.bounced", bounce=bounced("Permanent")), "hard", "Suppressed"),
    ("resend", resend("email.bounced", bounce=bounced("Transient")), "soft", "Suppressed"),
    ("resend", resend("email.complained"), "complaint", None),
    ("resend", resend("email.delivery_delayed"), "soft", None),
    ("resend", {"type": "contact.updated", "data": {"email": EMAIL, "unsubscribed": True}}, "unsubscribe", None),
    ("resend", resend("email.opened"), None, None),
    ("resend", suppression("bounce"), "hard", "bounce"),
    ("resend", suppression("complaint"), "complaint", "complaint"),
    ("resend", suppression("manual"), None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "body", "kind", "code"), MEANINGS, ids=[f"{one[0]}-{number}" for number, one in enumerate(MEANINGS)]
)
def test_what_an_event_means(provider: str, body: Any, kind: str | None, code: str | None) -> None:
    reports, ignored = read_events(provider, body)
    if kind is None:
        assert (reports, ignored) == ([], 1)
        return
    assert ignored == 0
    (report,) = reports
    (finding,) = report.findings
    assert (finding.kind.value, finding.address, finding.code) == (kind, EMAIL, code)
    assert (report.source, report.trusted) == (provider, True)
    gives_back = provider not in ("postmark", "resend")
    assert report.tokens == ((TOKEN,) if gives_back else ())
    again, _ = read_events(provider, body)
    assert again[0].key == report.key


@pytest.mark.parametrize("provider", ["sendgrid", "brevo"])
def test_some_tell_many_things_at_once(provider: str) -> None:
    """SendGrid always; Brevo where its webhook is `batched`, up to 500."""
    kinds = {"sendgrid": ("bounce", "delivered", "spamreport"), "brevo": ("hard_bounce", "delivered", "spam")}[provider]
    told = [{**(sendgrid(kind)[0] if provider == "sendgrid" else brevo(kind)), "sg_event_id": kind} for kind in kinds]
    reports, ignored = read_events(provider, told)
    assert [report.findings[0].kind.value for report in reports] == ["hard", "complaint"]
    assert (len({report.key for report in reports}), ignored) == (2, 1)


JUNK: list[Any] = [None, [], {}, 7, "x", [[]], [None, 3], {"event-data": []}, {"bounce": []}, {"data": "x"}]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_not_understood_is_ignored(provider: str) -> None:
    for junk in JUNK:
        assert read_events(provider, junk)[0] == []
    broken = {
        "notificationType": "Bounce", "bounce": {"bounceType": [], "bouncedRecipients": [{}, 1, {"emailAddress": 5}]},
        "RecordType": "Bounce", "Type": "HardBounce", "Email": {}, "event": "hard_bounce", "email": [],
        "type": "email.bounced", "data": {"to": [1], "bounce": {"diagnosticCode": {}}},
        "event-data": {"event": "failed", "severity": "permanent", "delivery-status": "x", "recipient": None},
    }  # fmt: skip
    for junk in (broken, [broken]):
        for report in read_events(provider, junk)[0]:
            assert all(finding.address for finding in report.findings)
