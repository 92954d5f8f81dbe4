"""Whether a webhook is from the provider it says it is from: each provider's own scheme, with the key of drip.yaml.

Every comparison is of octets and in constant time. A proof that can't be read is a proof that does not hold.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MAILGUN_RETRIES_FOR = timedelta(hours=12)
"""How old a signature of Mailgun may be: it retries for 8 hours, and signs no part of what it tells."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as it came."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    at: datetime
    """Now, by the real clock."""


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same; says nothing by the time it takes."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))


def basic_login(call: Call, key: str) -> bool:
    """Postmark: the login in the URL that it calls (https://postmarkapp.com/developer/webhooks/webhooks-overview)."""
    return same(call.headers.get("authorization", ""), "Basic " + base64.b64encode(key.encode()).decode())


def bearer(call: Call, key: str) -> bool:
    """Brevo: the token that its webhook is made with (https://developers.brevo.com/docs/secure-webhook-calls)."""
    return same(call.headers.get("authorization", ""), f"Bearer {key}")


def mailgun(call: Call, key: str) -> bool:
    """Mailgun: HMAC-SHA256 of timestamp and token (https://documentation.mailgun.com, "Securing webhooks").

    Where a subaccount sends, the parent account signs as well.
    """
    said = _object(call.body).get("signature")
    if not isinstance(said, dict):
        return False
    timestamp, token = (str(said.get(name, "")) for name in ("timestamp", "token"))
    signatures = [str(said.get(name, "")) for name in ("signature", "parent-signature")]
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    if abs(call.at.timestamp() - int(timestamp)) > MAILGUN_RETRIES_FOR.total_seconds():
        return False
    signed = (timestamp + token).encode("utf-8", "surrogatepass")
    wanted = hmac.new(key.encode(), signed, "sha256").hexdigest()
    return any(same(signature, wanted) for signature in signatures)


def sendgrid(call: Call, key: str) -> bool:
    """SendGrid: ECDSA over timestamp and body (Twilio, "Getting started with the event webhook security features")."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    header = "x-twilio-email-event-webhook-"
    timestamp, signature = call.headers.get(header + "timestamp", ""), call.headers.get(header + "signature", "")
    try:
        public = load_der_public_key(base64.b64decode(key))
        if not isinstance(public, EllipticCurvePublicKey):
            return False
        public.verify(base64.b64decode(signature, validate=True), timestamp.encode() + call.body, ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def resend(call: Call, key: str) -> bool:
    """Resend: Svix, which is Standard Webhooks by another name (https://resend.com/docs/dashboard/webhooks)."""
    from standardwebhooks import Webhook

    headers = {f"webhook-{name}": call.headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")}
    try:
        Webhook(key).verify(call.body, headers)
    except Exception:  # it raises what comes: its own error, ValueError, binascii.Error
        return False
    return True


PROOFS: Mapping[str, Callable[[Call, str], bool]] = {
    "postmark": basic_login,
    "mailgun": mailgun,
    "sendgrid": sendgrid,
    "brevo": bearer,
    "resend": resend,
}
"""Per provider how its key is used; Amazon's is in `sns`."""


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}
