"""Private keys for DKIM (RFC 6376, RFC 8463): read from the text of a file, and what their owner has to publish.

No file is read here. `cryptography` is imported only where a key is really there.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field

SHORTEST_RSA = 1024
"""Bits; verifiers take no less (RFC 8301, section 3.2)."""
GOOD_RSA = 2048
"""Bits that signers should have."""
LONGEST_RSA = 4096
"""Bits; verifiers need not take more, and the record would not fit into a DNS answer."""
_SEED = re.compile(rb"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A private key that was read."""

    algorithm: str
    """As `a=` says it: `rsa-sha256` or `ed25519-sha256`."""
    bits: int
    public: str
    """The public key in base64, as `p=` says it."""
    sign: Callable[[bytes], bytes] = field(repr=False)
    """The signature of what is to be signed, not yet hashed."""

    @property
    def record(self) -> str:
        """What `SELECTOR._domainkey.DOMAIN` has to say as TXT."""
        return f"v=DKIM1; k={self.algorithm.partition('-')[0]}; p={self.public}"


def read_key(text: bytes) -> DkimKey:
    """A private key: PEM (PKCS#1 or PKCS#8) with RSA or Ed25519, or the 32 octets of Ed25519 in base64.

    Raises:
        ValueError: it is none that can sign; the text says why.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    stripped = text.strip()
    if _SEED.fullmatch(stripped):
        return _ed25519(Ed25519PrivateKey.from_private_bytes(base64.b64decode(stripped)))
    if b"PUBLIC KEY-----" in stripped or b"CERTIFICATE-----" in stripped:
        raise ValueError("it holds a public key, not the private one")
    if b"BEGIN OPENSSH" in stripped:
        raise ValueError("it is a key of OpenSSH's, not PEM")
    if b"-----BEGIN" not in stripped:
        raise ValueError("it holds no private key in PEM")
    try:
        # Proving that the numbers are prime takes 80 ms, and every command reads the key.
        key = load_pem_private_key(stripped, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise ValueError("the key is encrypted with a passphrase") from None
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise ValueError("the key is damaged, or of a kind DKIM has not") from None
    if isinstance(key, Ed25519PrivateKey):
        return _ed25519(key)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the key is neither RSA nor Ed25519")
    return _rsa(key)


def _rsa(key: object) -> DkimKey:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    assert isinstance(key, RSAPrivateKey)
    if not SHORTEST_RSA <= key.key_size <= LONGEST_RSA:
        raise ValueError(f"the key has {key.key_size} bits, wanted {GOOD_RSA}")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    padding, digest = PKCS1v15(), SHA256()
    encoded = base64.b64encode(public).decode("ascii")
    return DkimKey("rsa-sha256", key.key_size, encoded, lambda data: key.sign(data, padding, digest))


def _ed25519(key: object) -> DkimKey:
    from hashlib import sha256

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    assert isinstance(key, Ed25519PrivateKey)
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")
    # RFC 8463, section 3: PureEdDSA over the hash.
    return DkimKey("ed25519-sha256", 256, public, lambda data: key.sign(sha256(data).digest()))
