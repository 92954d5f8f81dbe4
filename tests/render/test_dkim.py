"""DKIM signatures: accepted by three verifiers that share no code, broken by every change that matters."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from drip.core.address import Address
from drip.core.dkim_keys import DkimKey, read_key
from drip.render.dkim import sign
from drip.render.message import Message
from drip.render.mime import write_message
from tests.dns_server import DnsServer, txt

NOW = datetime(2026, 3, 27, 8, 30, tzinfo=UTC)
DOMAIN, SELECTOR = "example.com", "drip1"
NAME = f"{SELECTOR}._domainkey.{DOMAIN}"
HEADERS = (
    ("List-Unsubscribe", "<https://mail.example.com/u/abc>, <mailto:out@example.com?subject=unsubscribe%20abc>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("List-Id", "<welcome.example.com>"),
    ("Feedback-ID", "welcome:hello:proj:sender"),
    ("Auto-Submitted", "auto-generated"),
)
VERIFIER = """
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS::Resolver;
$Mail::DKIM::DNS::RESOLVER = Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $ARGV[0], udp_timeout => 5);
my $verifier = Mail::DKIM::Verifier->new();
while (<STDIN>) { $verifier->PRINT($_); }
$verifier->CLOSE();
print $verifier->result_detail, "\\n";
"""
"""Perl's Mail::DKIM: another implementation, by other people."""


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


_RSA = rsa.generate_private_key(65537, 2048)
_ED25519 = ed25519.Ed25519PrivateKey.generate()
KEYS = {
    "rsa, PKCS#1": pem(_RSA, PrivateFormat.TraditionalOpenSSL),
    "rsa, PKCS#8": pem(_RSA),
    "ed25519, PKCS#8": pem(_ED25519),
    "ed25519, a seed": base64.b64encode(_ED25519.private_bytes_raw()) + b"\n",
}


def octets(
    subject: str = "¿Cómo va todo?", text: str = "Hola  Ada \n\n.\n\n\n", html: str | None = "<p>¡Hola!</p>\n"
) -> bytes:
    return write_message(
        Message(
            sender=Address("hola@example.com", "Ana de Mi Empresa"),
            to=Address("ada@example.org", "Ada"),
            reply_to=Address("help@example.com"),
            subject=subject,
            text_pieces=[text],
            html_pieces=None if html is None else [html],
            message_id="<abc@example.com>",
            date=NOW,
            headers=HEADERS,
        )
    )


def verified(message: bytes, key: DkimKey) -> bool:
    """What dkimpy says."""
    return bool(dkim.verify(message, dnsfunc=lambda name, timeout=5: key.record.encode()))


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.mark.parametrize("name", KEYS)
def test_dkimpy_accepts_it(name: str) -> None:
    key = read_key(KEYS[name])
    assert verified(sign(octets(), key, DOMAIN, SELECTOR, NOW.timestamp()), key)


@pytest.mark.parametrize("name", [name for name in KEYS if name.startswith("rsa")])
def test_so_does_perl(name: str, dns: DnsServer) -> None:
    """RSA alone: Debian's Mail::DKIM knows no Ed25519. OpenDKIM does, below."""
    key = read_key(KEYS[name])
    dns.add({(NAME, "TXT"): [txt(key.record)]})
    signed = sign(octets(), key, DOMAIN, SELECTOR, NOW.timestamp())
    told = subprocess.run(
        ["perl", "-e", VERIFIER, str(dns.port)], input=signed, capture_output=True, check=True, timeout=60
    )
    assert told.stdout == b"pass\n", (told.stdout, told.stderr)


@pytest.mark.parametrize("name", KEYS)
def test_so_does_opendkim(name: str, tmp_path: Path) -> None:
    key = read_key(KEYS[name])
    signed = sign(octets(), key, DOMAIN, SELECTOR, NOW.timestamp())
    assert opendkim_says(signed, key, tmp_path) == f"pass {key.algorithm}"
    assert opendkim_says(signed.replace(b"Subject: ", b"Subject: x"), key, tmp_path) == f"fail {key.algorithm}"
    assert opendkim_says(signed.replace(b"Hola", b"Adios"), key, tmp_path) == f"fail {key.algorithm}"


def opendkim_says(message: bytes, key: DkimKey, folder: Path) -> str:
    """What OpenDKIM says, which has libopendkim and OpenSSL under it: result and algorithm."""
    (folder / "dns").write_text(f"{NAME} {key.record}\n")
    (folder / "conf").write_text(f"Mode v\nTestDNSData file:{folder}/dns\nSyslog no\n")
    (folder / "message").write_bytes(message)
    command = ["/usr/sbin/opendkim", "-x", str(folder / "conf"), "-vv", "-t", str(folder / "message")]
    told = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found = re.search(rb"dkim=(\w+) .*header\.a=([\w-]+)", told.stdout)
    assert found, (told.stdout, told.stderr)
    return f"{found[1].decode()} {found[2].decode()}"


def test_a_changed_message_is_refused_by_perl_too(dns: DnsServer) -> None:
    key = read_key(KEYS["rsa, PKCS#8"])
    dns.add({(NAME, "TXT"): [txt(key.record)]})
    signed = sign(octets(), key, DOMAIN, SELECTOR, NOW.timestamp()).replace(b"Hola", b"Adios")
    assert not verified(signed, key)
    told = subprocess.run(["perl", "-e", VERIFIER, str(dns.port)], input=signed, capture_output=True, timeout=60)
    assert told.stdout.startswith(b"fail (body has been altered)")


def test_all_that_mailboxes_want_is_signed() -> None:
    signed = sign(octets(), read_key(KEYS["rsa, PKCS#8"]), DOMAIN, SELECTOR, NOW.timestamp())
    header = message_from_bytes(signed)["DKIM-Signature"]
    tags = dict(tag.strip().split("=", 1) for tag in re.sub(r"\s+", "", header).split(";"))
    names = tags["h"].split(":")
    wanted = {"from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post", "list-id"}
    assert wanted | {"mime-version", "content-type", "feedback-id", "reply-to"} <= set(names)
    assert names.count("from") == 2
    assert (tags["v"], tags["c"], tags["d"], tags["s"], tags["a"]) == (
        "1",
        "relaxed/relaxed",
        DOMAIN,
        SELECTOR,
        "rsa-sha256",
    )
    assert max(map(len, signed.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"From: ", b"From: eve@example.net\r\nFrom: "),
        (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=No"),
        (b"To: ", b"To: x"),
        (b"text/html", b"text/plain"),
    ],
)
def test_what_is_added_or_changed_breaks_it(old: bytes, new: bytes) -> None:
    key = read_key(KEYS["rsa, PKCS#8"])
    signed = sign(octets(), key, DOMAIN, SELECTOR, NOW.timestamp())
    assert verified(signed, key)
    head, body = signed.split(b"From: ", 1)
    assert not verified(head + (b"From: " + body).replace(old, new, 1), key)


def test_what_servers_change_does_not_break_it() -> None:
    key = read_key(KEYS["ed25519, PKCS#8"])
    signed = sign(octets(), key, DOMAIN, SELECTOR, NOW.timestamp())
    assert verified(b"Received: by relay.example\r\n" + signed.replace(b"Subject: ", b"subject:   ") + b"\r\n\r\n", key)


@given(subject=st.text(max_size=200), text=st.text(max_size=400), html=st.none() | st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_whatever_the_words_are(subject: str, text: str, html: str | None) -> None:
    key = read_key(KEYS["ed25519, PKCS#8"])
    assert verified(sign(octets(subject, text, html), key, DOMAIN, SELECTOR, 0), key)


def _public() -> bytes:
    return _RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


BAD = {
    "nothing": (b"", "no private key"),
    "words": (b"hello\n", "no private key"),
    "a public key": (_public(), "public key"),
    "a passphrase": (
        _RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "passphrase",
    ),
    "cut off": (pem(_RSA)[:300] + b"\n-----END PRIVATE KEY-----\n", "damaged"),
    "another kind": (
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "neither RSA nor Ed25519",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_key(name: str) -> None:
    text, said = BAD[name]
    with pytest.raises(ValueError, match=said):
        read_key(text)
