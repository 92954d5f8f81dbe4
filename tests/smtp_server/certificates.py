"""A private certificate authority for tests: good, expired, wrongly named and self-signed certificates."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate, as files."""

    chain: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server needs to speak TLS with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        context.sslsocket_class = _TidySocket
        return context


class _TidySocket(ssl.SSLSocket):
    """Closes itself where the ssl module forgets to: when the client is gone before the handshake."""

    def __del__(self) -> None:
        self.close()


class Authority:
    """A CA whose files live in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drip test CA")])
        now = datetime.now(UTC)
        ends = now + timedelta(days=1)
        builder = _builder(self._name, self._name, self._key, self._key, now - timedelta(days=1), ends)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(ca=True), critical=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))

    def certificate(
        self, *names: str, expired: bool = False, self_signed: bool = False, label: str = "server"
    ) -> Certificate:
        """A certificate for these host names and addresses; localhost and 127.0.0.1 without any.

        Args:
            label: of its files in the folder.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drip test server")])
        begins = datetime.now(UTC) - timedelta(days=3)
        ends = begins + timedelta(days=1 if expired else 5)
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        builder = _builder(subject, issuer, key, signer, begins, ends)
        alternatives = [_general_name(name) for name in names or ("localhost", "127.0.0.1")]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        files = Certificate(self._folder / f"{label}.pem", self._folder / f"{label}.key")
        files.chain.write_bytes(_pem(builder.sign(signer, hashes.SHA256())))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    """With the identifiers of keys that Python 3.13 wants to see (RFC 5280, section 4.2.1)."""
    of_signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(of_signer, critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
