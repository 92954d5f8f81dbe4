"""Amazon SNS, which carries the events of SES: its signature, its certificate, its question whether we want them.

Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS messages". Certificates and links are asked for
only where they are Amazon's, over https, and nothing is followed.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from drip.errors import Unavailable

Fetch = Callable[[str], bytes]
"""Gets what a URL gives; raises Unavailable."""

SECONDS = 10.0
"""For one certificate or link."""
LARGEST = 64 * 1024
"""Octets of an answer."""
_HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-\d{1,2}\.amazonaws\.com(\.cn)?")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_certificates: dict[str, bytes] = {}
_lock = threading.Lock()


def is_amazons(url: str) -> bool:
    """Whether a URL is of SNS itself, over https, with nothing that could lead elsewhere."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and parts.netloc == parts.hostname and bool(_HOST.fullmatch(parts.netloc))
    except ValueError:
        return False


def is_genuine(message: Mapping[str, Any], now: datetime, fetch: Fetch) -> bool:
    """Whether SNS has signed a message.

    Raises:
        Unavailable: the certificate can't be had now.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256
    from cryptography.x509 import load_pem_x509_certificate

    url, version = message.get("SigningCertURL"), message.get("SignatureVersion")
    if not isinstance(url, str) or not is_amazons(url) or not urlsplit(url).path.endswith(".pem"):
        return False
    if version not in ("1", "2"):
        return False
    try:
        signature = base64.b64decode(str(message.get("Signature", "")), validate=True)
        certificate = load_pem_x509_certificate(_certificate(url, fetch))
        public = certificate.public_key()
        if not isinstance(public, RSAPublicKey):
            return False
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return False
        hashed = SHA1() if version == "1" else SHA256()
        public.verify(signature, signed_text(message), PKCS1v15(), hashed)
    except (InvalidSignature, ValueError):
        return False
    return True


def signed_text(message: Mapping[str, Any]) -> bytes:
    """What SNS signs of a message: names and values, each on a line."""
    names = _NOTIFICATION if message.get("Type") == "Notification" else _CONFIRMATION
    lines = [f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None]
    return "".join(lines).encode("utf-8", "surrogatepass")


def fetch_over_https(url: str) -> bytes:
    """What a URL gives; the certificate of its host is checked, no redirect is followed, no proxy asked.

    Raises:
        Unavailable: it gives nothing, or not what it should.
    """
    import ssl

    import httpcore

    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=ssl.create_default_context()) as pool,
            pool.stream("GET", url, extensions={"timeout": timeouts}) as response,
        ):
            content = b""
            for piece in response.iter_stream():
                content += piece
                if len(content) > LARGEST:
                    break
            status = response.status
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise Unavailable(f"{urlsplit(url).netloc} can't be asked now: {error}") from error
    if status != 200 or len(content) > LARGEST:
        raise Unavailable(f"{urlsplit(url).netloc} answered {status}")
    return content


def _certificate(url: str, fetch: Fetch) -> bytes:
    """A certificate by its URL, which Amazon changes with every new one."""
    with _lock:
        found = _certificates.get(url)
    if found is None:
        found = fetch(url)
        with _lock:
            if len(_certificates) >= 16:
                _certificates.clear()
            _certificates[url] = found
    return found
