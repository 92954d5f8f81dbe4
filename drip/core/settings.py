"""What drip.yaml says, as values. Read by `drip.files.config`, used everywhere; nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from drip.core.address import Address
from drip.core.delivery import RetryRule
from drip.core.dkim_keys import DkimKey

_MAILTO_SAFE = "@!$'*+-.=_~"


class TransportKind(StrEnum):
    """How messages leave."""

    OUTBOX = "outbox"  # files in a Maildir
    SMTP = "smtp"  # a mail server


class Security(StrEnum):
    """How an SMTP connection is protected."""

    STARTTLS = "starttls"  # plain, then TLS before anything else is said (RFC 3207)
    TLS = "tls"  # TLS from the first octet (RFC 8314)
    NONE = "none"  # not at all


class ImapSecurity(StrEnum):
    """How an IMAP connection is protected; it always is."""

    TLS = "tls"  # TLS from the first octet (RFC 8314)
    STARTTLS = "starttls"  # plain, then TLS before anything else is said


class OnUnknown(StrEnum):
    """What becomes of a delivery whose fate is not known."""

    HOLD = "hold"  # the subscription waits for `drip resolve`
    ASSUME_SENT = "assume_sent"  # it goes on with the next step
    RESEND = "resend"  # it is taken as not sent; may double


class UndefinedRule(StrEnum):
    """What a variable without a value is in a template."""

    EMPTY = "empty"  # the empty string
    ERROR = "error"  # the step fails for that person


class UnsubscribeScope(StrEnum):
    """What a one-click unsubscribe ends."""

    ALL = "all"  # everything from this project
    SEQUENCE = "sequence"  # that sequence alone


@dataclass(frozen=True, slots=True)
class DkimSettings:
    """`smtp.dkim`: what messages are signed with."""

    domain: str
    """In ASCII."""
    selector: str
    key_file: Path
    key: DkimKey = field(repr=False, compare=False)
    """What is in that file."""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """`smtp:`: the server, and how it is spoken to."""

    host: str
    port: int = 587
    security: Security = Security.STARTTLS
    user: str | None = None
    """None: the server wants no login."""
    password: str | None = field(default=None, repr=False)
    oauth2_file: Path | None = None
    """Gmail's OAuth2 instead of a password."""
    connections: int = 4
    """In parallel, per process."""
    timeout: timedelta = timedelta(seconds=30)
    """For every answer but the one to the final dot."""
    ca_file: Path | None = None
    """A private CA; None trusts the system's."""
    envelope_from: str | None = None
    """MAIL FROM; `{token}` in it makes it VERP; None is the From address."""
    allow_plaintext: bool = False
    """Allows `security: none` for a host that is not loopback."""
    dkim: DkimSettings | None = None
    """None: signing is the server's job."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages per length of time."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Ramp:
    """Warm-up: allowed per day, growing daily."""

    start: int
    factor: float
    until: int


@dataclass(frozen=True, slots=True)
class Limits:
    """`limits:`, over all processes on one database; None is no limit."""

    rate: Rate | None = None
    per_day: int | None = None
    ramp: Ramp | None = None
    per_domain: Mapping[str, Rate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """One of `webhooks:`."""

    url: str
    secrets: tuple[str, ...] = field(repr=False)
    """One, or two while rotating; `whsec_…`."""
    events: frozenset[str] | None = None
    """None: all."""


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """`inbound.imap`: the mailbox that bounces arrive in."""

    host: str
    user: str
    password: str = field(repr=False)
    port: int = 993
    security: ImapSecurity = ImapSecurity.TLS
    folder: str = "INBOX"
    ca_file: Path | None = None
    """A private CA; None trusts the system's."""


PROVIDERS = ("ses", "postmark", "mailgun", "sendgrid", "brevo", "resend")
"""Email providers whose webhooks are understood, as they are called in drip.yaml and in the path that they call."""


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """`inbound:`: where bounces, complaints and opt-outs by mail arrive."""

    address: str | None = None
    """Where `mailto:` unsubscribes go."""
    maildir: Path | None = None
    """The mailbox; this or the next or none."""
    imap: ImapSettings | None = None
    token: str | None = field(default=None, repr=False)
    """What providers put into the URL of their webhooks; None: only their signature counts."""
    providers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The key that a provider's signature is checked with, by its name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """drip.yaml with its defaults filled in, its variables replaced, and its paths absolute."""

    folder: Path
    """Where drip.yaml is; paths in it are relative to this."""
    path: Path
    """drip.yaml itself."""
    sender: Address
    """From, for all that has no other."""
    project: str
    """The project's name: the folder's, for Feedback-ID and webhooks."""
    database: str = field(default="sqlite:///drip.db", repr=False)
    """`sqlite:///` and an absolute path, or a `postgresql://` URL."""
    sequences: Path = Path("sequences")
    """The folder of sequence files."""
    reply_to: Address | None = None
    authorized_domains: frozenset[str] = frozenset()
    """From domains allowed; at least the one of `sender`."""
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """Default zone for windows, and for what is shown."""
    base_url: str | None = None
    """Without a slash at the end; None: there are no unsubscribe links."""
    postal_address: str | None = None
    undefined: UndefinedRule = UndefinedRule.EMPTY
    feedback_id: str | None = None
    """The sender id of Feedback-ID, 5 to 15 characters; None leaves the header out."""
    unsubscribe_scope: UnsubscribeScope = UnsubscribeScope.ALL
    transport: TransportKind = TransportKind.OUTBOX
    outbox: Path = Path("outbox")
    smtp: SmtpSettings | None = None
    """Set whenever `transport` is smtp."""
    limits: Limits = field(default_factory=Limits)
    retry: RetryRule = field(default_factory=RetryRule)
    on_unknown: OnUnknown = OnUnknown.HOLD
    stale_after: timedelta | None = timedelta(days=7)
    webhooks: tuple[WebhookEndpoint, ...] = ()
    http_rate_limit: Rate | None = None
    """How often one API key may ask, per process that serves; None is no limit."""
    webhooks_allow_private: bool = False
    """Allows webhook URLs set over the API to reach private addresses."""
    inbound: InboundSettings = field(default_factory=InboundSettings)

    @property
    def inbound_address(self) -> str | None:
        """Where `mailto:` unsubscribes go; None without one."""
        return self.inbound.address

    def unsubscribe_url(self, token: str) -> str | None:
        """The page that unsubscribes who has the token; None: there is no HTTP side."""
        return None if self.base_url is None else f"{self.base_url}/u/{token}"

    def unsubscribe_mailto(self, token: str) -> str | None:
        """The `mailto:` URL (RFC 6068) that does the same; None: there is no address for it."""
        if self.inbound.address is None:
            return None
        return f"mailto:{quote(self.inbound.address, safe=_MAILTO_SAFE)}?subject=unsubscribe%20{token}"
