"""The parts of drip.yaml about sending: `smtp`, `limits` and `retry`, with the rules that keep a password safe."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from drip.core.delivery import RetryRule
from drip.core.dkim_keys import DkimKey, read_key
from drip.core.networks import is_loopback
from drip.core.settings import DkimSettings, Limits, Ramp, Rate, Security, SmtpSettings
from drip.files import values
from drip.files.disk import FileTrouble, read_file
from drip.files.reader import Section, text_of
from drip.files.servers import file_path, host_name
from drip.files.tree import Scalar
from drip.files.wording import BadValue

SMTP_KEYS = (
    "host", "port", "security", "user", "password", "oauth2_file", "connections", "timeout", "ca_file",
    "envelope_from", "allow_plaintext", "dkim",
)  # fmt: skip
DKIM_KEYS = ("domain", "selector", "key_file")
LIMITS_KEYS = ("rate", "per_day", "ramp", "per_domain")
RAMP_KEYS = ("start", "factor", "until")
RETRY_KEYS = ("attempts", "first", "factor", "max")

MOST_A_DAY = 1_000_000_000


def read_smtp(config: Section, folder: Path, *, needed: bool) -> SmtpSettings | None:
    """`smtp:`; None when there is none, or it has no host.

    Args:
        needed: whether the transport is smtp.
    """
    section = config.section("smtp", SMTP_KEYS)
    if section is None:
        if needed and not (config.mentions("smtp") and config.get("smtp") is not None):
            config.error("smtp", "the transport `smtp` needs a server", "write smtp: with host: smtp.example.com")
        return None
    default = SmtpSettings(host="")
    settings = SmtpSettings(
        host=section.parsed("host", host_name) or "",
        port=section.integer("port", 1, 65_535) or default.port,
        security=section.choice("security", Security) or Security.STARTTLS,
        user=section.parsed("user", values.line),
        password=section.parsed("password", _password, wanted="text in quotes", secret=True),
        oauth2_file=section.parsed("oauth2_file", lambda text: file_path(text, folder), wanted="a path"),
        connections=section.integer("connections", 1, 200) or default.connections,
        timeout=section.duration("timeout", positive=True) or default.timeout,
        ca_file=section.parsed("ca_file", lambda text: file_path(text, folder), wanted="a path"),
        envelope_from=section.parsed("envelope_from", values.envelope_from),
        allow_plaintext=section.flag("allow_plaintext") or False,
        dkim=_read_dkim(section, folder),
    )
    if needed:
        section.require("host", "write host: smtp.example.com")
    if settings.security is Security.NONE:
        _check_plain(section, settings)
    else:
        _check_login(section)
    return settings if settings.host else None


def _read_dkim(smtp: Section, folder: Path) -> DkimSettings | None:
    section = smtp.section("dkim", DKIM_KEYS)
    if section is None:
        return None
    for key in DKIM_KEYS:
        section.require(key, "write dkim: {domain: example.com, selector: drip, key_file: dkim.pem}")
    domain = section.parsed("domain", values.domain)
    selector = section.parsed("selector", values.selector)
    path = section.parsed("key_file", lambda text: file_path(text, folder), wanted="a path")
    if path is None:
        return None
    private = section.parsed("key_file", lambda _: _private_key(path), wanted="a path")
    return DkimSettings(domain, selector, path, private) if domain and selector and private else None


def _private_key(path: Path) -> DkimKey:
    try:
        return read_key(read_file(path))
    except FileTrouble as trouble:
        raise BadValue(f"{path.name}: {trouble}", trouble.hint or _KEY_HINT) from None
    except ValueError as error:
        raise BadValue(f"{path.name}: {error}", _KEY_HINT) from None


_KEY_HINT = "make one: openssl genrsa -out dkim.pem 2048"


def _password(text: str) -> str:
    if not text.isprintable():
        raise BadValue("a password has no control characters")
    return text


def _check_login(section: Section) -> None:
    """A user needs a password or OAuth2, one of them, and neither is of use without a user."""
    user, password, oauth2 = (section.has(key) for key in ("user", "password", "oauth2_file"))
    unread = any(section.mentions(key) and section.get(key) is None for key in ("user", "password", "oauth2_file"))
    if unread:
        return
    if user and not (password or oauth2):
        section.error("user", "there is a user, but no password", "write password: ${SMTP_PASSWORD}")
    if password and not user:
        section.error("password", "there is a password, but no user", "write user: too, or remove the password")
    if oauth2 and not user:
        section.error("oauth2_file", "there is an OAuth2 file, but no user", "write user: you@gmail.com")
    if password and oauth2:
        section.error("oauth2_file", "there is a password and an OAuth2 file", "keep one of them")


def _check_plain(section: Section, settings: SmtpSettings) -> None:
    """What may go over a connection without TLS: no login ever, and no mail to another machine unasked."""
    login = next((key for key in ("password", "oauth2_file", "user") if section.has(key)), None)
    if login is not None:
        hint = "write security: starttls or security: tls"
        section.error(login, "a password never goes over a plain connection", hint)
    if settings.host and not is_loopback(settings.host) and not settings.allow_plaintext:
        hint = "write security: starttls, or allow_plaintext: true if the network is yours"
        section.error("security", f"mail to {settings.host} would cross the network in the clear", hint)


def read_limits(config: Section) -> Limits:
    """`limits:`; what is left out is no limit."""
    section = config.section("limits", LIMITS_KEYS)
    if section is None:
        return Limits()
    return Limits(
        rate=section.parsed("rate", values.rate, wanted="a rate like 14/s", numbers=True),
        per_day=section.integer("per_day", 1, MOST_A_DAY),
        ramp=_ramp(section),
        per_domain=_per_domain(section),
    )


def _ramp(limits: Section) -> Ramp | None:
    section = limits.section("ramp", RAMP_KEYS)
    if section is None:
        return None
    for key in RAMP_KEYS:
        section.require(key, "write ramp: {start: 50, factor: 1.5, until: 50000}")
    start = section.integer("start", 1, MOST_A_DAY)
    factor = section.number("factor", 1.0, 100.0)
    until = section.integer("until", 1, MOST_A_DAY)
    if start is None or factor is None or until is None:
        return None
    if until < start:
        section.error("until", f"it is less than `start`, {start}", "a ramp goes up")
    return Ramp(start, factor, until)


def _per_domain(limits: Section) -> dict[str, Rate]:
    found: dict[str, Rate] = {}
    for key, node in limits.entries("per_domain", "domains with rates, as {gmail.com: 20/s}"):
        where = f"{limits.path('per_domain')}.{key.text[:60]}"
        try:
            domain = values.domain(key.text)
            if domain in found:
                raise BadValue(f"{domain} is there twice", "keep one of them")
            found[domain] = values.rate(node.text if isinstance(node, Scalar) else text_of(node))
        except BadValue as error:
            limits.document.report(key, where, str(error), error.hint)
    return found


def read_retry(config: Section) -> RetryRule:
    """`retry:`; what is left out is the default."""
    section = config.section("retry", RETRY_KEYS)
    default = RetryRule()
    if section is None:
        return default
    rule = RetryRule(
        attempts=section.integer("attempts", 1, 100) or default.attempts,
        first=section.duration("first", positive=True) or default.first,
        factor=section.number("factor", 1.0, 100.0) or default.factor,
        longest=section.duration("max", positive=True) or default.longest,
    )
    return rule if _in_order(section, rule) else default


def _in_order(section: Section, rule: RetryRule) -> bool:
    if rule.longest < rule.first:
        section.error("max" if section.has("max") else "first", "`max` is shorter than `first`", "make `max` longer")
        return False
    if rule.longest > timedelta(days=30):
        section.error("max", "it is longer than 30 days", "a retry that late surprises people")
        return False
    return True
