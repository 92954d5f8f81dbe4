"""Signatures of Standard Webhooks 1.0.0, by the published library. Secrets go in; nothing here keeps or quotes one.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


def signed_headers(secrets: Sequence[str], public_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers that prove where a body is from.

    Args:
        secrets: each signs; several while one is replaced.
        public_id: the event's; the same for every try.
        now: of this try; aware.
    """
    from standardwebhooks import Webhook

    # The library replaces a moment's zone instead of converting it: only UTC may reach it.
    at = now.astimezone(UTC)
    signatures = [Webhook(secret).sign(public_id, at, body.decode()) for secret in secrets]
    return {
        "webhook-id": public_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
