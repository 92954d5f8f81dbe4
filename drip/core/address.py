"""Email addresses: what is accepted, and when two are the same person's."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from drip.core.immutable import immutable

_LONGEST = 254
"""Octets of an address: RFC 5321's path of 256 without its brackets."""

_ERASED = "erased:"
ERASED_KEYS = (_ERASED, "erased;")
"""The keys of erased addresses are from the first of these on, and before the second."""
_LONGEST_LOCAL = 64
_ALIKE = 0.6
"""How much of two words is the same, from 0 to 1, where one may be meant by the other."""
# What is the same however it is looked at: nothing to normalise.
_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")

# Lower case, no hyphen beside another, and no name with a meaning of its own: any such domain is one, as it is written.
_PLAIN_DOMAIN = re.compile(
    r"(?=.{4,200}$)(?:(?=[a-z0-9-]{1,63}\.)[a-z0-9]+(?:-[a-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion|test)$)[a-z]{2,63}"
)

# A name, quoted or not, then one address in angle brackets and nothing more.
_NAMED = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"\s*|(?P<plain>[^<>]*))<(?P<email>[^<>]*)>', re.DOTALL)


@immutable
class Address:
    """A display name and an address, as in a From header."""

    email: str
    """Validated: `local@domain`, the domain in ASCII (IDNA 2008)."""
    name: str = ""
    """As shown to people; may be any text."""

    @property
    def domain(self) -> str:
        """The part behind the @, lower case ASCII."""
        return domain_of(self.email)

    def __str__(self) -> str:
        if not self.name:
            return self.email
        ambiguous = any(character in self.name for character in '"<>')
        name = '"' + re.sub(r'(["\\])', r"\\\1", self.name) + '"' if ambiguous else self.name
        return f"{name} <{self.email}>"


def parse_email(text: str) -> str:
    """Check an address and return it as it will be written: local part NFC, domain in ASCII.

    No DNS is asked. Refused are quotes, comments, encoded words, `%` and `!` routes, address literals, and what is over
    254 octets.

    Raises:
        ValueError: it is no address; the text says why.
    """
    # The common case, at a tenth of the cost: most people share a few domains.
    local, _, domain = text.strip(" ").rpartition("@")
    if len(local) <= _LONGEST_LOCAL and _PLAIN.fullmatch(local) and (written := _ascii_domain(domain)):
        email = f"{local}@{written}"
        if len(email) <= _LONGEST:
            return email
    # No spelling is shorter than what it stands for, so a longer text need not be looked at (nor repeated in an error).
    if len(text.strip(" ")) > _LONGEST:
        raise ValueError(f"{text[:40]!r}… is not an email address: it is longer than {_LONGEST} octets")
    from email_validator import EmailNotValidError, validate_email  # 30 ms; not needed when nothing is due

    try:
        valid = validate_email(text.strip(" "), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f"{text!r} is not an email address: {_first_sentence(str(error))}") from None
    if "%" in valid.local_part or "!" in valid.local_part:
        raise ValueError(f"{text!r} is not an email address: it asks for routing with % or !")
    if (
        "=?" in valid.local_part
    ):  # lenient parsers would read another address out of it (RFC 2047, section 5, forbids it)
        raise ValueError(f"{text!r} is not an email address: it is written as an encoded word")
    email = f"{valid.local_part}@{valid.ascii_domain}"
    if len(email.encode()) > _LONGEST:
        raise ValueError(f"{text!r} is not an email address: it is longer than {_LONGEST} octets")
    return email


def known_email(text: str) -> str:
    """An address to look somebody up with: as `parse_email` gives it, or as it is when it is none."""
    try:
        return parse_email(text)
    except ValueError:
        return text.strip()


@lru_cache(4096)
def _ascii_domain(domain: str) -> str | None:
    """A domain as it is written, or None when it is none."""
    if _PLAIN_DOMAIN.fullmatch(domain):
        return domain
    from email_validator import EmailNotValidError, validate_email

    if len(domain) > _LONGEST or domain.startswith("["):
        return None
    try:
        return validate_email(f"a@{domain}", check_deliverability=False, test_environment=True).ascii_domain
    except EmailNotValidError:
        return None


def domain_of(email: str) -> str:
    """What stands behind the @, lower case."""
    return email.rpartition("@")[2].lower()


def ascii_domain(text: str) -> str:
    """A domain by itself, lower case and in ASCII (IDNA 2008).

    Raises:
        ValueError: it is none.
    """
    return domain_of(parse_email(f"postmaster@{text}"))


def email_key(email: str) -> str:
    """What two spellings of one person's address have in common: NFC, casefolded.

    Dots and +tags are kept: only the mailbox's own server may say that they mean nothing.

    Args:
        email: as `parse_email` returned it, its domain in ASCII.
    """
    local, at, domain = email.strip().rpartition("@")
    if at and email.isascii():
        return email.strip().lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold()) + "@" + domain.lower()


def erased_key(key: str) -> str:
    """What is kept of an address that was erased: enough to recognise it when it comes again, not to write to it.

    Args:
        key: from `email_key`.
    """
    return _ERASED + hashlib.sha256(key.encode()).hexdigest()


def is_erased(key: str) -> bool:
    """Whether that is all that is known of an address: what `erased_key` made."""
    return key.startswith(_ERASED)


def parse_address(text: str) -> Address:
    """Read `Ana <hola@miempresa.com>` or a bare address. The name may be quoted; what is in it need not be.

    Raises:
        ValueError: it is neither; the text says why.
    """
    named = _NAMED.fullmatch(text.strip())
    if named is None:
        if "<" in text or ">" in text or "@" not in text:
            raise ValueError(f"{text[:300]!r} is not an address: write 'Name <someone@example.com>'")
        return Address(parse_email(text))
    name = named["plain"] if named["quoted"] is None else re.sub(r"\\(.)", r"\1", named["quoted"], flags=re.DOTALL)
    return Address(parse_email(named["email"]), clean_line(name))


def clean_line(text: str) -> str:
    """One line of text: every control character and line separator becomes a space, the ends are trimmed."""
    if text.isprintable():
        return text.strip()
    return "".join(" " if _is_control(character) else character for character in text).strip()


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029"


def _first_sentence(text: str) -> str:
    sentence = text.split(". ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def spelt_like(text: str, known: Iterable[str], number: int = 5) -> list[str]:
    """At most so many of the known addresses that are spelt like this one, the nearest first.

    Both sides of the @ must be alike: people of one domain are not, for that alone.
    """
    from difflib import SequenceMatcher  # only for a message

    wanted = text.strip()[:_LONGEST].casefold().partition("@")[::2]
    local, domain = (SequenceMatcher(None, "", side) for side in wanted)
    found = []
    for email in dict.fromkeys(known):
        left, _, right = email.casefold().partition("@")
        local.set_seq1(left)
        if local.quick_ratio() < _ALIKE or local.ratio() < _ALIKE:
            continue
        domain.set_seq1(right)
        rest = domain.ratio() if wanted[1] else 1.0
        if rest >= _ALIKE:
            found.append((local.ratio() + rest, email))
    return [email for _, email in sorted(found, key=lambda pair: -pair[0])[:number]]
