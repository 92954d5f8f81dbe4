"""Providers post what became of messages: each proves itself by its own scheme, or nothing happens."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from drip.core.settings import InboundSettings
from drip.errors import Unavailable
from drip.inbound import proofs, sns
from tests.api.site import Site, open_site
from tests.inbound.test_providers import brevo, mailgun, postmark_bounce, resend, sendgrid, ses_bounce

EMAIL = "ana@empresa.com"
TOKEN = "0123456789abcdef0123"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

KEYS = {
    "ses": TOPIC,
    "postmark": "drip:a password",
    "mailgun": "key-0123456789",
    "sendgrid": base64.b64encode(
        EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode(),
    "brevo": "a-token-of-brevo",
    "resend": SECRET,
}


def certificate(days: int = 365) -> bytes:
    """What Amazon would give for our key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(RSA_KEY.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=400)).not_valid_after(now + timedelta(days=days))
    return made.sign(RSA_KEY, SHA256()).public_bytes(Encoding.PEM)


def notification(event: Any, *, version: str = "1", **fields: Any) -> dict[str, Any]:
    """An event as SNS posts it."""
    message = {
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification", "Message": json.dumps(event),
        "Timestamp": "2026-03-10T09:00:04.000Z", "SignatureVersion": version, "SigningCertURL": CERTIFICATE_URL,
        **fields,
    }  # fmt: skip
    hashed = SHA1() if version == "1" else SHA256()
    signature = RSA_KEY.sign(sns.signed_text(message), PKCS1v15(), hashed)
    return {**message, "Signature": base64.b64encode(signature).decode()}


class Desk:
    """Posts to one site, signed as each provider does it."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def post(self, provider: str, body: Any, headers: dict[str, str] | None = None, token: str | None = TOKEN) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        query = "" if token is None else f"?token={token}"
        given = {"Authorization": "", "Content-Type": "text/plain; charset=UTF-8", **(headers or {})}
        return self.site.client.post(f"/v1/inbound/{provider}{query}", content=raw, headers=given)

    def genuine(self, provider: str, body: Any) -> tuple[bytes, dict[str, str]]:
        """A body and its headers, signed."""
        if provider == "ses":
            return json.dumps(notification(body)).encode(), {"x-amz-sns-message-type": "Notification"}
        if provider == "mailgun":
            timestamp, token = str(int(time.time())), "c1c2c3"
            signature = hmac.new(KEYS["mailgun"].encode(), (timestamp + token).encode(), "sha256").hexdigest()
            body = {**body, "signature": {"timestamp": timestamp, "token": token, "signature": signature}}
            return json.dumps(body).encode(), {}
        raw = json.dumps(body).encode()
        if provider == "postmark":
            return raw, {"Authorization": "Basic " + base64.b64encode(KEYS["postmark"].encode()).decode()}
        if provider == "brevo":
            return raw, {"Authorization": f"Bearer {KEYS['brevo']}"}
        if provider == "sendgrid":
            octets = EC_KEY.sign(b"1773133203" + raw, ec.ECDSA(SHA256()))
            name = "X-Twilio-Email-Event-Webhook-"
            return raw, {name + "Signature": base64.b64encode(octets).decode(), name + "Timestamp": "1773133203"}
        now = datetime.now(UTC)
        signed = Webhook(SECRET).sign("msg_1", now, raw.decode())
        return raw, {"svix-id": "msg_1", "svix-timestamp": str(int(now.timestamp())), "svix-signature": signed}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A site that every provider may post to; Ana is in a sequence."""
    monkeypatch.setattr(sns, "fetch_over_https", lambda url: certificate())
    monkeypatch.setattr(sns, "_certificates", {})
    with open_site(tmp_path, inbound=InboundSettings(token=TOKEN, providers=KEYS)) as site:
        site.subscribe(site.sequence(), EMAIL)
        yield Desk(site)


BOUNCES: dict[str, Callable[[], Any]] = {
    "ses": lambda: ses_bounce(status="5.1.1"),
    "postmark": lambda: postmark_bounce("HardBounce", 1),
    "mailgun": lambda: mailgun("failed", severity="permanent", reason="suppress-bounce"),
    "sendgrid": lambda: sendgrid("bounce", type="bounce", status="5.1.1"),
    "brevo": lambda: brevo("hard_bounce"),
    "resend": lambda: resend("email.bounced", bounce={"type": "Permanent", "subType": "General"}),
}


@pytest.mark.parametrize("provider", BOUNCES)
def test_a_genuine_bounce_suppresses_once_and_a_forged_one_never(desk: Desk, provider: str) -> None:
    body, headers = desk.genuine(provider, BOUNCES[provider]())
    nobody = {"hard": 0, "soft": 0, "complaint": 0, "unsubscribe": 0, "unproven": 0, "duplicate": 0, "ignored": 0}
    forged = [
        (body, headers, None),
        (body, headers, TOKEN[:-1] + "0"),
        (body, headers, "%C3%A9"),
        (body.replace(*FORGED[provider]), dict.fromkeys(headers, ""), TOKEN),
    ]
    if provider in SIGNED:
        forged.append((body.replace(EMAIL.encode(), b"bob@empresa.com"), headers, TOKEN))
    for changed, given, token in forged:
        response = desk.post(provider, changed, given, token)
        assert response.status_code == 401, response.text
        assert response.json()["error"]["type"] == "authentication_error"
    assert desk.site.lab.store.suppressions.list() == []

    response = desk.post(provider, body, headers)
    assert (response.status_code, response.json()) == (200, {**nobody, "hard": 1})
    kept = desk.site.lab.store.suppressions.get(EMAIL)
    assert kept is not None
    assert kept.reason.value == "bounce"
    again = desk.post(provider, *desk.genuine(provider, BOUNCES[provider]()))
    assert (again.status_code, again.json()) == (200, {**nobody, "duplicate": 1})


SIGNED = ("ses", "sendgrid", "resend")
"""Those that sign what they say."""
FORGED = dict.fromkeys(BOUNCES, (b"x", b"x")) | {
    "mailgun": (b"c1c2c3", b"c1c2c4"),
    "ses": (b"feedbackId", b"feedbackIt"),
}
"""What is changed besides the headers: these two prove themselves in the body."""


@pytest.mark.parametrize("provider", BOUNCES)
def test_what_is_not_known_is_answered_with_200_and_counted(desk: Desk, provider: str) -> None:
    body = [{"event": "news"}] if provider == "sendgrid" else {"event": "news", "event-data": {"event": "news"}}
    response = desk.post(provider, *desk.genuine(provider, body))
    assert (response.status_code, response.json()["ignored"]) == (200, 1)
    page = desk.site.client.get("/metrics").text
    assert f'drip_inbound_events_total{{outcome="ignored",provider="{provider}"}} 1.0' in page


def test_sns_signs_in_two_ways_and_for_our_topic_only(desk: Desk) -> None:
    event = ses_bounce()
    assert desk.post("ses", notification(event, version="2")).status_code == 200
    elsewhere = [
        notification(event, TopicArn=TOPIC + "-of-another"),
        notification(event, version="3"),
        notification(event, SigningCertURL="https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"),
        notification(event, SigningCertURL="http://sns.eu-west-1.amazonaws.com/x.pem"),
        notification(event, SigningCertURL="https://user@sns.eu-west-1.amazonaws.com/x.pem"),
        notification(event, SigningCertURL="https://sns.eu-west-1.amazonaws.com:8443/x.pem"),
        notification(event, SigningCertURL="https://bucket.s3.amazonaws.com/x.pem"),
        notification(event, SigningCertURL="https://sns.eu-west-1.amazonaws.com/x.txt"),
        {**notification(event), "Signature": "AAAA"},
        {**notification(event), "Signature": "not base64"},
        {**notification(event), "Message": json.dumps(ses_bounce("Permanent", "NoEmail"))},
        event,
    ]
    for message in elsewhere:
        assert desk.post("ses", message).status_code == 401


def test_a_certificate_that_has_run_out_proves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sns, "fetch_over_https", lambda url: certificate(days=-1))
    assert desk.post("ses", notification(ses_bounce())).status_code == 401


def test_amazon_that_does_not_answer_is_to_try_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str) -> bytes:
        raise Unavailable("it can't be asked now")

    monkeypatch.setattr(sns, "fetch_over_https", fetch)
    assert desk.post("ses", notification(ses_bounce())).status_code == 503


def test_a_subscription_is_confirmed_only_where_it_is_amazons(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return certificate()

    monkeypatch.setattr(sns, "fetch_over_https", fetch)
    link = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=2336412f37"
    fields = {"Type": "SubscriptionConfirmation", "Token": "2336412f37", "Message": "You have chosen to subscribe"}
    for url, confirmed in [("https://evil.example/?x", False), ("http://169.254.169.254/", False), (link, True)]:
        response = desk.post("ses", notification({}, **{**fields, "SubscribeURL": url}))
        assert response.status_code == 200
        assert (url in asked) is confirmed
    assert desk.post("ses", {**notification({}, **fields, SubscribeURL=link), "Token": "other"}).status_code == 401


def test_a_signature_that_mailgun_gave_long_ago_is_not_taken(desk: Desk) -> None:
    old, token = str(int(time.time()) - 13 * 3600), "t"
    signature = hmac.new(KEYS["mailgun"].encode(), (old + token).encode(), "sha256").hexdigest()
    body = {**BOUNCES["mailgun"](), "signature": {"timestamp": old, "token": token, "signature": signature}}
    assert desk.post("mailgun", body).status_code == 401


def test_an_event_of_a_subaccount_of_mailgun_is_signed_by_its_parent_too(desk: Desk) -> None:
    now, token = str(int(time.time())), "t"
    parent = hmac.new(KEYS["mailgun"].encode(), (now + token).encode(), "sha256").hexdigest()
    own = hmac.new(b"key-of-the-subaccount", (now + token).encode(), "sha256").hexdigest()
    signature = {"timestamp": now, "token": token, "signature": own, "parent-signature": parent}
    assert desk.post("mailgun", {**BOUNCES["mailgun"](), "signature": signature}).status_code == 200
    forged = {**signature, "parent-signature": own}
    assert desk.post("mailgun", {**BOUNCES["mailgun"](), "signature": forged}).status_code == 401


def test_sendgrids_own_example_is_accepted() -> None:
    """From the tests of its library for Python."""
    key = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eN"
        "Ec6wEA3F+g=="
    )
    event = {
        "email": "hello@world.com", "event": "dropped", "reason": "Bounced Address",
        "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
        "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
        "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>", "timestamp": 1600112492,
    }  # fmt: skip
    body = json.dumps([event], sort_keys=True, separators=(",", ":")).encode() + b"\r\n"
    signature = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
    name = "x-twilio-email-event-webhook-"
    headers = {name + "signature": signature, name + "timestamp": "1600112502"}
    assert proofs.sendgrid(proofs.Call(headers, body, datetime.now(UTC)), key)
    assert not proofs.sendgrid(proofs.Call(headers, body + b" ", datetime.now(UTC)), key)


def test_bodies_that_are_no_json_or_too_large(desk: Desk) -> None:
    headers = {"Authorization": f"Bearer {KEYS['brevo']}"}
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        response = desk.post("brevo", body, headers)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")
    assert desk.post("brevo", b" " * (1024 * 1024 + 1), headers).status_code == 413


def test_a_body_of_any_depth_is_read_or_refused(desk: Desk) -> None:
    """Somewhere between is what can just be read."""
    headers, event = {"Authorization": f"Bearer {KEYS['brevo']}"}, b'{"event": "hard_bounce", "email": "a@b.org", "x": '
    depths = range(900, 1000)
    statuses = [desk.post("brevo", event + b"[" * deep + b"]" * deep + b"}", headers).status_code for deep in depths]
    assert (set(statuses), statuses) == ({200, 400}, sorted(statuses))


def test_providers_by_name(desk: Desk) -> None:
    error = desk.post("postmak", {}).json()["error"]
    assert (error["type"], error["code"]) == ("not_found_error", "provider_not_found")
    assert "did you mean 'postmark'?" in error["message"]


def test_without_a_token_or_key_nobody_is_believed(tmp_path: Path) -> None:
    with open_site(tmp_path) as site:
        assert Desk(site).post("postmark", postmark_bounce("HardBounce", 1)).status_code == 401


@pytest.mark.parametrize("provider", BOUNCES)
def test_a_token_alone_is_enough_where_no_key_is_given(tmp_path: Path, provider: str) -> None:
    with open_site(tmp_path, inbound=InboundSettings(token=TOKEN)) as site:
        site.subscribe(site.sequence(), EMAIL)
        desk, body = Desk(site), BOUNCES[provider]()
        assert desk.post(provider, body, token="wrong").status_code == 401
        assert desk.post(provider, body).json()["hard"] == 1


def test_what_sns_signed_is_checked_though_the_token_is_right(tmp_path: Path) -> None:
    with open_site(tmp_path, inbound=InboundSettings(token=TOKEN)) as site:
        forged = notification(ses_bounce(), SigningCertURL="https://sns.eu-west-1.example.com/key.pem")
        assert Desk(site).post("ses", forged).status_code == 401
        assert site.lab.store.suppressions.get(EMAIL) is None


def test_who_is_no_contact_is_suppressed_all_the_same(desk: Desk) -> None:
    body = {**brevo("spam"), "email": "Bob <BOB@elsewhere.org>"}
    assert desk.post("brevo", *desk.genuine("brevo", body)).json()["complaint"] == 1
    kept = desk.site.lab.store.suppressions.get("bob@elsewhere.org")
    assert kept is not None
    assert kept.reason.value == "complaint"
    counts = desk.site.lab.store.reports.counts()
    assert (counts.complaint, counts.unproven) == (1, 0)


def test_soft_bounces_of_a_provider_count_by_the_last_message(desk: Desk) -> None:
    lab = desk.site.lab
    lab.tick()
    for number in range(5):
        body = {**brevo("soft_bounce"), "message-id": f"<{number}@x>"}
        assert desk.post("brevo", *desk.genuine("brevo", body)).json()["soft" if number < 4 else "hard"] == 1
    assert lab.store.suppressions.get(EMAIL) is not None
